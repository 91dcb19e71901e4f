"""What class numbers mean: recognised by published counts, or stated, or left as numbers."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pipeline.corpora import iemocap as iemocap_corpus
from pipeline.corpora.registry import READERS
from pipeline.feature_files.classes import PUBLISHED, named
from pipeline.feature_files.contents import Contents, Turn
from pipeline.feature_files.refusal import UnusableError
from tests.feature_files.published import MELD, SIX

TABLES = {(p.corpus, p.column, len(p.codes), p.policy, p.label_sets): p for p in PUBLISHED}
IEMOCAP = {"train": "1", "test": "5"}  # a session of each


def contents_with(table: object, order: tuple[str, ...], layout: str = "mmgcn") -> Contents:
    """Turns in exactly the published counts, whose class numbers follow an order."""
    turns = []
    for group, counts in table.counts.items():  # type: ignore[attr-defined]
        for code, count in zip(table.codes, counts, strict=True):  # type: ignore[attr-defined]
            turn = Turn("d", split=None if table.corpus == "iemocap" else group)  # type: ignore[attr-defined]
            if table.corpus == "iemocap":  # type: ignore[attr-defined]
                turn = replace(turn, session=IEMOCAP[group])
            label = {table.column: str(order.index(code))}  # type: ignore[attr-defined]
            turns += [replace(turn, **label)] * count  # type: ignore[arg-type]
    return Contents(layout, table.corpus, turns, {})  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", TABLES, ids=str)
def test_the_documented_order_is_recognised_without_a_word(key: object) -> None:
    table = TABLES[key]  # type: ignore[index]
    contents = named(contents_with(table, table.codes), None)
    counts = Counter(getattr(turn, table.column) for turn in contents.turns)
    assert counts == {
        code: sum(column[n] for column in table.counts.values())
        for n, code in enumerate(table.codes)
    }
    assert contents.remarks == []
    if table.corpus == "iemocap":
        assert (contents.label_policy, contents.label_sets) == (table.policy, table.label_sets)


@pytest.mark.slow
@pytest.mark.parametrize("key", TABLES, ids=str)
def test_any_other_order_is_recognised_by_its_counts(key: object) -> None:
    table = TABLES[key]  # type: ignore[index]
    generator = np.random.default_rng(5)
    order = tuple(generator.permutation(table.codes[::-1]).tolist())
    expected = named(contents_with(table, table.codes), None)
    contents = named(contents_with(table, order), None)
    assert contents.turns == expected.turns
    changed = order != table.codes
    assert len(contents.remarks) == changed and f"0 is {order[0]}" in "".join(contents.remarks)


def test_the_repository_whose_order_it_is_is_named() -> None:
    table = next(p for p in PUBLISHED if p.corpus == "meld" and p.column == "emotion")
    mertools = ("anger", "joy", "sadness", "neutral", "disgust", "fear", "surprise")
    (remark,) = named(contents_with(table, mertools), None).remarks
    assert "MERTools" in remark
    assert named(contents_with(table, mertools, "mertools"), None).remarks == []


def test_excited_turns_that_count_as_happy_exclude_the_sets_that_need_them_apart() -> None:
    merged, apart = (p.label_sets for p in PUBLISHED if len(p.codes) == 4)
    assert (merged, apart) == (("four",), ("four_no_exc",))
    turns = [Turn("d", emotion=str(n % 4), session="1") for n in range(8)]
    stated = named(Contents("mmgcn", "iemocap", turns, {}), ["hap", "sad", "neu", "ang"])
    assert stated.label_sets == ("four",) and stated.label_policy == "consensus"


def test_a_file_of_one_split_alone_is_recognised() -> None:
    table = next(p for p in PUBLISHED if p.corpus == "meld" and p.column == "emotion")
    whole = contents_with(table, MELD[::-1])
    dev = replace(whole, turns=[turn for turn in whole.turns if turn.split == "dev"])
    assert named(dev, None).turns[0].emotion == "neutral"
    pooled = replace(whole, turns=[replace(turn, split=None) for turn in whole.turns])
    assert named(pooled, None).turns[0].emotion == "neutral"


def test_counts_that_fit_nothing_leave_numbers_and_tell_the_nearest() -> None:
    table = next(p for p in PUBLISHED if p.policy == "erc7433")
    whole = contents_with(table, SIX)
    contents = named(replace(whole, turns=whole.turns[1:]), None)
    (remark,) = contents.remarks
    assert contents.turns[0].emotion == "0"
    assert "503 hap in train (published 504)" in remark and "corpus.classes" in remark


def test_stated_classes_name_the_numbers_of_any_corpus() -> None:
    turns = [Turn("d", emotion="1"), Turn("d"), Turn("d", emotion="0")]
    contents = named(Contents("neutral", "other", turns, {}), ["calm", "cross"])
    assert [turn.emotion for turn in contents.turns] == ["cross", None, "calm"]
    contents = named(Contents("mmgcn", "iemocap", turns, {}), ["Happy", "frustrated"])
    assert [turn.emotion for turn in contents.turns] == ["fru", None, "hap"]
    for classes, words in (
        (["hap"], "names 1"),
        (["hap", "hapy"], "has hapy, which iemocap lacks"),
    ):
        with pytest.raises(UnusableError, match=words):
            named(Contents("mmgcn", "iemocap", turns, {}), classes)


def test_stated_classes_that_the_counts_disprove_are_refused() -> None:
    table = next(p for p in PUBLISHED if p.policy == "erc7433")
    with pytest.raises(UnusableError, match=r"corpus\.classes says that 0 is sad"):
        named(contents_with(table, SIX), ["sad", "hap", "neu", "ang", "exc", "fru"])
    assert named(contents_with(table, SIX), SIX).turns[0].emotion == "hap"


def test_names_become_the_codes_of_the_corpus() -> None:
    turns = [Turn("d", emotion=name) for name in ("happy", "Frustrated", "exc", "xxx", "odd")]
    contents = named(Contents("mertools", "iemocap", turns, {}), None)
    assert [turn.emotion for turn in contents.turns] == ["hap", "fru", "exc", "xxx", "odd"]


def test_the_published_counts_are_those_of_the_corpora() -> None:
    groups = {
        (p.label_policy, split): counts
        for p in iemocap_corpus.PUBLISHED_SPLITS if p.label_set == "six" and not p.validation
        for split, counts in p.counts.items()
    }  # fmt: skip
    for table in (p for p in PUBLISHED if p.codes == SIX):
        for splits, group in ((("train", "valid"), "train"), (("test",), "test")):
            expected = dict(zip(SIX, table.counts[group], strict=True))
            assert groups[table.policy, splits] == expected
    for table in (p for p in PUBLISHED if p.corpus in ("meld", "emorynlp")):
        for (split,), counts in READERS[table.corpus].published.counts.items():
            column = dict(zip(table.codes, table.counts[split], strict=True))
            assert column.items() <= counts.items()
