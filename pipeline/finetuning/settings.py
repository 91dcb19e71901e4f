"""`finetune`: whether and how the text encoder learns from the train split."""

from typing import Literal

from pydantic import Field, field_validator

from pipeline.base.settings import Section


class FinetuneSettings(Section):
    """One run; the kept epoch is the one with the highest validation weighted F1.

    What is read of a dialogue, and by which encoder, is in the section `text`.
    """

    enabled: bool = Field(description="false: the pretrained encoder is used as it is.")
    seed: int = Field(ge=0, lt=2**31)
    epochs: int = Field(ge=1, le=1000, description="At most; the learning rate is 0 at their end.")
    patience: int = Field(ge=1, description="Epochs without a better validation weighted F1.")
    batch_size: int = Field(ge=2, description="Utterances per step.")
    accumulation: int = Field(
        ge=1,
        description="A step's utterances go through the network in so many parts: less memory.",
    )
    sampling: Literal["all", "class_balanced"] = Field(
        description="Each utterance once an epoch, or as many draws in which classes are as likely."
    )
    learning_rate: float = Field(gt=0, le=1, description="Of the encoder's last layer.")
    layer_decay: float = Field(
        gt=0, le=1, description="Each layer's learning rate is this share of that of the one above."
    )
    head_learning_rate: float = Field(gt=0, le=1, description="Of what is on top of the encoder.")
    weight_decay: float = Field(ge=0, le=1)
    warmup: float = Field(ge=0, lt=1, description="Share of all steps with a rising learning rate.")
    gradient_clip: float = Field(gt=0, description="Largest norm of the gradient.")
    dropout: float = Field(ge=0, lt=1, description="Before the head.")
    class_weights: Literal["none", "inverse", "effective_number"] = Field(
        description="Cross-entropy weights from the train split's class counts."
    )
    label_smoothing: float = Field(ge=0, lt=1)
    sentiment: float = Field(
        ge=0, description="Weight of the cross-entropy of a second head for the raw sentiment."
    )
    contrastive: float = Field(
        ge=0, description="Weight of the supervised contrastive loss over a step's utterances."
    )
    temperature: float = Field(gt=0, description="Tau of the contrastive loss.")
    hard_ratio: float | None = Field(
        gt=0, le=1, description="Share of most similar negatives that are kept; null: all."
    )
    projection: int = Field(ge=2, le=4096, description="Features of the contrastive loss' head.")
    ema: float = Field(
        ge=0,
        lt=1,
        description="Decay of the running mean of the weights, which is what is validated and "
        "kept; 0: the weights themselves.",
    )
    cross_fit: int = Field(
        ge=0,
        le=100,
        description="Features of train utterances come from so many further encoders, each of "
        "which has not seen their dialogues; 0: from the one encoder, which has.",
    )
    lora_rank: int = Field(
        ge=0, le=1024, description="Rank of LoRA's updates (needs peft); 0: all weights learn."
    )
    lora_alpha: int = Field(ge=1, description="LoRA's updates count alpha / rank times.")
    gradient_checkpointing: bool = Field(
        description="Layers are computed again on the way back: less memory, a third more time."
    )

    @field_validator("cross_fit")
    @classmethod
    def _parts(cls, value: int) -> int:
        if value == 1:
            raise ValueError("one part leaves nothing to learn from: 0, or 2 and more")
        return value
