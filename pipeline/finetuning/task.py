"""Data and settings of one fine-tuning run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.base.errors import PipelineError
from pipeline.base.settings import ComputeSettings
from pipeline.features.text.settings import TextSettings
from pipeline.finetuning.examples import Example, Examples
from pipeline.finetuning.settings import FinetuneSettings


@dataclass(frozen=True)
class Task:
    """Data and settings of a run.

    Attributes:
        folder: Folder of the pretrained encoder.
        classes: Number of classes.
        train: Examples to learn from.
        valid: Examples to choose the epoch by; if empty, as in a part, the last epoch is kept.
        epochs: At most; the learning rate still falls over those of the settings.
        text: Settings of reading and pooling turns.
        settings: Settings of fine-tuning.
        compute: Settings of the machine; `device` is resolved, never `auto`.
    """

    folder: Path
    classes: int
    train: Sequence[Example]
    valid: Sequence[Example]
    epochs: int
    text: TextSettings
    settings: FinetuneSettings
    compute: ComputeSettings

    @property
    def sentiments(self) -> list[str]:
        """The raw codes that the second head tells apart; none without that head."""
        codes = {e.sentiment for e in self.train if e.sentiment is not None}
        return sorted(codes) if self.settings.sentiment else []

    def without(self, dialogues: Sequence[str], epochs: int) -> "Task":
        """The task of a part: without some dialogues, for so many epochs, chosen by nothing.

        Raises:
            PipelineError: Nothing is left to learn from.
        """
        left_out = set(dialogues)
        learnt = [e for e in self.train if e.dialogue not in left_out]
        if not learnt:
            raise PipelineError(
                "CORPUS.finetune.cross_fit: all labelled utterances with text of the train split "
                "are in one of the parts, which leaves nothing to learn from. Set it to 0."
            )
        return replace(self, train=learnt, valid=[], epochs=epochs)


def task_of(
    examples: Examples,
    folder: Path,
    text: TextSettings,
    settings: FinetuneSettings,
    compute: ComputeSettings,
) -> Task:
    """Make the task of learning from the whole train split."""
    return Task(
        folder=folder,
        classes=len(examples.classes),
        train=examples.train,
        valid=examples.valid,
        epochs=settings.epochs,
        text=text,
        settings=settings,
        compute=compute,
    )
