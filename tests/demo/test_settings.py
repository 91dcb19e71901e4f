"""Bad demo settings are refused with the reason."""

import pytest
from pydantic import ValidationError

from pipeline.demo.settings import DemoSettings

SPLITS = {"train": 2, "dev": 1, "test": 1}
SESSIONS = {f"Session{number}": 3 for number in range(1, 6)}
GOOD = {"layout": "meld", "dialogues": SPLITS}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"min_turns": 9, "max_turns": 8}, "min_turns 9 exceeds max_turns 8"),
        ({"min_seconds": 3, "max_seconds": 2}, "exceeds max_seconds"),
        ({"linger": 0.7, "contagion": 0.4}, "linger 0.7 . contagion 0.4 exceeds 1"),
        ({"misleading": 1.1}, "less than or equal to 1"),
        ({"poker_face": 0.7, "misleading": 0.4}, "poker_face 0.7 . misleading 0.4 exceeds 1"),
        ({"width": 321}, "multiple of 2"),
        ({"layout": "emory"}, "'meld' or 'iemocap'"),
        ({"sead": 3}, "Extra inputs"),
    ],
)
def test_bad_settings_are_refused(bad, reason):
    with pytest.raises(ValidationError, match=reason):
        DemoSettings(**(GOOD | bad))


@pytest.mark.parametrize(
    ("layout", "dialogues"),
    [
        ("meld", SESSIONS),
        ("meld", {"train": 2, "dev": 1}),
        ("meld", SPLITS | {"dev": 0}),
        ("meld", {}),
        ("iemocap", SPLITS),
        ("iemocap", SESSIONS | {"Session6": 3}),
        ("iemocap", SESSIONS | {"Session2": 29}),
    ],
)
def test_parts_without_dialogues_are_refused_once(layout, dialogues):
    with pytest.raises(ValidationError, match=f"do not fit the layout {layout}; expected") as error:
        DemoSettings(layout=layout, dialogues=dialogues)
    assert error.value.error_count() == 1
