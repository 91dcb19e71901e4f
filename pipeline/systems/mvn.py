"""MVN: a word view and an utterance view of a turn and its past, with modalities for words."""

import torch
from pydantic import Field
from torch import Tensor, nn

from pipeline.nn.batch import DialogueBatch, Packing
from pipeline.nn.entropy import Entropy
from pipeline.nn.inputs import Inputs
from pipeline.nn.multi_view import UtteranceView, WordView, largest
from pipeline.nn.past import PastWindows
from pipeline.systems.base import Output, Settings, Shape, Source, System


class MvnSettings(Settings):
    """Sizes of the network; defaults in params.yaml are the public code's."""

    width: int = Field(ge=2, le=4096, description="Features per token and utterance (300).")
    past: int = Field(ge=-1, description="Earlier turns that a turn reads; -1: all.")
    dropout: float = Field(ge=0, lt=1)


class Mvn(System):
    """Multi-view network with modality tokens; causal, blind to speakers.

    The tokens of a turn are its modalities, `W_m x_m`, and its utterance u is their maximum; the
    views' equations stand in `nn.multi_view`. Each view has a classifier,
    `logits = V dropout(tanh(U view))`; the system's logits are the sum of their log-softmaxes, a
    product of experts, and its loss the sum of their cross-entropies.
    """

    Settings = MvnSettings
    SOURCE = Source(
        fidelity="code",
        citation="Ma et al., A multi-view network for real-time emotion recognition in "
        "conversations, Knowledge-Based Systems 236, 2022",
        commit="butterfliesss/MVN@5022a08353340ab1adc3a79a225449a24f1d9a24",
        adapted="MVN with modality tokens: a turn's words are its modalities, each after a linear "
        "map, where the code has word2vec and a GRU; a missing modality is no token; empty places "
        "of a window are passed over, where the code's GRU reads zeros there; pooling writes "
        "nothing into its input; cross-entropy weights are the harness's, where the code's on MELD "
        "are square roots of inverse frequencies, and add up to 1 on both corpora, so that its "
        "loss on IEMOCAP is a sixth and clips less; the epoch chosen by weighted F1 among all, "
        "where the code takes weighted recall and on IEMOCAP counts epochs after 50 alone",
    )

    def __init__(self, settings: MvnSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width = settings.width
        self.inputs = Inputs(shape.features, width, settings.limit)
        self.dropout = nn.Dropout(settings.dropout)
        self.tokens = nn.ModuleDict({m: nn.Linear(width, width) for m in shape.features})
        self.words = WordView(width, settings.dropout)
        self.utterances = UtteranceView(width, settings.dropout)
        self.heads = nn.ModuleDict(
            {
                view: nn.Sequential(
                    nn.Linear(width, width // 2),
                    nn.Tanh(),
                    nn.Dropout(settings.dropout),
                    nn.Linear(width // 2, shape.classes),
                )
                for view in ("words", "utterances")
            }
        )

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn; `extra` has the logits of both views, [batch, turn, class]."""
        packing = Packing(batch.turn_mask)
        windows = PastWindows(batch.turn_mask, self.settings.past)
        tokens, usable = self._tokens(batch, packing)
        pooled = self.dropout(largest(tokens, usable))
        views = {
            "words": self.words(tokens, usable, windows),
            "utterances": self.utterances(pooled, windows),
        }
        logits = {name: packing.unpack(self.heads[name](view)) for name, view in views.items()}
        experts = torch.stack(list(logits.values())).log_softmax(dim=-1)
        return Output(experts.sum(dim=0), logits)

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """The cross-entropy of each view."""
        return {name: entropy(logits, batch.labels) for name, logits in output.extra.items()}

    def _tokens(self, batch: DialogueBatch, packing: Packing) -> tuple[Tensor, Tensor]:
        """Tokens [row, token, width], and which of them count, at least one of each turn."""
        encoded = packing.pack(self.inputs(batch))
        tokens = [
            self.tokens[m](self.dropout(vectors))
            for m, vectors in zip(self.inputs.modalities, encoded.unbind(), strict=True)
        ]
        usable = batch.all_available(self.inputs.modalities)[:, batch.turn_mask].T
        return torch.stack(tokens, dim=1), usable | ~usable.any(dim=1, keepdim=True)
