"""The text encoder, fine-tuned on the train split or as it is."""

from pipeline.base import paths
from pipeline.base.files import write_text
from pipeline.base.params import Params
from pipeline.base.settings import ComputeSettings
from pipeline.base.stage import run
from pipeline.features.common.settings import ExtractSettings
from pipeline.features.text.settings import TextSettings
from pipeline.finetuning.settings import FinetuneSettings
from pipeline.records.head import write_head
from pipeline.weights.folder import write_none, write_pointer


def work(params: Params, corpus: str) -> None:
    """Fills `models/encoders/CORPUS/text`; switched off, it points to the pretrained encoder."""
    settings = params.of(FinetuneSettings, corpus)
    extracted = params.of(ExtractSettings, corpus).computed("text")
    if extracted and settings.enabled:
        # Here, so that a stage that is switched off does not wait for torch.
        from pipeline.finetuning.finetune import finetune_corpus

        finetune_corpus(
            corpus, params.of(TextSettings, corpus), settings, params.of(ComputeSettings)
        )
        return
    write_head(paths.head(corpus), None)
    write_text(paths.metrics(corpus, "finetune.json"), "{}\n")
    if extracted:
        write_pointer(paths.pretrained(corpus, "text"), paths.text_encoder(corpus))
    else:
        write_none(paths.text_encoder(corpus))


if __name__ == "__main__":
    run(work)
