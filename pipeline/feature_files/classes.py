"""What the class numbers of feature files mean: their orders, recognised by published counts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.feature_files.contents import Contents, Turn
from pipeline.feature_files.refusal import UnusableError, some

COLUMNS = ("emotion", "sentiment")
STATE = "State their order as `corpus.classes`, such as [happy, sad, neutral]."


@dataclass(frozen=True)
class Published:
    """How many turns of each class the published files of a corpus have, by split.

    IEMOCAP has no official split: `test` is its session 5, which its files test on.
    """

    corpus: str
    column: str
    codes: tuple[str, ...]  # in the order that most files have
    counts: Mapping[str, tuple[int, ...]]
    policy: str = "consensus"
    label_sets: tuple[str, ...] | None = None

    def by_code(self, groups: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """The counts of each code in these groups, of which `all` is the sum of splits."""
        columns = dict(zip(self.codes, zip(*self.counts.values(), strict=True), strict=True))
        place = {split: number for number, split in enumerate(self.counts)}
        return {
            code: tuple(sum(c) if g == "all" else c[place[g]] for g in groups)
            for code, c in columns.items()
        }


def _published(rows: str) -> Iterator[Published]:
    """Reads tables: corpus, column, policy, label set; codes; counts of each split."""
    for block in rows.strip().split("\n\n"):
        (corpus, column, policy, *sets), codes, *splits = (
            line.split() for line in block.splitlines()
        )
        counts = {split: tuple(map(int, numbers)) for split, *numbers in splits}
        yield Published(corpus, column, tuple(codes), counts, policy, tuple(sets) or None)


PUBLISHED = tuple(
    _published("""
iemocap emotion erc7433
       hap sad  neu ang exc  fru
train  504 839 1324 933 742 1468
test   144 245  384 170 299  381

iemocap emotion consensus
       hap sad  neu ang exc  fru
train  452 839 1324 933 742 1468
test   143 245  384 170 299  381

iemocap emotion consensus four
        hap sad  neu ang
train  1194 839 1324 933
test    442 245  384 170

iemocap emotion consensus four_no_exc
       hap sad  neu ang
train  452 839 1324 933
test   143 245  384 170

meld emotion consensus
      neutral surprise fear sadness  joy disgust anger
train    4710     1205  268     683 1743     271  1109
dev       470      150   40     111  163      22   153
test     1256      281   50     208  402      68   345

meld sentiment consensus
      neutral positive negative
train    4710     2334     2945
dev       470      233      406
test     1256      521      833

emorynlp emotion consensus
      Joyful Mad Peaceful Neutral Sad Powerful Scared
train   1677 785      638    2485 474      551    941
dev      205  97       82     322  51       70    127
test     217  86      111     288  70       96    116

dailydialog emotion consensus
      happiness  none anger sadness fear surprise disgust
train     11182 72143   827     969  146     1600     303
dev         684  7108    77      79   11      107       3
test       1019  6321   118     102   17      116      47
""")
)
SENTIMENTS = ("neutral", "positive", "negative")
# Orders that other repositories have, to name them by.
MERTOOLS_MELD = ("anger", "joy", "sadness", "neutral", "disgust", "fear", "surprise")
ORDERS = {
    "exc neu fru sad hap ang": "DialogXL's and DAG-ERC's",
    "neu exc fru sad hap ang": "EACL's",
    "neu fru sad ang exc hap": "tae898/erc's",
    "hap sad ang neu": "EmoBox's",
    "neu hap sad ang": "MulT's",
    "ang hap neu sad": "MMIN's",
    " ".join(MERTOOLS_MELD): "MERTools'",
    "anger disgust fear joy sadness surprise neutral": "EACL's",
    "neutral joy surprise anger sadness disgust fear": "tae898/erc's",
    "negative neutral positive": "MMSA's",
    "Joyful Neutral Powerful Mad Sad Scared Peaceful": "DialogXL's",
    "Joyful Neutral Powerful Mad Scared Peaceful Sad": "EACL's",
    "none anger disgust fear happiness sadness surprise": "DialogXL's",
}
# Layouts whose own order is another than that of the tables.
DOCUMENTED = {("mertools", "meld", "emotion"): MERTOOLS_MELD}
# What files call the codes of a corpus beside the codes themselves.
ALIASES = {
    "iemocap": "happy hap happiness hap sadness sad neutral neu angry ang anger ang excited exc "
    "excitement exc frustrated fru frustration fru surprise sur surprised sur fear fea fearful fea "
    "disgust dis disgusted dis other oth sur sur fea fea dis dis oth oth xxx xxx",
    "meld": "happy joy happiness joy sad sadness angry anger",
    "emorynlp": "",
    "dailydialog": "no_emotion none neutral none no none happy happiness joy happiness sad sadness "
    "angry anger",
}


def code_of(corpus: str, name: str) -> str | None:
    """The raw code of a corpus that a name stands for, None where it has no such name."""
    codes = {c for p in PUBLISHED if p.corpus == corpus for c in p.codes}
    words = ALIASES.get(corpus, "").split()
    names = dict(zip(words[::2], words[1::2], strict=True)) | {c.casefold(): c for c in codes}
    return names.get(name.strip().casefold().replace(" ", "_"))


def corpus_with(names: set[str]) -> str:
    """Whose classes have these names, `other` where nobody's."""
    by_corpus = {
        p.corpus: {c.casefold() for c in p.codes} for p in PUBLISHED if p.column == COLUMNS[0]
    }
    lowered = {name.casefold() for name in names}
    return next((c for c, codes in by_corpus.items() if lowered and lowered <= codes), "other")


def named(contents: Contents, classes: Sequence[str] | None) -> Contents:
    """The contents with raw codes of the corpus in place of class numbers and of other names.

    Args:
        contents: Emotions and sentiments are class numbers as text, or names.
        classes: Names of the emotions by number, where the user states them.

    Raises:
        UnusableError: The classes do not fit the numbers, or the counts prove another order.
    """
    for column in COLUMNS:
        values: set[str] = {v for t in contents.turns if (v := getattr(t, column)) is not None}
        if values and all(value.isascii() and value.isdecimal() for value in values):
            stated = classes if column == COLUMNS[0] else None
            contents = _numbered(contents, column, sorted(map(int, values)), stated)
        elif values:
            codes = {value: code_of(contents.corpus, value) or value for value in values}
            contents = _renamed(contents, column, codes)
            if contents.corpus == "iemocap" and column == "emotion":
                contents = _with_facts(contents)
    return contents


def _renamed(contents: Contents, column: str, codes: Mapping[str, str]) -> Contents:
    if all(name == code for name, code in codes.items()):
        return contents

    def renamed(turn: Turn) -> Turn:
        value = getattr(turn, column)
        return turn if value is None else replace(turn, **{column: codes[value]})  # type: ignore[arg-type]

    return replace(contents, turns=[renamed(turn) for turn in contents.turns])


def _numbered(
    contents: Contents, column: str, numbers: Sequence[int], stated: Sequence[str] | None
) -> Contents:
    counts, corpus = counts_by_group(contents, column), contents.corpus
    fits = ((t, o) for t in _tables(corpus, column) if (o := _order(t, counts, numbers)))
    table, order = next(fits, (None, None))
    if stated:
        given = _stated(corpus, stated, numbers)
        if order and any(order[n] != given[n] for n in numbers):
            raise UnusableError(
                f"corpus.classes says that {_listed(given, numbers)}, but the counts of its "
                f"classes are those of {_listed(order, numbers)}",
                "correct corpus.classes, or leave it out",
            )
        order = given
    remark = None
    if order is None and column == "sentiment" and corpus == "meld" and numbers[-1] < 3:
        order = dict(enumerate(SENTIMENTS))  # nobody has MELD's in another order
        remark = f"Its sentiments are taken as {_listed(order, numbers)}."
    elif order is None:
        remark = _unknown(contents, column, counts, numbers)
    elif table and tuple(order[n] for n in numbers) != _documented(contents, table):
        whose = ORDERS.get(" ".join(order[n] for n in numbers), "")
        remark = (
            f"The counts of its {column}s show another order of the classes than "
            f"{contents.layout} has: {_listed(order, numbers)}{whose and f' ({whose})'}."
        )
    if order and corpus == "iemocap" and column == "emotion":
        contents = replace(contents, **_facts_of(table, set(order.values())))  # type: ignore[arg-type]
    if order:
        contents = _renamed(contents, column, {str(number): order[number] for number in numbers})
    return replace(contents, remarks=[*contents.remarks, *([remark] if remark else ())])


def _listed(order: Mapping[int, str], numbers: Sequence[int]) -> str:
    return ", ".join(f"{number} is {order[number]}" for number in numbers)


def _with_facts(contents: Contents) -> Contents:
    """With what names of classes show: a policy by exact counts, and which classes are told apart.

    A policy that somebody stated stands.
    """
    counts = counts_by_group(contents, "emotion")
    exact = (t for t in _tables("iemocap", "emotion") if _are_of(t, counts))
    facts = _facts_of(next(exact, None), {code for by_code in counts.values() for code in by_code})
    if contents.label_policy != "consensus" or facts["label_sets"] is None:
        facts["label_policy"] = contents.label_policy
    return replace(contents, **facts)  # type: ignore[arg-type]


def _are_of(table: Published, counts: Mapping[str, Counter[str]]) -> bool:
    groups = [group for group in counts if group in (*table.counts, "all")]
    by_code = table.by_code(groups) if len(groups) == len(counts) else {}
    return bool(by_code) and all(
        {code: n[place] for code, n in by_code.items()} == dict(counts[group])
        for place, group in enumerate(groups)
    )


def _facts_of(table: Published | None, codes: set[str]) -> dict[str, object]:
    """The label policy of a file of IEMOCAP, and the label sets whose classes it tells apart."""
    if table:
        return {"label_policy": table.policy, "label_sets": table.label_sets}
    if "exc" not in codes:  # counted as happy in most files of four classes
        return {"label_policy": "consensus", "label_sets": ("four",)}
    if "fru" not in codes:
        return {"label_policy": "consensus", "label_sets": ("four", "four_no_exc")}
    return {"label_policy": "erc7433", "label_sets": None}


def counts_by_group(contents: Contents, column: str) -> dict[str, Counter[str]]:
    """Turns of each class by split, or of `all` where turns have none; IEMOCAP's by session."""
    counts: dict[str, Counter[str]] = {}
    for turn in contents.turns:
        if (value := getattr(turn, column)) is not None:
            counts.setdefault(_group(contents.corpus, turn) or "all", Counter())[value] += 1
    if "all" in counts and len(counts) > 1:
        return {"all": sum(counts.values(), Counter())}
    return counts


def published_counts(contents: Contents, column: str) -> dict[str, dict[str, int]]:
    """By group the published count of each code, of the files that have the same policy."""
    groups = list(counts_by_group(contents, column))
    for table in _tables(contents.corpus, column):
        same = table.policy == contents.label_policy and table.label_sets == contents.label_sets
        if same and set(groups) <= {*table.counts, "all"}:
            by_code = table.by_code(groups)
            return {g: {c: n[place] for c, n in by_code.items()} for place, g in enumerate(groups)}
    return {}


def _group(corpus: str, turn: Turn) -> str | None:
    if corpus == "iemocap" and turn.session:
        return "test" if turn.session == "5" else "train"
    return turn.split


def _tables(corpus: str, column: str) -> list[Published]:
    return [p for p in PUBLISHED if (p.corpus, p.column) == (corpus, column)]


def _order(
    table: Published, counts: Mapping[str, Counter[str]], numbers: Sequence[int]
) -> dict[int, str] | None:
    """The code of each number, where the counts are exactly the published ones."""
    groups = list(counts)
    if not set(groups) <= {*table.counts, "all"} or len(numbers) != len(table.codes):
        return None
    codes = {count: code for code, count in table.by_code(groups).items()}
    counted = {n: tuple(counts[g][str(n)] for g in groups) for n in numbers}
    if set(counted.values()) - codes.keys():
        return None
    return {n: codes[count] for n, count in counted.items()}


def _stated(corpus: str, stated: Sequence[str], numbers: Sequence[int]) -> dict[int, str]:
    if numbers[-1] >= len(stated):
        raise UnusableError(
            f"it has class number {numbers[-1]}, but corpus.classes names {len(stated)}: "
            f"{list(stated)}",
            "name all classes in corpus.classes, in the order of their numbers",
        )
    codes = [code_of(corpus, name) for name in stated]
    unknown = [name for name, code in zip(stated, codes, strict=True) if code is None]
    if unknown and _tables(corpus, COLUMNS[0]):
        expected = some(c for p in _tables(corpus, COLUMNS[0])[:1] for c in p.codes)
        raise UnusableError(
            f"corpus.classes has {some(unknown)}, which {corpus} lacks; expected {expected}",
            "correct corpus.classes",
        )
    return dict(enumerate(code or name for code, name in zip(codes, stated, strict=True)))


def _documented(contents: Contents, table: Published) -> tuple[str, ...]:
    return DOCUMENTED.get((contents.layout, contents.corpus, table.column), table.codes)


def _unknown(
    contents: Contents,
    column: str,
    counts: Mapping[str, Counter[str]],
    numbers: Sequence[int],
) -> str:
    """What is the nearest order, and where the counts differ from it."""
    nearest: tuple[list[str], tuple[str, ...]] | None = None
    for table in _tables(contents.corpus, column):
        groups = [group for group in counts if group in (*table.counts, "all")]
        published, order = table.by_code(groups), _documented(contents, table)
        differences = [
            f"{counts[group][str(number)]} {code} in {group} (published {published[code][place]})"
            for place, group in enumerate(groups)
            for number, code in enumerate(order)
            if counts[group][str(number)] != published[code][place]
        ]
        if numbers[-1] < len(order) and (not nearest or len(differences) < len(nearest[0])):
            nearest = differences, order
    tell = f" Nearest: {' '.join(nearest[1])}, with {some(nearest[0])}." if nearest else ""
    return f"Its {column}s are numbers, and their counts fit no published ones.{tell} {STATE}"
