"""What sections of params.yaml must agree on."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from pipeline.base.errors import PipelineError
from pipeline.base.settings import ROLES
from pipeline.weights.lock import read_lock
from pipeline.weights.names import parse


def problems(
    sections: Mapping[str, Mapping[str, Any]], corpora: list[str], systems: list[str]
) -> Iterator[str]:
    """One line for each disagreement of valid settings, given by section or system, and corpus."""
    for corpus in corpora:
        yield from _protocol(sections, corpus)
        yield from _modalities(sections, corpus, systems)
        yield from _encoders(sections, corpus)
        yield from _finetuning(sections, corpus)
        yield from _imported(sections, corpus)


def _protocol(sections: Mapping[str, Mapping[str, Any]], corpus: str) -> Iterator[str]:
    reader = sections["corpus"][corpus].reader
    for problem in sections["protocol"][corpus].unknown_to(reader):
        yield f"{corpus}.protocol.{problem}"


def _modalities(
    sections: Mapping[str, Mapping[str, Any]], corpus: str, systems: list[str]
) -> Iterator[str]:
    extracted = sections["extract"][corpus].modalities
    wrong: dict[str, list[str]] = {}
    for name in systems:
        settings = sections[name][corpus]
        for modality in settings.modalities:
            if settings.enabled and modality not in extracted:
                wrong.setdefault(modality, []).append(name)
    for modality, names in wrong.items():
        where = names[0] if len(names) == 1 else f"{{{','.join(names)}}}"
        yield (
            f"{corpus}.{where}.modalities: got {modality!r}, expected a modality that is "
            f"extracted; {corpus}.extract.modalities has {list(extracted)}"
        )


def _encoders(sections: Mapping[str, Mapping[str, Any]], corpus: str) -> Iterator[str]:
    """Refuse names that cannot be encoders'; whether their files can be had is not looked at."""
    lock = read_lock()
    for role in ROLES:
        name = sections[role][corpus].encoder
        try:
            if name is not None:
                parse(name, role, f"{corpus}.{role}.encoder", lock)
        except PipelineError as error:
            yield str(error)


def _finetuning(sections: Mapping[str, Mapping[str, Any]], corpus: str) -> Iterator[str]:
    if not sections["finetune"][corpus].enabled:
        return
    where = f"{corpus}.finetune.enabled: got true"
    if (rank := sections["finetune"][corpus].lora_rank) and find_spec("peft") is None:
        yield (
            f"{corpus}.finetune.lora_rank: got {rank}, which needs the package peft; expected 0, "
            "or `pip install 'peft>=0.17'`"
        )
    extracted = sections["extract"][corpus].modalities
    if "text" not in extracted:
        yield f"{where}, but {corpus}.extract.modalities is {list(extracted)}: no text is read"
    if "text" in sections["extract"][corpus].imported:
        yield f"{where}, but {corpus}.extract.imported has text: no encoder reads it here"
    if (protocol := sections["protocol"][corpus]).leaves_one_out:
        yield (
            f"{where}, but {corpus}.protocol.splits is {protocol.splits!r}: one encoder for all "
            "folds would have seen the test dialogues of each; expected splits with one fold"
        )


# Splits of which every encoder of published features has left the test part alone.
USUAL = ("official", "session5")


def _imported(sections: Mapping[str, Mapping[str, Any]], corpus: str) -> Iterator[str]:
    """Refuse to test on turns whose labels an encoder may have learnt."""
    extract, splits = sections["extract"][corpus], sections["protocol"][corpus].splits
    learnt = [m for m in extract.imported if extract.trained_on.get(m) != "none"]
    if splits not in USUAL and learnt:
        yield (
            f"{corpus}.protocol.splits: got {splits!r}, which tests on turns whose labels the "
            f"encoder of imported {learnt} may have seen; expected one of {list(USUAL)}, or `none` "
            f"for each in {corpus}.extract.trained_on, if it has seen no label of this corpus"
        )
