"""What sections of params.yaml must agree on with each other and with the weights' lock."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any, get_args

from pipeline.errors import PipelineError
from pipeline.weights.lock import Role, read_lock
from pipeline.weights.reference import parse

ROLES: tuple[Role, ...] = get_args(Role)


def problems(sections: Mapping[str, Mapping[str, Any]], corpora: list[str]) -> Iterator[str]:
    """One line for each disagreement.

    Args:
        sections: Valid settings by section and corpus.
        corpora: The selected corpora.
    """
    for corpus in corpora:
        yield from _modalities(sections, corpus)
        yield from _encoders(sections, corpus)
        yield from _finetuning(sections, corpus)


def _modalities(sections: Mapping[str, Mapping[str, Any]], corpus: str) -> Iterator[str]:
    extracted = sections["extract"][corpus].modalities
    for modality in sections["model"][corpus].modalities:
        if modality not in extracted:
            yield (
                f"model.{corpus}.modalities: got {modality!r}, expected a modality that is "
                f"extracted; extract.{corpus}.modalities has {list(extracted)}"
            )


def _encoders(sections: Mapping[str, Mapping[str, Any]], corpus: str) -> Iterator[str]:
    """Names of encoders that cannot be meant; whether their files can be had is not looked at."""
    lock = read_lock()
    for role in ROLES:
        name = sections[role][corpus].encoder
        try:
            if name is not None:
                parse(name, role, f"{role}.{corpus}.encoder", lock)
        except PipelineError as error:
            yield str(error)


def _finetuning(sections: Mapping[str, Mapping[str, Any]], corpus: str) -> Iterator[str]:
    if not sections["finetune"][corpus].enabled:
        return
    where = f"finetune.{corpus}.enabled: got true"
    if (rank := sections["finetune"][corpus].lora_rank) and find_spec("peft") is None:
        yield (
            f"finetune.{corpus}.lora_rank: got {rank}, which needs the package peft; expected 0, "
            "or `pip install 'peft>=0.17'`"
        )
    extracted = sections["extract"][corpus].modalities
    if "text" not in extracted:
        yield f"{where}, but extract.{corpus}.modalities is {list(extracted)}: no text is read"
    if (splits := sections["protocol"][corpus].splits) == "leave_one_session_out":
        yield (
            f"{where}, but protocol.{corpus}.splits is {splits!r}: one encoder for all folds would "
            "have seen the test dialogues of each; expected splits with one fold"
        )
