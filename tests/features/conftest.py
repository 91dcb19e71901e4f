"""A small corpus on which every feature stage ran."""

from pathlib import Path

import pytest

from tests.features.small_corpus import CLIPS, STAGES, entries, prepared, run


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder in which every feature stage ran once, with the cache `cache`."""
    folder = tmp_path_factory.mktemp("undisturbed")
    prepared(folder, folder / "cache")
    for stage in STAGES:
        run(folder, stage, cache=folder / "cache")
        assert len(entries(folder / "cache", stage)) == CLIPS
    return folder
