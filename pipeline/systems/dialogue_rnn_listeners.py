"""DialogueRNN in which parties that do not speak listen."""

from pipeline.nn.batch import DialogueBatch
from pipeline.nn.bi_dialogue_rnn import BiDialogueRNN, BiDialogueRNNSettings
from pipeline.nn.inputs import Inputs
from pipeline.systems.base import Output, Settings, Shape, Source, System


class DialogueRnnListenersSettings(Settings, BiDialogueRNNSettings):
    """Optimisation, and sizes of the network."""


class DialogueRnnListeners(System):
    """BiDialogueRNN + Att with listeners, the letter l of the paper's variants.

    The parties that do not speak move too: `q_(p,t) = GRU_l(q_(p,t-1), [u_t, q_(s,t)])`.
    """

    Settings = DialogueRnnListenersSettings
    SOURCE = Source(
        fidelity="code",
        citation="Majumder et al., DialogueRNN: An Attentive RNN for Emotion Detection in "
        "Conversations, AAAI 2019",
        commit="declare-lab/conv-emotion@6128ca20e9c736605cce7e99d5d95db0356c35f5",
        adapted="all modalities through the common inputs, where the code has text or text and "
        "audio; attention over the dialogue, which saturates on few dialogues, is off on the demo "
        "corpora; decoupled weight decay and clipped gradients; the epoch chosen on validation, "
        "where the code takes the best on test",
    )

    def __init__(self, settings: DialogueRnnListenersSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.inputs = Inputs(shape.features, settings.width, settings.limit)
        width = len(shape.features) * settings.width
        self.network = BiDialogueRNN(width, shape.classes, settings, listeners=True)

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        utterances = self.inputs.joined(batch)
        return Output(self.network(utterances, batch.turn_mask, batch.speakers))
