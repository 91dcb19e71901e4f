"""`isolated` without processes, for tests that put fakes where a process would not see them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from pipeline.corpora import inspect
from pipeline.features.common import once


def inline(
    work: Callable[[Any], Any],
    items: Iterable[tuple[Any, Any]],
    patience: Callable[[Any], float] | None = None,
    preload: tuple[str, ...] = (),
) -> Iterator[tuple[Any, Any]]:
    """Labels in order, each with what `work` makes of its item; None where there is none."""
    for label, item in items:
        yield label, None if item is None else work(item)


def run_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets all that would run in processes of its own run here."""
    for module in (inspect, once):
        monkeypatch.setattr(module, "isolated", inline)
