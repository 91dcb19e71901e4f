"""`Isolation` without processes, for tests that put fakes where a process would not see them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from pipeline.corpora import inspect
from pipeline.features.common import once


class Inline:
    """Runs items here."""

    def __init__(self, work: Callable[[Any], Any], preload: tuple[str, ...] = ()) -> None:
        self.work = work

    def results(
        self,
        items: Iterable[tuple[Any, Any]],
        patience: Callable[[Any], float] | None = None,
        ahead: int | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        """Labels in order, each with what `work` makes of its item; None where there is none."""
        for label, item in items:
            yield label, None if item is None else self.work(item)

    def close(self) -> None:
        """Nothing was started."""


def run_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets all that would run in processes of its own run here."""
    for module in (inspect, once):
        monkeypatch.setattr(module, "Isolation", Inline)
