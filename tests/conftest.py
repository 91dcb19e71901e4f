"""What several test folders share."""

import atexit
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest
from hypothesis import settings

from pipeline.features.frames.faces import FaceDetector
from pipeline.systems.registry import SYSTEMS
from tests.dag.clone import copy_repository, ran, stages_of

# As stages have it; see pipeline/base/arithmetic.py.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("MKL_CBWR", "AUTO")

if "PYTEST_XDIST_WORKER" in os.environ:  # which ignores Ctrl-C; what tests start would, too
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no failure: no test is timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
PARAMS = Path(tempfile.mkdtemp(prefix="erc-tests-")) / "params.yaml"
"""params.yaml with the corpora it is shipped with and all systems, whatever a user has chosen."""
YUNET = ROOT / "models/weights/yunet/face_detection_yunet_2023mar.onnx"

_chosen = (ROOT / "params.yaml").read_text("utf-8")
for _shipped in (
    "corpora: [demo_meld, demo_iemocap]",
    "demos: [meld, iemocap]",
    f"systems: [{', '.join(SYSTEMS)}]",
    "reference: mcn_cl",
):
    _key = _shipped.partition(":")[0]
    _chosen = re.sub(rf"^{_key}: .*$", _shipped, _chosen, flags=re.M)
PARAMS.write_text(_chosen, "utf-8")
atexit.register(shutil.rmtree, PARAMS.parent)


@pytest.fixture(scope="module", autouse=True)
def own_forkserver() -> None:
    """Let a file's processes be copied from one that imported what they need, not other files'."""
    forkserver._forkserver._stop()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ERC_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real MELD annotations and talking clips; tests skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs {SHARED}, which is not here")
    return SHARED


@pytest.fixture(scope="session")
def detector() -> FaceDetector:
    """YuNet as params.yaml has it; tests skip where its file is absent."""
    if not YUNET.is_file():
        pytest.skip(f"needs {YUNET}; `python -m stages.weights demo_meld faces` brings it")
    return FaceDetector(YUNET, 0.6)


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone's files in a repository of their own, with a tiny demo corpus, reproduced."""
    folder = tmp_path_factory.mktemp("reproduced")
    copy_repository(folder, "demo_meld")
    assert ran(folder) == stages_of("demo_meld")
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs the command mount")
    if done.returncode:
        pytest.skip(f"needs the right to mount a small disk: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def enlarge(disk: Path) -> None:
    """Give the small disk room."""
    subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
