"""A full disk under the temporary database of pictures that were seen."""

from pathlib import Path

import pytest

from pipeline.features.visual.plan import SeenPictures


def test_it_is_named_as_any_full_disk_is(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQLITE_TMPDIR", str(small_disk))
    monkeypatch.setattr("pipeline.features.visual.plan.CACHE_KIB", 100)
    seen = SeenPictures()
    with pytest.raises(OSError, match="No space left on device") as full:
        for number in range(10_000):
            seen.add(f"{number:064}", [f"{number:032}".encode()])
    assert full.value.filename == str(small_disk)
