"""What is tried when a text encoder is fine-tuned, and in which order: validation decides.

Reading and learning rate are chosen first, one after the other; then each option is tried alone on
top of what was chosen, and those that helped together. Test plays no part before the final setting.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

SEEDS = (1, 2, 3)
FINAL_SEEDS = (1, 2, 3, 4, 5)
MOST_TOGETHER = 3


@dataclass(frozen=True)
class Variant:
    """Settings that are tried.

    Attributes:
        name: In the table.
        kind: What it is about; of each kind one value is taken at most.
        text: What differs from the section `text` of params.yaml.
        finetune: Likewise of the section `finetune`.
    """

    name: str
    kind: str
    text: Mapping[str, Any] = field(default_factory=dict)
    finetune: Mapping[str, Any] = field(default_factory=dict)

    def on(self, base: "Variant") -> "Variant":
        """The variant with everything else as a base has it."""
        return replace(
            self,
            text={**base.text, **self.text},
            finetune={**base.finetune, **self.finetune},
        )


@dataclass(frozen=True)
class Phase:
    """Variants that are tried together, each with the same seeds."""

    name: str
    variants: Sequence[Variant]
    seeds: Sequence[int] = SEEDS


class Scores(Protocol):
    """What has been found so far."""

    def validation(self, variant: Variant) -> Mapping[int, float]:
        """Weighted F1 in percent, by seed; empty before any run of these settings."""

    def final(self) -> Variant | None:
        """The final setting, if test was predicted before: it stays."""


BASE = Variant(
    "base",
    "base",
    text={
        "pooling": "mean",
        "context_turns": 3,
        "context_turns_after": 0,
        "speaker_marks": "none",
        "max_tokens": 128,
    },
    finetune={
        "enabled": True,
        "epochs": 5,
        "patience": 5,
        "batch_size": 64,
        "learning_rate": 2e-4,
        "head_learning_rate": 1e-3,
        "layer_decay": 0.9,
        "class_weights": "none",
        "dropout": 0.1,
    },
)


def _rate(value: float) -> Variant:
    return Variant(f"learning rate {value:g}", "rate", finetune={"learning_rate": value})


def context_name(before: int, after: int = 0) -> str:
    """What is read of a dialogue beside the turn itself, in words."""
    return f"{before} turns before" + (f", {after} after" if after else "")


def _context(before: int, after: int = 0) -> Variant:
    turns = {"context_turns": before, "context_turns_after": after}
    return Variant(context_name(before, after), "context", turns)


def _marks(value: str) -> Variant:
    return Variant(f"speaker marks: {value}", "marks", {"speaker_marks": value})


def _pooling(value: str) -> Variant:
    return Variant(f"pooling {value}", "pooling", {"pooling": value})


def _option(name: str, kind: str, **finetune: Any) -> Variant:
    return Variant(name, kind, finetune=finetune)


RATES = [_rate(value) for value in (5e-5, 1e-4, 2e-4, 4e-4)]
CONTEXTS = [_context(0), _context(1), _context(3), _context(5), _context(8), _context(3, 1)]
CONTEXTS += [_context(5, 3)]
READINGS = [_marks("names"), _marks("letters"), _pooling("cls"), _pooling("last4_mean")]
OPTIONS = [
    _option("sentiment 0.3", "sentiment", sentiment=0.3),
    _option("sentiment 1", "sentiment", sentiment=1.0),
    _option("label smoothing 0.1", "smoothing", label_smoothing=0.1),
    _option("contrastive 0.2, all negatives", "contrastive", contrastive=0.2),
    _option("contrastive 0.2, hard negatives", "contrastive", contrastive=0.2, hard_ratio=0.3),
    _option("contrastive 1, all negatives", "contrastive", contrastive=1.0),
    _option("contrastive 1, hard negatives", "contrastive", contrastive=1.0, hard_ratio=0.3),
    _option("class-balanced sampling", "balance", sampling="class_balanced"),
    _option("class weights: effective number", "balance", class_weights="effective_number"),
    _option("class weights: inverse", "balance", class_weights="inverse"),
    _option("running mean of weights 0.99", "ema", ema=0.99),
    _option("running mean of weights 0.998", "ema", ema=0.998),
    _option("no layer decay", "decay", layer_decay=1.0),
    _option("layer decay 0.8", "decay", layer_decay=0.8),
    _option("dropout 0.3", "dropout", dropout=0.3),
    _option("batches of 32", "batch", batch_size=32),
    _option("8 epochs", "epochs", epochs=8, patience=8),
    # Few weights learn, so they need a higher rate.
    _option("LoRA, rank 16", "lora", lora_rank=16, lora_alpha=32, learning_rate=1e-3),
]
NO_CONTEXT = Variant(
    "final, without context",
    "final",
    text={"context_turns": 0, "context_turns_after": 0, "speaker_marks": "none"},
)


def plan(scores: Scores) -> Iterator[Phase]:
    """All phases; each but the first is made when the one before it has been run.

    Args:
        scores: Asked for what has been found.
    """
    chosen = BASE
    for name, tried in (("rate", RATES), ("context", CONTEXTS), ("reading", READINGS)):
        variants = [variant.on(chosen) for variant in tried]
        yield Phase(name, variants)
        chosen = _best([chosen, *variants], scores)
    chosen = replace(chosen, name="chosen", kind="base")
    options = [variant.on(chosen) for variant in OPTIONS]
    yield Phase("options", [chosen, *options])
    bases = [chosen, *options]
    together = _together(options, OPTIONS, chosen, scores)
    yield Phase("together", together)
    best = replace(_best([*bases, *together], scores), name="final", kind="final")
    final = scores.final() or best
    yield Phase("final", [final], FINAL_SEEDS)
    yield Phase("no context", [NO_CONTEXT.on(final)])


def _best(variants: Sequence[Variant], scores: Scores) -> Variant:
    """The best on validation, over the seeds that all have; the first of several."""
    found = {n: by_seed for n, v in enumerate(variants) if (by_seed := scores.validation(v))}
    seeds = set.intersection(*map(set, found.values())) if found else set()
    means = {n: sum(by_seed[s] for s in sorted(seeds)) for n, by_seed in found.items() if seeds}
    return variants[max(means, key=lambda n: means[n])] if means else variants[0]


def _together(
    tried: Sequence[Variant], options: Sequence[Variant], chosen: Variant, scores: Scores
) -> list[Variant]:
    """The two, three, ... best of the options that helped, of each kind the best."""
    found: dict[str, tuple[float, Variant]] = {}
    for variant, option in zip(tried, options, strict=True):
        ours, theirs = scores.validation(variant), scores.validation(chosen)
        seeds = sorted(set(ours) & set(theirs))
        gain = sum(ours[seed] - theirs[seed] for seed in seeds) / max(1, len(seeds))
        if gain > found.get(option.kind, (0.0, option))[0]:
            found[option.kind] = (gain, option)
    helpful = [option for _, option in sorted(found.values(), key=lambda pair: -pair[0])]
    variants, base = [], chosen
    for number, option in enumerate(helpful[:MOST_TOGETHER]):
        base = option.on(base)
        if number:
            name = " + ".join(o.name for o in helpful[: number + 1])
            variants.append(replace(base, name=name, kind="together"))
    return variants
