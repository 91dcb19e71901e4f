"""Settings `finetune`: whether and how the text encoder is fine-tuned on the train split."""

from typing import Literal

from pydantic import Field

from pipeline.base.settings import Section


class FinetuneSettings(Section):
    """One run; the epoch with the highest validation weighted F1 is kept.

    The encoder and the context it reads are set in the section `text`.
    """

    enabled: bool = Field(description="false: use the pretrained encoder as it is.")
    seed: int = Field(ge=0, lt=2**31)
    epochs: int = Field(ge=1, le=1000, description="At most; the learning rate falls to 0.")
    patience: int = Field(ge=1, description="Stop after this many epochs without improvement.")
    batch_size: int = Field(ge=2, description="Utterances per step.")
    accumulation: int = Field(
        ge=1, description="Split each step's utterances into this many parts, to save memory."
    )
    sampling: Literal["all", "class_balanced"] = Field(
        description="Each utterance once per epoch, or as many draws with classes equally likely."
    )
    learning_rate: float = Field(gt=0, le=1, description="Peak rate of the encoder's last layer.")
    layer_decay: float = Field(
        gt=0, le=1, description="Ratio of a layer's learning rate to that of the layer above."
    )
    head_learning_rate: float = Field(gt=0, le=1, description="Peak rate of the head.")
    weight_decay: float = Field(ge=0, le=1)
    warmup: float = Field(ge=0, lt=1, description="Share of all steps with a rising learning rate.")
    gradient_clip: float = Field(gt=0, description="Largest norm of the gradient.")
    dropout: float = Field(ge=0, lt=1, description="Dropout before the head.")
    class_weights: Literal["none", "inverse", "effective_number"] = Field(
        description="Cross-entropy weights from the train split's class counts."
    )
    label_smoothing: float = Field(ge=0, lt=1)
    lora_rank: int = Field(
        ge=0, le=1024, description="Rank of LoRA's updates (needs peft); 0: train all weights."
    )
    lora_alpha: int = Field(ge=1, description="LoRA's updates are scaled by alpha / rank.")
    gradient_checkpointing: bool = Field(
        description="Recompute layers in the backward pass: less memory, a third more time."
    )
