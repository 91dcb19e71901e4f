"""What every ERC system is: its settings, a classifier of turns, the named terms of its loss."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import chain
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from pipeline.base.settings import MODALITIES, Modality, Section, canonical
from pipeline.nn.batch import Dialogue, DialogueBatch
from pipeline.nn.entropy import Entropy
from pipeline.nn.inputs import Inputs, Standardise
from pipeline.nn.optimise import Player

Fidelity = Literal["code", "paper", "abstract", "our reading"]
PACKAGE = "pipeline.systems"


@dataclass(frozen=True)
class Source:
    """Where a system comes from, printed beside its figures."""

    fidelity: Fidelity
    """What was read of it, or that it is our reading."""

    citation: str
    commit: str = ""
    """OWNER/NAME@SHA at which the public code, or a part of it, was read."""

    adapted: str = ""
    """What differs here, and why."""


class BasicSettings(Section):
    """What the block of every system holds."""

    enabled: bool = Field(description="false: the system is left out on this corpus.")
    modalities: tuple[Modality, ...] = Field(min_length=1)

    @field_validator("modalities")
    @classmethod
    def _canonical(cls, value: tuple[Modality, ...]) -> tuple[Modality, ...]:
        return canonical(value)


class FeatureSettings(BasicSettings):
    """Of a system that reads features."""

    standardise: Literal["corpus", "speaker"] = Field(
        description="By the train split's mean and deviation; or before that each speaker by their "
        "own in the split at hand, without labels, for which they need several utterances."
    )


class Settings(FeatureSettings):
    """What every system that learns by gradients has: a run per seed, and how it is optimised."""

    seeds: tuple[int, ...] = Field(min_length=1)
    epochs: int = Field(ge=1, le=10_000, description="At most.")
    patience: int = Field(ge=1, description="Epochs without a better validation weighted F1.")
    workers: int = Field(
        ge=1, le=256, description="Processes that train seeds and folds; changes no byte."
    )
    threads: int = Field(
        ge=1, le=256, description="CPU threads of a process; they enter the last bits."
    )
    batch_size: int = Field(ge=1, description="Dialogues per batch.")
    accumulation: int = Field(
        ge=1, description="Split each batch into this many parts, to save memory."
    )
    sampling: Literal["all", "class_balanced"] = Field(
        description="Each dialogue once an epoch, or those with rare classes more often."
    )
    learning_rate: float = Field(gt=0, le=1)
    weight_decay: float = Field(ge=0, le=1)
    warmup: float = Field(ge=0, lt=1, description="Share of all steps with a rising learning rate.")
    schedule: Literal["cosine", "linear", "plateau", "constant"] = Field(
        description="After the warm-up: down to 0 at the last of `epochs`, lower when validation "
        "no longer improves, or level."
    )
    plateau_patience: int = Field(
        ge=0, description="plateau: epochs without improvement before the rate drops."
    )
    plateau_factor: float = Field(gt=0, lt=1, description="plateau: the rate is multiplied by it.")
    gradient_clip: float = Field(gt=0, description="Largest norm of the gradient.")
    class_weights: Literal["none", "inverse", "effective_number"] = Field(
        description="Cross-entropy weights from the train split's class counts."
    )
    label_smoothing: float = Field(ge=0, lt=1)
    focal: float = Field(
        ge=0, le=10, description="Gamma of the focal loss, which favours hard utterances; 0: off."
    )
    limit: float = Field(gt=0, description="Clamp standardised inputs to +- this many stds.")

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"names a seed twice: {list(value)}")
        if min(value) < 0 or max(value) >= 2**31:
            raise ValueError("seeds lie between 0 and 2147483647")
        return value


@dataclass(frozen=True)
class Shape:
    """What the data look like: all that a network's size depends on besides its settings."""

    features: dict[str, int]
    """Size of the feature vectors by modality in use; any order becomes the canonical one."""

    classes: int
    speakers: int
    """Most speakers of a dialogue of the train split."""

    def __post_init__(self) -> None:
        ordered = {m: self.features[m] for m in MODALITIES if m in self.features}
        object.__setattr__(self, "features", ordered)


@dataclass(frozen=True)
class Output:
    """What a system makes of a batch; values in padded turns mean nothing."""

    logits: Tensor
    """[batch, turn, class]."""

    extra: Mapping[str, Any] = field(default_factory=dict)
    """Whatever the system's own loss terms need."""


class System(nn.Module):
    """A classifier of every turn of a dialogue.

    A prediction depends on its own dialogue alone, not on its batch or padding.
    """

    Settings: ClassVar[type[BasicSettings]] = Settings
    SOURCE: ClassVar[Source]
    READS_HEAD: ClassVar[bool] = False
    """Whether it takes over the head that was fine-tuned with the text encoder."""

    READS_WORDS: ClassVar[bool] = False
    """Whether it reads the texts themselves, beside the features."""

    READS_DIALOGUE: bool = True
    """Whether it reads other turns too, unless its setting `context` is `none`.

    A system that does so by another setting sets it when it is made."""

    NUMBERS_SPEAKERS: bool = False
    """Whether it knows speakers by their number in order of appearance, not just who is who.

    A system that does so by a setting sets it when it is made."""

    ROUNDS: tuple[tuple[str, ...], ...] = ()
    """The players that step after each forward of a batch; () for all of them after the one.

    A system that plays so by a setting sets it when it is made."""

    def __init__(self, settings: Any, shape: Shape) -> None:
        super().__init__()
        self.settings, self.shape = settings, shape

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(chain(self.parameters(), self.buffers())).device

    @classmethod
    def sizes_of(cls, weights: Mapping[str, Tensor]) -> dict[str, int]:
        """Further sizes of its tensors, which the constructor takes by name."""
        return {}

    @classmethod
    def stages(cls, settings: Any) -> tuple[str, ...]:
        """Stages of training one after another, each with epochs and a selection of its own."""
        return ("",)

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        raise NotImplementedError

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """Weighted terms by name; their sum, in this order, is minimised."""
        return {"cross_entropy": entropy(output.logits, batch.labels)}

    def players(self) -> dict[str, Player]:
        """Groups of parameters by name, each with an optimiser of its own."""
        return {"all": Player(list(self.parameters()))}

    def enter(self, stage: str) -> None:
        """Begin a stage of `stages`: freeze and free what it needs.

        A resumed run enters its own stage alone: what earlier ones left is in the state.
        """

    def standardised(self) -> Iterator[tuple[str, Standardise]]:
        """What takes the train split's statistics of each modality."""
        for module in self.modules():
            if isinstance(module, Inputs):
                yield from module.standardised()

    def prepare(self, train: Sequence[Dialogue]) -> None:
        """Take other statistics of the train split, into buffers."""

    def after_step(self, output: Output, batch: DialogueBatch) -> None:
        """Update prototypes or queues, which are buffers, after an optimiser's step."""

    def after_epoch(self, valid: Iterable[tuple[Output, DialogueBatch]]) -> None:
        """Choose by validation, into buffers, before the epoch's predictions are made.

        Args:
            valid: Each batch costs a forward, in evaluation mode, when it is taken.
        """

    def figures(self, output: Output, batch: DialogueBatch) -> dict[str, Tensor]:
        """Scalars by name that are not learnt from: further columns of history.csv."""
        return {}


class FittedSettings(BasicSettings):
    """Of systems that are fitted at once: a single run, in this process."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The one run, whose numbers are not random."""
        return (0,)

    @property
    def workers(self) -> int:
        """Processes that train."""
        return 1


class LinearSettings(FittedSettings):
    """Of a linear classifier."""

    regularisation: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        min_length=1, description="Inverse strengths C that are tried; validation chooses."
    )


class ProbeSettings(LinearSettings, FeatureSettings):
    """Of a linear classifier of features."""


class Fitted(System):
    """A system that is fitted at once: its one epoch has no steps."""

    Settings: ClassVar[type[BasicSettings]] = FittedSettings
    READS_DIALOGUE = False

    def fit(self, train: Sequence[Dialogue], valid: Sequence[Dialogue], corpus: str) -> None:
        """Set the parameters from the labelled turns of both splits of a corpus.

        Raises:
            LeftOut: This corpus has nothing to fit it on.
        """
        raise NotImplementedError


class LeftOut(Exception):  # noqa: N818 - it is no error
    """A system cannot run on a corpus; the message says why."""


def system(name: str) -> type[System]:
    """The class of a system: the one that its module defines.

    A module's name is all that is needed, so adding a system re-trains no other.
    """
    module = import_module(f"{PACKAGE}.{name}")
    (found,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, System)
        and value.__module__ == module.__name__
    )
    return found


def parameters(network: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(p.numel() for p in _learnt(network))


def _learnt(network: nn.Module) -> Iterable[nn.Parameter]:
    return (p for p in network.parameters() if p.requires_grad)
