"""The layouts that are sequences of dicts by dialogue: each is a row of names of its elements.

Elements are recognised by what they hold; place tells apart only what looks alike, such as the
vectors of several modalities. A file whose content and place contradict each other is refused.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.feature_files.containers import is_array
from pipeline.feature_files.contents import TEXT_LAYERS, Contents, Turn
from pipeline.feature_files.naming import (
    IEMOCAP_TURN,
    MELD_ABSENT,
    SIDES,
    Dialogue,
    corpus_of,
    dialogues,
    speakers,
    utterance,
)
from pipeline.feature_files.refusal import UnusableError, described, some

TEXTS = " ".join(TEXT_LAYERS)
ONE = "ids speakers emotion text audio visual sentences train test"
LAYOUTS = (
    ("mmgcn", ONE),
    ("dialogue_rnn", "ids speakers emotion text audio sentences train test sentiment"),
    ("mmgcn", f"{ONE} unknown"),
    ("sdt", f"ids speakers emotion {TEXTS} audio visual sentences train test"),
    ("sdt", f"ids speakers emotion {TEXTS} audio visual sentences train test unknown"),
    (
        "cfn_esa",
        f"ids speakers emotion sentiment {TEXTS} audio visual sentences train test unknown",
    ),
    # test stands before valid
    ("cosmic", f"speakers emotion {TEXTS} sentences train test valid"),
    ("cosmic", f"speakers emotion sentiment {TEXTS} sentences train test valid"),
    # without vectors: COSMIC's, GCNet's
    ("skeleton", "speakers emotion sentences train test valid"),
    ("skeleton", "speakers emotion sentiment sentences train test valid"),
    ("skeleton", "ids emotion speakers sentences train test"),
    ("skeleton", "ids emotion speakers sentences train valid test"),
)
VECTORS = (*TEXT_LAYERS, "audio", "visual")
SPLITS = ("train", "valid", "test")
OTHER = "something else"
# What an element may hold, by its name.
HOLDS = {
    "ids": {"ids", "words", "places"},
    "speakers": {"one-hot", "letters", "words", "empty texts"},
    "emotion": {"numbers", "places", "ratings"},
    "sentiment": {"numbers", "places"},
    "sentences": {"sentences", "words", "empty texts"},
    **{name: {"vectors"} for name in VECTORS},
    **{name: {"keys"} for name in SPLITS},
}
HOLDS["unknown"] = set.union(*HOLDS.values(), {OTHER})
MOST_TURNS = 1_000_000
WIDEST_ONE_HOT = 16
# Dimensions that published audio and visual vectors have.
DIMENSIONS = {"audio": {100, 300, 512, 1582}, "visual": {342, 512, 1000}}
CNN = 512  # features of DialogueRNN's visual vectors


def read_tuple(tree: Sequence[Any]) -> Contents:
    """Read a sequence of dicts and lists of dialogues.

    Raises:
        UnusableError: It is of no known layout, or its parts do not fit each other.
    """
    for element in (e for e in tree if isinstance(e, dict)):
        # One matrix may stand under many keys: each key has its rows walked.
        if sum(len(v) for v in element.values() if _has_items(v)) > MOST_TURNS:
            raise UnusableError(f"it has more than {MOST_TURNS:,} turns")
    kinds = [kind_of(element) for element in tree]
    near = [(layout, row.split()) for layout, row in LAYOUTS if len(row.split()) == len(tree)]
    wrong = [
        [n for n, (name, k) in enumerate(zip(names, kinds, strict=True)) if k not in HOLDS[name]]
        for _, names in near
    ]
    if [] not in wrong:
        expected = "none has as many"
        if near:
            (layout, names), places = min(
                zip(near, wrong, strict=True), key=lambda pair: len(pair[1])
            )
            odd = some(f"{place} to be {names[place]}" for place in places)
            expected = f"{layout}, which is nearest, has element {odd}"
        parts = zip(kinds[:20], tree, strict=False)
        listing = "".join(f"\n    {n}: {k}, {described(e)}" for n, (k, e) in enumerate(parts))
        raise UnusableError(
            f"it is a sequence of {len(tree)} elements, which no layout has: {expected}{listing}"
        )
    layout, names = near[wrong.index([])]
    elements, remarks = dict(zip(names, tree, strict=True)), []
    if (rest := elements.pop("unknown", None)) is not None:
        if kinds[-1] in HOLDS["sentiment"] and "sentiment" not in elements:
            elements["sentiment"] = rest
        else:
            remarks.append(f"Element {len(tree) - 1} is not read: {described(rest)}.")
    return contents_of(layout, elements, remarks)


def kind_of(element: Any) -> str:
    """What an element holds, in a word or two."""
    if not isinstance(element, dict):
        named = _has_items(element) and all(type(key) in (str, int) for key in _listed(element))
        return "keys" if named else OTHER
    if not all(map(_has_items, element.values())):
        return OTHER
    rows_by_key = [_listed(value) for value in element.values()]
    items = [item for row in rows_by_key for item in row]
    kinds = set(map(_kind_of_item, items))
    if "vector" in kinds and kinds <= {"vector", "rating"}:  # a turn alone may have its vector bare
        few = np.ndim(items[0]) == 1 and len(items[0]) <= WIDEST_ONE_HOT
        return "one-hot" if few and all(map(_is_one_hot, items)) else "vectors"
    if kinds == {"number"}:
        rising = all(a < b for row in rows_by_key for a, b in pairwise(row))
        return "places" if rising else "numbers"
    if kinds and kinds <= {"number", "rating"}:
        return "ratings"
    return _kind_of_texts(set(items)) if kinds == {"text"} else OTHER


def _kind_of_item(item: Any) -> str:
    if isinstance(item, str):
        return "text"
    if isinstance(item, int) and not isinstance(item, bool):
        return "number"
    if isinstance(item, float):
        return "rating"
    if isinstance(item, np.ndarray):
        return "vector" if is_array(item, "iuf", 1, 2) else OTHER
    numbers = isinstance(item, list | tuple) and {type(x) for x in item} <= {int, float}
    return "vector" if numbers and item else OTHER


def _is_one_hot(item: Any) -> bool:
    values = item.ravel().tolist() if isinstance(item, np.ndarray) else item
    return isinstance(values, list | tuple) and set(values) <= {0, 1} and sum(values) == 1


def _kind_of_texts(texts: set[str]) -> str:
    if texts == {""}:
        return "empty texts"
    if all(map(IEMOCAP_TURN.fullmatch, texts)):
        return "ids"
    if texts <= SIDES or max(map(len, texts)) == 1:
        return "letters"
    return "sentences" if any(len(text.split()) > 1 for text in texts) else "words"


def _has_items(value: Any) -> bool:
    return isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _listed(value: Any) -> list[Any]:
    """The items of a list, tuple or array; rows of a matrix are views."""
    return value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else list(value)


def contents_of(layout: str, elements: Mapping[str, Any], remarks: Sequence[str] = ()) -> Contents:
    """What elements by name hold: dicts by dialogue, and lists of dialogues by split.

    Raises:
        UnusableError: Keys, lengths, ranks or dimensions do not fit each other.
    """
    for name, element in elements.items():
        if isinstance(element, dict) and len(set(map(str, element))) < len(element):
            raise UnusableError(f"its {name} have keys that are the same as text: 0 and '0'")
    by_key = {
        name: {str(key): value for key, value in element.items()}
        for name, element in elements.items()
        if isinstance(element, dict)
    }
    keys = list(by_key.get("emotion") or next(iter(by_key.values())))
    _refuse_other_keys(by_key, set(keys))
    lists = _lists({n: e for n, e in elements.items() if n in SPLITS}, set(keys))
    rows = {
        name: {key: _rows(value) if name in VECTORS else _listed(value) for key, value in d.items()}
        for name, d in by_key.items()
    }
    corpus = corpus_of(keys, [v for voices in rows.get("speakers", {}).values() for v in voices])
    if kind_of(elements.get("emotion")) == "ratings":
        if layout != "skeleton":
            raise UnusableError("its labels are ratings, not classes: it was made for regression")
        corpus, rows["valence"] = "mosi", rows.pop("emotion")
    named = dialogues(corpus, keys, lists)
    _refuse_other_lengths(rows, named)
    vectors = {n: [v for key in keys for v in rows[n][key]] for n in VECTORS if n in rows}
    if layout == "mmgcn" and vectors["visual"][0].shape[1] == CNN:
        layout = "dialogue_rnn"
    turns = [
        turn
        for key in keys
        for turn in _turns(corpus, named[key], {name: d[key] for name, d in rows.items()})
    ]
    told = [*remarks, *_about_splits(corpus, named, lists), *_about_dimensions(vectors)]
    as_file = {named[key].name: split for key, split in lists.items()}
    return Contents(layout, corpus, turns, vectors, remarks=told, as_file=as_file)


def _refuse_other_keys(by_key: Mapping[str, Mapping[str, Any]], keys: set[str]) -> None:
    for name, element in by_key.items():
        if element.keys() != keys:
            differing = sorted(element.keys() ^ keys)
            raise UnusableError(
                f"{len(differing)} dialogues are in {name} or in its other elements, not in both: "
                f"{some(differing)}"
            )


def _lists(lists: Mapping[str, Any], keys: set[str]) -> dict[str, str]:
    """The split that a file's lists put each key into."""
    entries = [(str(key), split) for split, names in lists.items() for key in _listed(names) or ()]
    counts = Counter(key for key, _ in entries)
    if twice := [key for key, count in counts.items() if count > 1]:
        raise UnusableError(
            f"its split lists name {len(twice)} dialogues more than once: {some(twice)}"
        )
    if unknown := [key for key in counts if key not in keys]:
        raise UnusableError(
            f"its split lists name {len(unknown)} dialogues that it does not have: {some(unknown)}"
        )
    return dict(entries)


def _rows(value: Any) -> list[Any]:
    """Vectors of a dialogue's turns, each [1, feature]; views where they are arrays."""
    if isinstance(value, np.ndarray):
        value = value if value.ndim > 1 else value[None]  # one turn, or a width that is refused
        value = list(value)
    if value and {type(x) for x in value} <= {int, float}:
        return [np.array([value], np.float64)]
    rows = [np.asarray(row) for row in value]
    rows = [row[None] if row.ndim == 1 else row for row in rows]
    if wrong := [list(row.shape) for row in rows if row.ndim != 2 or len(row) != 1]:
        raise UnusableError(f"its vectors of a turn have the shape {wrong[0]}, expected [feature]")
    return rows


def _refuse_other_lengths(
    rows: Mapping[str, Mapping[str, Any]], named: Mapping[str, Dialogue]
) -> None:
    wrong = []
    for key, dialogue in named.items():
        lengths = {name: len(by_key[key]) for name, by_key in rows.items()}
        (common, _), *others = Counter(lengths.values()).most_common()
        if others or not common:
            odd = ", ".join(f"{n} {name}" for name, n in lengths.items() if n != common)
            wrong.append(f"{dialogue.name} ({common} turns{odd and ', but '}{odd})")
    if wrong:
        raise UnusableError(
            f"{len(wrong)} dialogues have no turns or unequal lengths: {some(wrong)}"
        )


def _turns(corpus: str, dialogue: Dialogue, rows: dict[str, list[Any]]) -> Iterator[Turn]:
    """The turns of a dialogue, of which each element has a row of values."""
    rows["ids"] = [utterance(corpus, dialogue.name, given) for given in rows.get("ids", ())]
    rows["speakers"] = speakers(corpus, dialogue.name, rows.get("speakers", ()))
    for place in range(max(map(len, rows.values()))):
        values = {name: row[place] for name, row in rows.items() if row}
        yield Turn(
            dialogue.name,
            values.get("ids"),
            values.get("speakers"),
            text=values.get("sentences"),
            emotion=_class_number(values.get("emotion")),
            sentiment=_class_number(values.get("sentiment")),
            valence=values.get("valence"),
            split=dialogue.split,
            session=dialogue.session,
        )


def _class_number(label: Any) -> str | None:
    """A class as text; a negative number marks an unlabelled turn."""
    return None if label is None or label < 0 else str(label)


def _about_splits(
    corpus: str, named: Mapping[str, Dialogue], lists: Mapping[str, str]
) -> Iterator[str]:
    if lacking := [dialogue.name for key, dialogue in named.items() if lists and key not in lists]:
        yield f"{len(lacking)} dialogues are in none of its split lists: {some(lacking)}."
    merged = sum(lists.get(k) == "train" and d.split == "dev" for k, d in named.items())
    if corpus == "meld" and merged:
        yield (
            f"Its training list holds MELD's {merged} dev dialogues; their keys tell them apart, "
            f"and they are dev again. Key {MELD_ABSENT} is absent, as it should be."
        )


def _about_dimensions(vectors: Mapping[str, Sequence[np.ndarray]]) -> Iterator[str]:
    width = {name: rows[0].shape[1] for name, rows in vectors.items()}
    for name, other in (("audio", "visual"), ("visual", "audio")):
        if width.get(name) in DIMENSIONS[other] - DIMENSIONS[name]:
            yield (
                f"Its {name} vectors have {width[name]} features, which published files have as "
                f"{other}: are the two exchanged?"
            )
