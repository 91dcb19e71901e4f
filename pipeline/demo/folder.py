"""What every tree needs: a folder that appears only when it is whole, and macOS's litter."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.base.errors import PipelineError

# The header of the resource forks that macOS leaves in archives, named `._` and a file's name.
APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(140)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yields a temporary folder beside `folder` that takes its name if the block succeeds.

    Raises:
        PipelineError: `folder` holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise PipelineError(
            f"{folder} exists and is not empty. The demo corpus is written whole: remove the "
            "folder or name another one."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        yield part
        part.chmod(0o755)
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def litter(path: Path) -> None:
    """Leaves an AppleDouble file beside `path`."""
    path.with_name(f"._{path.name}").write_bytes(APPLE_DOUBLE)
