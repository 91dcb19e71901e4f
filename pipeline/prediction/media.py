"""What a conversation's utterances have and lack: words, and clips that can be opened."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.base.settings import Modality
from pipeline.corpora.inspect import inspected
from pipeline.prediction.conversation import NO_CLIP
from pipeline.records.ledger import Problem
from pipeline.records.manifest import Utterance


def looked_at(
    utterances: Sequence[Utterance], folder: Path, max_seconds: float, modalities: Sequence[str]
) -> tuple[list[Utterance], list[Problem]]:
    """Opens every clip once, as the stage `manifest` does.

    Args:
        utterances: As `read_conversation` gives them.
        folder: That clips are relative to.
        max_seconds: Longer segments are cut to this.
        modalities: Those the model reads; nothing is told of others.

    Returns:
        The utterances with digests and ends, and the ledger, in order.
    """
    with_clip = [u for u in utterances if u.video.missing is None]
    done, problems = inspected(with_clip, folder, max_seconds, "clips conversation", modalities)
    whole = {u.utterance: u for u in done}
    every = [p for u in utterances for p in _lacking(u)] + problems
    place = {u.utterance: number for number, u in enumerate(utterances)}
    read = [problem for problem in every if problem.modality in modalities]
    read.sort(key=lambda problem: place[problem.utterance])
    return [whole.get(u.utterance, u) for u in utterances], read


def _lacking(u: Utterance) -> Iterator[Problem]:
    if not u.text.strip():
        yield Problem(u.utterance, "text", "no_text", "its row has no words")
    if u.video.missing is not None:
        both: tuple[Modality, ...] = ("audio", "visual")
        for modality in both:
            yield Problem(u.utterance, modality, NO_CLIP, "its row names no clip")
