"""`python -m pipeline inspect FILE...`: what feature files hold, and how to import them."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.table import Table

from pipeline.base import paths
from pipeline.base.display import say, terminal
from pipeline.base.errors import PipelineError
from pipeline.base.files import replacing_folder, write_text
from pipeline.base.params import PARAMS
from pipeline.base.settings import MODALITIES, Modality
from pipeline.corpora import clips
from pipeline.corpora.feature_file import lacking, utterances_of
from pipeline.corpora.registry import KNOWN
from pipeline.doctor.advice import protocol_of
from pipeline.doctor.proposal import block, check_name
from pipeline.feature_files.contents import Contents
from pipeline.feature_files.read import read
from pipeline.feature_files.summary import facts
from pipeline.records.utterance_table import is_clips

EXAMPLE = "mine"
ALL = set(MODALITIES)
LONGEST = 60  # seconds of a clip


def inspect(files: Sequence[Path], add: str | None) -> None:
    """Print what each file holds, and a block of params.yaml that imports them together.

    Args:
        files: Files or folders; the first that names speakers and labels gives the manifest. Or
            one folder of clips with utterances.csv.
        add: Name of a corpus to make of them: they are copied to data/raw, and the block is added
            to params.yaml. None: the block is printed.

    Raises:
        PipelineError: A file cannot be read, or no corpus can be made of them.
    """
    files = [file.resolve() for file in files]  # `.` has no name
    text = PARAMS.read_text(encoding="utf-8")
    check_name(add or EXAMPLE, text)
    if [folder for folder in files if is_clips(folder)]:
        _inspect_clips(files, add, text)
        return
    if repeated := sorted({file.name for file in files if _named_alike(file, files)}):
        raise PipelineError(f"Several files are called {repeated}: give them different names.")
    seen: dict[Path, Contents] = {}
    for file in files:
        seen[file] = read(file)
        _show(file, seen[file])
    source = next((file for file, contents in seen.items() if not lacking(contents)), None)
    if source is None:
        say(
            "No file names both speakers and labels: their vectors can be imported beside the "
            f"official annotations (CORPUS.extract.imported: {_imported(seen)})."
        )
        return
    imported = _imported(seen)
    modalities = [m for m in MODALITIES if m in imported]
    of = seen[source].corpus
    changes = _changes(source, seen[source], imported)
    for modality, name in imported.items():
        say(f"{modality} is taken from {name}")
    for name in (file.name for file in files if file.name not in (*imported.values(), source.name)):
        say(f"nothing is taken from {name}")
    lines = block(add or EXAMPLE, of, changes, modalities, text)
    if add is None:
        say(f"\nA corpus of them, as `--add {EXAMPLE}` would add it to {PARAMS}:\n\n{lines}")
        return
    with _adding(add, lines, text) as folder, replacing_folder(folder) as part:
        for file in files:
            copy = shutil.copytree if file.is_dir() else shutil.copyfile
            copy(file, part / file.name)


def _named_alike(file: Path, files: Sequence[Path]) -> bool:
    return sum(other.name == file.name for other in files) > 1


def _show(file: Path, contents: Contents) -> None:
    table = Table(
        title=str(file), title_justify="left", show_header=False, box=None, pad_edge=False
    )
    table.add_column()
    table.add_column(overflow="fold")  # digests are compared
    for name, fact in facts(contents):
        table.add_row(name, fact)
    terminal().print(table)
    say("")


def _imported(seen: Mapping[Path, Contents]) -> dict[Modality, str]:
    """The file of each modality: of several that have it, the one that has the fewest others."""
    imported: dict[Modality, str] = {}
    for modality in MODALITIES:
        having = [file for file, contents in seen.items() if modality in contents.vectors]
        if having:
            imported[modality] = min(
                having, key=lambda file: len(seen[file].vectors.keys() & ALL)
            ).name
    return imported


def _changes(source: Path, contents: Contents, imported: Mapping[Modality, str]) -> dict[str, str]:
    if not imported:
        raise PipelineError(
            f"{source} holds no vectors: name the files that do, too. Labels and splits alone make "
            "no corpus."
        )
    of = contents.corpus
    files = ", ".join(f"{modality}: {_quoted(file)}" for modality, file in imported.items())
    numbers = any((turn.emotion or "").isdecimal() for turn in contents.turns)
    order = f", classes: [{', '.join(_order(of))}]" if numbers else ""
    whole = "true" if of == "meld" and not numbers else "false"
    corpus = f"{{reader: features, of: {of}, file: {_quoted(source.name)}, full: {whole}{order}}}"
    return {
        "corpus": f"{corpus} # is this the order of its class numbers?" if order else corpus,
        "extract": f"{{modalities: [{', '.join(imported)}], imported: {{{files}}}}}",
        **({"protocol": protocol} if (protocol := _protocol(contents)) else {}),
    }


def _order(of: str) -> tuple[str, ...]:
    """The corpus' own order of its classes, which most files have."""
    label_sets = KNOWN[of].label_sets
    return next(iter(label_sets.values())).classes if label_sets else ()


def _quoted(name: str) -> str:
    """A name in YAML, within a flow mapping."""
    return "'" + name.replace("'", "''") + "'"


def _protocol(contents: Contents) -> str | None:
    """The labels and splits of a corpus that the copied block does not fit."""
    names = {"mosi": "seven", "sims": "five"}
    if contents.corpus in names:
        return f"{{<<: *protocol, label_set: {names[contents.corpus]}}}"
    if contents.corpus == "iemocap":
        label_set = contents.label_sets[0] if contents.label_sets else "six"
        return (
            f"{{<<: *protocol, label_set: {label_set}, label_policy: {contents.label_policy}, "
            "splits: session5, validation: cosmic}"
        )
    if contents.corpus != "other":
        return None
    return protocol_of(list(utterances_of(contents)))


@contextmanager
def _adding(name: str, lines: str, text: str) -> Iterator[Path]:
    """Yield where the files of a corpus go, then add its block to params.yaml."""
    folder = paths.raw(name)
    if folder.is_symlink() or folder.exists():
        raise PipelineError(f"{folder} is there already: choose another name, or delete it.")
    yield folder
    write_text(PARAMS, f"{text.rstrip()}\n\n{lines}")
    say(f"{folder} is there; {PARAMS} has the block {name} at its end")
    say(f"next: dvc exp run --name {name} -S 'corpora=[{name}]' -S 'demos=[]'")


def _inspect_clips(files: Sequence[Path], add: str | None, text: str) -> None:
    """A folder of clips and a table, which needs no reader of its own."""
    if len(files) > 1:
        raise PipelineError(f"{files[0]}: a folder of clips is inspected alone.")
    (home,) = files
    raw = clips.read(home, clips.ClipsOptions(reader="clips", full=False, max_seconds=LONGEST))
    utterances = raw.utterances
    there: dict[Modality, bool] = {
        "text": any(u.text.strip() for u in utterances),
        "audio": any(u.audio for u in utterances),
        "visual": any(u.video for u in utterances),
    }
    modalities = [modality for modality in MODALITIES if there[modality]]
    say(
        f"{home}: {len(utterances)} utterances, {len({u.dialogue for u in utterances})} dialogues, "
        f"{len({u.speaker for u in utterances})} speakers, {', '.join(modalities)}"
    )
    changes = {
        "corpus": f"{{reader: clips, full: false, max_seconds: {LONGEST}}}",
        "protocol": protocol_of(utterances),
        "extract": f"{{modalities: [{', '.join(modalities)}]}}",
    }
    lines = block(add or EXAMPLE, "clips", changes, modalities, text)
    if add is None:
        say(f"\nThe block that `--add {EXAMPLE}` would add to {PARAMS}:\n\n{lines}")
        return
    with _adding(add, lines, text) as folder:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.symlink_to(home, target_is_directory=True)  # clips are large
