"""Export a corpus as the files that other repositories of the field read."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.base.display import table_cell
from pipeline.base.errors import PipelineError
from pipeline.base.files import replacing_folder
from pipeline.base.settings import MODALITIES, Modality
from pipeline.feature_files.export_folders import (
    write_emobox,
    write_mertools,
    write_mmsa,
    write_neutral,
)
from pipeline.feature_files.export_tuples import TUPLES, write_tuples
from pipeline.feature_files.exported import Exported, Written
from pipeline.feature_files.writing import write_rows
from pipeline.records.protocol import SPLITS

MARK = "<!-- Written by `python -m pipeline export`, which replaces this folder. -->"
README, MISSING = "README.md", "missing.csv"


@dataclass(frozen=True)
class Layout:
    """A layout that can be written.

    Attributes:
        readers: Whose code reads it.
        write: Writes its files into an empty folder.
        modalities: Those it has a place for; one of them must have been extracted.
        kinds: The corpora it knows; empty: any.
        edit: Where its code has the numbers of features, at the commits that were read.
        remarks: What its users should know, in sentences.
    """

    readers: str
    write: Callable[[Exported, Path], Written]
    modalities: Sequence[Modality] = MODALITIES
    kinds: Sequence[str] = ()
    edit: str = ""
    remarks: Sequence[str] = ()


COPIES = "The second to fourth layers of the text are copies of the first."
NO_VALID = "train holds the validation dialogues as well: that code knows no list of them."


def _tuples(name: str, readers: str, edit: str, *remarks: str) -> Layout:
    specs = TUPLES[name]
    modalities = next(iter(specs.values())).modalities
    return Layout(readers, partial(write_tuples, name), modalities, tuple(specs), edit, remarks)


LAYOUTS = {
    "mmgcn": _tuples(
        "mmgcn",
        "MMGCN, MM-DFN, GA2MIF and M3NET",
        "MMGCN train.py:333-336 (85732d98), MM-DFN code/run_train_erc.py:359-362 (da970366), M3NET "
        "train.py:340-343 (4d0fa88c)",
        "MMGCN has the path in dataloader.py:12; M3NET takes its text from the layout cosmic.",
        NO_VALID,
    ),
    "sdt": _tuples(
        "sdt",
        "SDT and AGF-IB, of IEMOCAP also CFN-ESA and GraphSmile",
        "SDT train.py:166-169 (60af9218), CFN-ESA run_*.py:151-153 (9ad11f85), GraphSmile "
        "run.py:231-235 (96745a22)",
        COPIES,
        NO_VALID,
    ),
    "cfn_esa": _tuples(
        "cfn_esa",
        "CFN-ESA and GraphSmile, of IEMOCAP also SDT and AGF-IB",
        "CFN-ESA run_*.py:151-153 (9ad11f85), GraphSmile run.py:231-235 (96745a22)",
        COPIES,
        NO_VALID,
    ),
    "cosmic": _tuples(
        "cosmic",
        "COSMIC, DialogueCRN and M3NET (its text)",
        "M3NET train.py:340-343 (4d0fa88c), in the others the 1024 of their models",
        COPIES,
        "COSMIC itself also needs the file of COMET's features.",
    ),
    "multiemo": _tuples(
        "multiemo",
        "MultiEMO",
        "the 768, 512 and 1000 of its models",
        "The files belong into its Data/IEMOCAP or Data/MELD.",
        NO_VALID,
    ),
    "mmsa": Layout("MMSA and its kin", write_mmsa),
    "mertools": Layout("MERTools (MERBench)", write_mertools),
    "emobox": Layout("EmoBox", write_emobox, ("audio",)),
    "neutral": Layout("this pipeline, and what reads CSV and npz", write_neutral),
}


def export(name: str, exported: Exported, out: Path) -> None:
    """Write a corpus in a layout, and a README.md beside it; the whole folder or nothing.

    Raises:
        PipelineError: The corpus does not fit the layout, or the folder holds other things.
    """
    layout, out = LAYOUTS[name], out.absolute()
    _check(name, exported)
    with replacing_folder(out) as new:
        written = layout.write(exported, new)
        missing = [
            (u.utterance, modality)
            for modality in written.modalities
            for u in written.utterances
            if not len(exported.vectors(modality, u))
        ]
        write_rows(new / MISSING, ("utterance", "modality"), missing)
        lacking = Counter(modality for _, modality in missing)
        page = "\n".join(_page(name, exported, written, lacking))
        (new / README).write_text(page, "utf-8", newline="\n")
        _check_folder(out, new)


def fitting(exported: Exported) -> list[str]:
    """The layouts that have a place for a corpus."""
    return [
        name
        for name, layout in LAYOUTS.items()
        if (not layout.kinds or exported.kind in layout.kinds)
        and any(m in exported.stores for m in layout.modalities)
    ]


def _check(name: str, exported: Exported) -> None:
    layout, others = LAYOUTS[name], fitting(exported)
    if name in others:
        return
    if layout.kinds and exported.kind not in layout.kinds:
        why = (
            f"its dialogues are not named as those of {' or '.join(layout.kinds)} are, and the "
            f"layout {name} knows no others"
        )
    else:
        why = (
            f"the layout {name} holds {', '.join(layout.modalities)}, and of this corpus "
            f"{', '.join(exported.stores) or 'nothing'} was extracted"
        )
    raise PipelineError(
        f"{exported.corpus} cannot be exported as {name}: {why}. Layouts that fit: "
        f"{', '.join(others) or 'none; name modalities in CORPUS.extract and run `dvc repro`'}."
    )


def _check_folder(out: Path, new: Path) -> None:
    """Refuse to replace what this command has not written."""
    if out.exists() and not out.is_dir():
        raise PipelineError(f"{out} is a file, expected the name of a folder: choose another.")
    there = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    readme = out / README
    ours = readme.is_file() and readme.read_bytes().startswith(MARK.encode())
    if others := [name for name in there if not ours or not (new / name).is_file()]:
        raise PipelineError(
            f"{out} holds {others[:5]}, which this export does not write and would delete: name a "
            "folder that is empty or not there yet."
        )


def _remarks(layout: Layout, exported: Exported, written: Written) -> Iterator[str]:
    expected = written.expected
    for modality in (m for m in written.modalities if m not in exported.stores):
        width = exported.width(modality, expected.get(modality, 1))
        yield f"{modality} was not extracted: its vectors are zeros, {width} each."
    if other := [m for m, width in expected.items() if exported.width(m, width) != width]:
        yield f"{', '.join(other)}: not as many features as expected; edit {layout.edit}."
    if left := len(exported.utterances) - len(written.utterances):
        yield f"{left} of {len(exported.utterances)} utterances have no label and are left out."
    if (folds := len(exported.protocol.folds)) > 1 and layout.write is not write_emobox:
        yield f"The protocol has {folds} folds; the splits are those of the first."
    yield from (*layout.remarks, *written.remarks)
    yield "Features derive from their corpus and inherit its terms."


def _page(
    name: str, exported: Exported, written: Written, lacking: Mapping[Modality, int]
) -> Iterator[str]:
    """Yields the lines of README.md."""
    layout = LAYOUTS[name]
    yield from (MARK, "", f"# {exported.corpus} as {name}", "", f"For {layout.readers}.")
    yield from _table("Files", ("file", "holds"), written.files.items())
    head = ("modality", "features", "expected", "missing", "made with", "trained on labels of")
    vectors = [
        (
            modality,
            exported.width(modality, written.expected.get(modality, 1)),
            written.expected.get(modality, "any"),
            f"{lacking[modality]} of {len(written.utterances)}",
            exported.made_with.get(modality, "-"),
            exported.trained_on.get(modality, "-"),
        )
        for modality in written.modalities
    ]
    yield from _table("Vectors", head, vectors)
    where = "are in no file" if name == "neutral" else "are zeros, which that code takes for data"
    yield from ("", f"Missing ones {where}; {MISSING} lists them.")
    if written.classes:
        yield from _table("Classes", ("number", "class"), enumerate(written.classes))
    known = {u.utterance for u in written.utterances}
    turns = [turn for turn in exported.first_fold if turn.utterance.utterance in known]
    splits = {s: [t.utterance.dialogue for t in turns if t.split == s] for s in SPLITS}
    counts = [(split, len(set(names)), len(names)) for split, names in splits.items()]
    yield from _table("Splits", ("split", "dialogues", "labelled utterances"), counts)
    yield from ("", "## What to know", "")
    yield from (f"- {remark}" for remark in _remarks(layout, exported, written))
    yield ""


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield from ("", f"## {title}", "", f"| {' | '.join(head)} |", "| --- " * len(head) + "|")
    yield from (f"| {' | '.join(table_cell(str(cell)) for cell in row)} |" for row in rows)
