"""Bad demo settings are refused with the reason; run: pytest tests/demo/test_settings.py."""

import pytest
from pydantic import ValidationError

from pipeline.settings.demo import DemoSettings


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"min_turns": 9, "max_turns": 8}, "min_turns 9 exceeds max_turns 8"),
        ({"min_seconds": 3, "max_seconds": 2}, "exceeds max_seconds"),
        ({"linger": 0.7, "contagion": 0.4}, "exceeds 1"),
        ({"poker_face": 0.7, "misleading": 0.4}, "poker_face . misleading exceeds 1"),
        ({"width": 321}, "multiple of 2"),
        ({"train_dialogues": 0}, "greater than or equal to 1"),
        ({"sead": 3}, "Extra inputs"),
    ],
)
def test_bad_settings_are_refused(bad, reason):
    with pytest.raises(ValidationError, match=reason):
        DemoSettings(**bad)


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        DemoSettings().seed = 3
