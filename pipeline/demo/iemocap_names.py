"""Names of IEMOCAP's dialogues: a session, who wears the markers, and the scene."""

from itertools import cycle

_SCENES = (
    "impro01",
    "script01_1",
    "impro02",
    "script01_2",
    "impro03",
    "script01_3",
    "impro04",
    "script02_1",
    "impro05",
    "script02_2",
    "impro06",
    "script03_1",
    "impro07",
    "script03_2",
)
_SPLIT = {"Ses03M_impro05": "Ses03M_impro05a"}  # recorded in two halves
# One name begins with another's, and nothing but a small corpus must be needed to trip over it.
_FIRST = {5: ("Ses05M_script01_1", "Ses05M_script01_1b", "Ses05F_impro01")}


def dialogue_names(session: int, count: int) -> list[str]:
    """The first `count` dialogue names of a session (1–5), at most 28.

    Scenes that are improvised and scripted, and the two actors with markers, alternate early on.
    """
    halves = zip(_SCENES, cycle("FMMF"), strict=False)
    first = [f"Ses{session:02}{letter}_{scene}" for scene, letter in halves]
    halves = zip(_SCENES, cycle("MFFM"), strict=False)
    second = [f"Ses{session:02}{letter}_{scene}" for scene, letter in halves]
    names = [*_FIRST.get(session, ()), *(_SPLIT.get(name, name) for name in (*first, *second))]
    return list(dict.fromkeys(names))[:count]
