"""Settings of a tree small enough for tests: one or two dialogues of short turns per split."""

import pytest

from pipeline.settings.demo import DemoSettings


@pytest.fixture(scope="session")
def tiny() -> DemoSettings:
    return DemoSettings(
        workers=1,
        train_dialogues=2,
        dev_dialogues=1,
        test_dialogues=1,
        min_turns=5,
        max_turns=6,
        min_per_class=0,
        width=256,
        height=192,
        min_seconds=0.5,
        max_seconds=0.7,
    )
