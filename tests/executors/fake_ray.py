"""As much of Ray as `cluster` asks for, in this process: what nodes do is written down before."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import cloudpickle


class RayError(Exception):
    """The parent of its errors."""


class WorkerCrashedError(RayError):
    """A process died."""


class RayTaskError(RayError):
    """The item raised what nobody foresaw."""


class Silent(Exception):
    """A node that has stopped, and says nothing."""


def node(name: str, cpus: int = 1, gpus: int = 0, alive: bool = True) -> dict[str, Any]:
    """As `ray.nodes()` tells it."""
    resources = {"CPU": float(cpus), "GPU": float(gpus)}
    return {
        "NodeID": name,
        "NodeManagerHostname": f"host-{name}",
        "Alive": alive,
        "Resources": resources,
    }


class FakeRay:
    """Runs each task where `behave` says, a message at a time.

    `behave` gets the try's number, from 0, the item and what the node is told; it yields messages.
    It raises an error of Ray, or `Silent`, where something goes wrong.
    """

    def __init__(
        self,
        behave: Callable[[int, Any, Any], Iterator[Any]],
        nodes: Callable[[], list[dict[str, Any]]] = lambda: [node("a", cpus=2)],
    ) -> None:
        self.behave, self.nodes, self.tries = behave, nodes, 0
        self.options: dict[str, Any] = {}
        self.cloudpickle = cloudpickle
        self.exceptions = SimpleNamespace(
            RayError=RayError, RayTaskError=RayTaskError, WorkerCrashedError=WorkerCrashedError
        )

    def remote(self, **options: Any) -> Any:
        """The decorator."""
        self.options = options

        def start(packed: bytes, told: Any, stage: str) -> Any:
            _, item = cloudpickle.loads(packed)
            self.tries += 1
            return _Running(self.behave(self.tries - 1, item, told))

        return lambda task: SimpleNamespace(remote=start)

    def wait(self, running: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        """Those that have something to say, one at most."""
        ready = [one for one in running if one.look()]
        return ready[:1], []

    def get(self, message: Any) -> Any:
        """A message, or its error."""
        if isinstance(message, Exception):
            raise message
        return message


class _Running:
    """A task under way: its next message is known before it is asked for."""

    def __init__(self, messages: Iterator[Any]) -> None:
        self._messages, self._next = messages, []

    def look(self) -> bool:
        if not self._next:
            try:
                self._next = [next(self._messages)]
            except Silent:
                return False
            except StopIteration:
                self._next = [StopIteration()]
            except RayError as error:
                self._next = [error]
        return True

    def __next__(self) -> Any:
        message = self._next.pop()
        if isinstance(message, StopIteration):
            raise message
        return message
