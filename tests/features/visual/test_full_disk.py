"""A full disk under the temporary database of pictures that were seen."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

FILL = """
from pipeline.features.visual import plan
plan.CACHE_KIB = 100
seen = plan.SeenPictures()
try:
    for number in range(200_000):
        seen.add(f"{number:064}", [f"{number:032}".encode()])
except OSError as error:
    print(error.strerror, error.filename)
"""


def test_it_is_named_as_any_full_disk_is(small_disk: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SQLITE_TMPDIR": str(small_disk)}
    command = [sys.executable, "-c", FILL]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert printed.stdout == f"No space left on device {small_disk}\n"
