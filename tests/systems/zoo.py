"""Any system of the registry, small, and conversations for it to read."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pipeline.base.params import read_params
from pipeline.base.settings import MODALITIES, ComputeSettings
from pipeline.base.state import StateFile
from pipeline.nn.batch import Dialogue, DialogueBatch, collate
from pipeline.nn.entropy import Entropy
from pipeline.systems.base import Fitted, Shape, System, system
from pipeline.systems.registry import SYSTEMS
from pipeline.training.data import Fold
from pipeline.training.fit import Run, RunState
from pipeline.training.learner import DialogueLearner
from tests.conftest import PARAMS

PARAMETERS = read_params(PARAMS)
EVERY = tuple(SYSTEMS)
LEARNERS = tuple(name for name in SYSTEMS if not issubclass(system(name), Fitted))
CORPUS = "demo_meld"
CLASSES = 4
DIMENSIONS = {"text": 5, "audio": 7, "visual": 6}
FRAMES = 3
WORDS = ("so", "what", "no", "yes", "fine", "why", "go", "!", "?")
# Settings that a system may have.
SMALL = {
    "width": 16,
    "hidden": 16,
    "states": 16,
    "emotions": 16,
    "projection": 8,
    "code": 8,
    "discriminator": (16, 8),
    "heads": 2,
    "feedforward": 32,
    "compressed": 8,
    "input_dropout": 0.0,
    "layers": 1,
    "epochs": 3,
    "batch_size": 2,
    "threads": 1,
    "warmup": 0.0,
    "regularisation": (0.1,),
}
DROPOUTS = ("dropout", "recurrent_dropout")


def conversation(
    seed: int,
    turns: int,
    *,
    speakers: int = 3,
    missing: float = 0.25,
    labelled: float = 0.9,
    clarity: float = 0.0,
) -> Dialogue:
    """A random dialogue.

    A share of each modality is missing, a share of the turns labelled; `clarity` is how much larger
    the feature of a turn's class is than it would be otherwise.
    """
    draw, words = torch.Generator().manual_seed(seed), random.Random(seed)
    there = {m: torch.rand(turns, generator=draw) >= missing for m in MODALITIES}
    frames = torch.randint(1, FRAMES + 1, (turns, 1), generator=draw)
    frame_mask = (torch.arange(FRAMES) < frames) & there["visual"].unsqueeze(1)
    labels = torch.randint(CLASSES, (turns,), generator=draw)
    features = {
        m: torch.randn(turns, FRAMES if m == "visual" else 1, DIMENSIONS[m], generator=draw)
        for m in MODALITIES
    }
    for vectors in features.values():
        vectors[..., :CLASSES] += clarity * one_hot(labels, CLASSES).unsqueeze(1)
    features = {m: v if m == "visual" else v.squeeze(1) for m, v in features.items()}
    real = {m: frame_mask if m == "visual" else there[m] for m in MODALITIES}
    names = torch.randint(speakers, (turns,), generator=draw).tolist()
    order = list(dict.fromkeys(names))
    return Dialogue(
        name=f"d{seed}",
        utterances=[f"d{seed}u{turn}" for turn in range(turns)],
        features={m: v.masked_fill(~real[m].unsqueeze(-1), 0) for m, v in features.items()},
        frame_mask=frame_mask,
        present=there,
        speakers=torch.tensor([order.index(name) for name in names]),
        labels=labels.masked_fill(torch.rand(turns, generator=draw) >= labelled, -1),
        texts=[" ".join(words.choices(WORDS, k=words.randint(1, 5))) for _ in range(turns)],
    )


def conversations(lengths: Sequence[int], seed: int = 0, **options: Any) -> list[Dialogue]:
    return [conversation(1000 * seed + n, turns, **options) for n, turns in enumerate(lengths)]


TRAIN = conversations((6, 1, 9, 4), seed=1)
VALID = conversations((5, 3), seed=2)
TEST = conversations((4, 7), seed=3)


def shrunk(name: str, **options: Any) -> Any:
    """Settings of a system for a demo corpus, with small sizes and without dropout."""
    settings = system(name).Settings(**PARAMETERS.blocks[CORPUS][name])
    small = {**SMALL, **dict.fromkeys(DROPOUTS, 0.0), **options}
    known = {key: value for key, value in small.items() if key in type(settings).model_fields}
    return type(settings)(**settings.model_dump() | known)


def shape_of(settings: Any) -> Shape:
    return Shape({m: DIMENSIONS[m] for m in settings.modalities}, CLASSES, speakers=3)


def make(name: str, seed: int = 0, **options: Any) -> System:
    """A small system in eval mode, new; or fitted, where it is fitted at once."""
    torch.manual_seed(seed)
    settings = shrunk(name, **options)
    made = system(name)(settings, shape_of(settings))
    if isinstance(made, Fitted):
        made.fit(reduced(TRAIN, settings), reduced(VALID, settings), CORPUS)
    return made.eval()


def reduced(dialogues: Sequence[Dialogue], settings: Any) -> list[Dialogue]:
    """Dialogues with the modalities that a system reads."""
    return [
        replace(
            dialogue,
            features={m: dialogue.features[m] for m in settings.modalities},
            present={m: dialogue.present[m] for m in settings.modalities},
            frame_mask=dialogue.frame_mask if "visual" in settings.modalities else None,
        )
        for dialogue in dialogues
    ]


def fold_of(name: str, **options: Any) -> Fold:
    """A small fold, and the system that learns from it; `options` are settings or splits."""
    splits = {"train": TRAIN, "valid": VALID, "test": TEST}
    splits = {split: options.pop(split, dialogues) for split, dialogues in splits.items()}
    settings = shrunk(name, **options)
    compute = PARAMETERS.of(ComputeSettings).model_copy(update={"device": "cpu"})
    return Fold(
        corpus=CORPUS,
        name=name,
        settings=settings,
        compute=compute,
        shape=shape_of(settings),
        **{split: reduced(dialogues, settings) for split, dialogues in splits.items()},
    )


def batch_of(made: System, dialogues: Sequence[Dialogue], turns: int = 0) -> DialogueBatch:
    """Dialogues as a batch for a system, padded with so many turns more than they need."""
    batch = collate(reduced(dialogues, made.settings))

    def wider(values: Tensor, filler: int = 0) -> Tensor:
        more = values.new_full((len(values), turns, *values.shape[2:]), filler)
        return torch.cat((values, more), dim=1)

    return replace(
        batch,
        features={m: wider(v) for m, v in batch.features.items()},
        frame_mask=None if batch.frame_mask is None else wider(batch.frame_mask),
        present={m: wider(v) for m, v in batch.present.items()},
        turn_mask=wider(batch.turn_mask),
        speakers=wider(batch.speakers),
        labels=wider(batch.labels, -1),
    )


def starting_with(letters: str) -> tuple[str, ...]:
    """Modalities by their first letters."""
    return tuple(m for m in MODALITIES if m[0] in letters)


def each_dialogue(
    made: System, batch: DialogueBatch
) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor], list[int]]]:
    """What a naive network reads of the real turns of each dialogue.

    Yields:
        The encoded utterances by modality, [turn, width]; where they are available, [turn]; the
        speaker of each turn.
    """
    encoded = dict(zip(made.inputs.modalities, made.inputs(batch), strict=True))
    for row, length in enumerate(batch.turn_mask.sum(dim=1).tolist()):
        yield (
            {m: turns[row, :length] for m, turns in encoded.items()},
            {m: batch.available(m)[row, :length] for m in encoded},
            batch.speakers[row, :length].tolist(),
        )


def reordered(batch: DialogueBatch, order: Sequence[int]) -> DialogueBatch:
    """A batch whose turns are heard in another order."""
    places = torch.tensor(order)
    return replace(
        batch,
        features={m: v[:, places] for m, v in batch.features.items()},
        present={m: v[:, places] for m, v in batch.present.items()},
        frame_mask=batch.frame_mask[:, places],
    )


def with_garbage(batch: DialogueBatch, value: float, index: int) -> DialogueBatch:
    """A batch whose padded turns, padded frames and missing modalities hold anything."""
    features = {}
    for modality, vectors in batch.features.items():
        real = batch.available(modality)
        if modality == "visual":
            real = real.unsqueeze(-1) & batch.frame_mask
        features[modality] = vectors.masked_fill(~real.unsqueeze(-1), value)
    return replace(
        batch, features=features, speakers=batch.speakers.masked_fill(~batch.turn_mask, index)
    )


def terms_of(made: System, batch: DialogueBatch) -> dict[str, Tensor]:
    return made.losses(made(batch), batch, Entropy())


def total_loss(made: System, batch: DialogueBatch) -> Tensor:
    return sum(terms_of(made, batch).values())


def run_of(fold: Fold, file: StateFile) -> Iterator[RunState]:
    """A run as a new process starts it."""
    return Run(DialogueLearner(fold, seed=1)).go(file)


def learned(file: StateFile) -> list[bytes]:
    """All numbers that a run has learned, as bytes; not the times it took."""
    result = file.read()
    tensors = [torch.tensor([list(row.values()) for row in result.history]).double()]
    tensors += [*result.valid, *result.best.values()]
    return [tensor.numpy().tobytes() for tensor in tensors]


def logits(made: System, batch: DialogueBatch) -> Tensor:
    """Of every real turn, [turn, class]."""
    return made(batch).logits[batch.turn_mask]


def in_float64(batch: DialogueBatch) -> DialogueBatch:
    return replace(batch, features={m: f.double() for m, f in batch.features.items()})


def size_of(name: str, **options: Any) -> int:
    """Parameters for 6 classes beside those of the inputs, which the references do not count."""
    made = system(name)(shrunk(name, **options), Shape(DIMENSIONS, 6, speakers=2))
    return sum(p.numel() for n, p in made.named_parameters() if not n.startswith("inputs."))
