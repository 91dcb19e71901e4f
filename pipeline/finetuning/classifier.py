"""A text network with heads on the vector that it makes of a turn."""

from dataclasses import dataclass

from torch import Tensor, nn

from pipeline.extractors.reading import TextNetwork, TurnBatch
from pipeline.model.contrastive import ProjectionHead
from pipeline.settings.finetune import FinetuneSettings


@dataclass(frozen=True)
class Output:
    """What the heads say of a batch.

    Attributes:
        logits: [row, class].
        sentiment: [row, sentiment]; None without this head.
        projected: [row, projection] of length 1, for the contrastive loss; None without it.
    """

    logits: Tensor
    sentiment: Tensor | None
    projected: Tensor | None


class Classifier(nn.Module):
    """The network and its heads.

    The head for the classes is one linear map of the very vector that becomes the feature, and is
    drawn first: encoders that learn from other parts of the data with the same seed start with the
    same head, which pulls a class into the same direction in all of them.

    Args:
        text: The network.
        classes: How many classes there are.
        sentiments: How many sentiments; 0: no such head.
        settings: Dropout, and which heads there are.
    """

    def __init__(
        self, text: TextNetwork, classes: int, sentiments: int, settings: FinetuneSettings
    ) -> None:
        super().__init__()
        self.text = text
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(text.dimension, classes)
        self.sentiment = nn.Linear(text.dimension, sentiments) if sentiments else None
        self.projection = (
            ProjectionHead(text.dimension, settings.projection) if settings.contrastive else None
        )

    def forward(self, batch: TurnBatch) -> Output:
        """The heads' outputs of a batch."""
        vectors = self.dropout(self.text(batch))
        return Output(
            logits=self.head(vectors),
            sentiment=None if self.sentiment is None else self.sentiment(vectors),
            projected=None if self.projection is None else self.projection(vectors),
        )
