"""LoRA (Hu et al., 2022): small updates of rank r are learned beside weights that stay."""

from typing import Any

from pipeline.errors import PipelineError
from pipeline.settings.finetune import FinetuneSettings


def with_updates(network: Any, settings: FinetuneSettings) -> Any:
    """A network whose linear layers have an update each, which alone learns.

    Raises:
        PipelineError: The package peft is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise PipelineError(
            "finetune.CORPUS.lora_rank needs the package peft, which is not installed: "
            "`pip install 'peft>=0.17'`, or set it to 0."
        ) from error
    config = LoraConfig(
        r=settings.lora_rank, lora_alpha=settings.lora_alpha, target_modules="all-linear"
    )
    return get_peft_model(network, config)


def merged(network: Any) -> Any:
    """The plain network, its weights with their updates."""
    return network.merge_and_unload()
