"""The state of a long run, kept in the cache: it survives a kill, and no run is done twice."""

import hashlib
import mmap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any, Generic, TypeVar, cast

import torch

from pipeline.base.files import locked, replacing

SECONDS_BETWEEN_SAVES = 1.0
# Of the time: a large network's state takes seconds to write.
LARGEST_SHARE = 0.05

State = TypeVar("State")


class Sparingly:
    """Bounds what a repeated action costs: at most `LARGEST_SHARE` of the time.

    Args:
        seconds: Between two actions at least, and before the first.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds, self._next = seconds, time.monotonic() + seconds

    def __call__(self, action: Callable[[], None]) -> None:
        """Act, unless the last time was only just now."""
        start = time.monotonic()
        if start >= self._next:
            action()
            end = time.monotonic()
            self._next = end + max(self._seconds, (end - start) / LARGEST_SHARE)


class StateFile(Generic[State]):
    """Where a run is kept while it lasts, and after it has ended.

    A run that resumes from an older state repeats the same numbers, so not every state is saved.
    The file ends with the SHA-256 of all before it, so that no damaged state is ever resumed from.

    Args:
        path: Where to.
        kind: Makes a state from its fields.
    """

    def __init__(self, path: Path, kind: Callable[..., State]) -> None:
        self.path, self._kind = path, kind
        self._sparingly = Sparingly(SECONDS_BETWEEN_SAVES)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process works on the run, which may end it."""
        lock = self.path.with_name(f".{self.path.name}.lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
        with locked(lock, note="Another process trains the same run: waiting.\n"):
            yield

    def save(self, state: State, *parts: Any) -> None:
        """Keep a run that goes on, unless the last save was only just now.

        Args:
            state: The run's results so far.
            parts: What has a state of its own: the model, the optimiser.
        """
        self._sparingly(lambda: self._write(state, *parts))

    def finish(self, state: State) -> None:
        """Keep a run that has ended, without what it would need to go on."""
        self._write(state)

    def load(self, *parts: Any) -> State | None:
        """Fill `parts` with what was saved of a run that goes on; None if nothing was."""
        content = self._content()
        if content is None:
            return None
        if content["parts"]:  # a run that has ended left none
            for part, saved in zip(parts, content["parts"], strict=True):
                part.load_state_dict(saved)
        return self._kind(**content["state"])

    def read(self) -> State | None:
        """The results that were saved; None if none were, or if the file is damaged."""
        content = self._content()
        return None if content is None else self._kind(**content["state"])

    def _write(self, state: State, *parts: Any) -> None:
        content = {"state": vars(state), "parts": [part.state_dict() for part in parts]}
        with replacing(self.path) as part, part.open("wb") as file:
            digested = _Digested(file)
            torch.save(content, cast(IO[bytes], digested))
            file.write(digested.state.digest())

    def _content(self) -> Any:
        """The file's content; None where it is absent or damaged: then the run is done again."""
        try:
            if _is_whole(self.path):
                return torch.load(self.path, map_location="cpu", weights_only=True)
        except (OSError, EOFError, RuntimeError, ValueError, UnpicklingError):
            pass
        return None


class _Digested:
    """A file that takes the SHA-256 of what is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.state = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.state.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def _is_whole(path: Path) -> bool:
    size = hashlib.sha256().digest_size
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        memoryview(content) as view,
        view[:-size] as before,
    ):
        return hashlib.sha256(before).digest() == content[-size:]
