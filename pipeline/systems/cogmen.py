"""COGMEN: a transformer over the dialogue, then graphs over a window of turns."""

from pydantic import Field, model_validator
from torch import nn
from torch.nn import functional

from pipeline.nn.attention import transformer
from pipeline.nn.batch import DialogueBatch
from pipeline.nn.graph import RelationalGCN, RelationSettings, TransformerConv, band
from pipeline.nn.inputs import Inputs
from pipeline.systems.base import Output, Settings, Shape, Source, System


class CogmenSettings(Settings, RelationSettings):
    """Sizes of the network; defaults in params.yaml are the public code's where it has them."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance.")
    joined: int | None = Field(
        ge=1,
        le=4096,
        description="Features of a turn in the transformer, by a linear map; null: the modalities "
        "side by side, as in the code.",
    )
    hidden: int = Field(ge=1, le=4096, description="Features of a graph node (100).")
    layers: int = Field(ge=1, le=24, description="Of the transformer.")
    heads: int = Field(ge=1, le=64, description="Of the transformer.")
    feedforward: int = Field(ge=1, le=16384, description="Features inside its layers (2048).")
    dropout: float = Field(ge=0, lt=1, description="In it, and before the last layer.")

    @model_validator(mode="after")
    def _agree(self) -> "CogmenSettings":
        if self.turn_width % self.heads:
            raise ValueError(
                f"{self.turn_width} features of a turn (joined; or width times the number of "
                f"modalities) are not a multiple of heads {self.heads}"
            )
        return self

    @property
    def turn_width(self) -> int:
        """Features of a turn in the transformer."""
        return self.joined or self.width * len(self.modalities)


class Cogmen(System):
    """COGMEN: order enters through the window and the relations alone.

    With u_t the modalities side by side and E the window: `x = W Transformer(u)`;
    `y_i = W_root x_i + b + sum_r mean of W_r x_j over the senders j of relation r`;
    `z = LeakyReLU(LayerNorm(TransformerConv(y, E)))`; `logits_t = V dropout(ReLU(U z_t))`.
    """

    Settings = CogmenSettings
    SOURCE = Source(
        fidelity="code",
        citation="Joshi et al., COGMEN: COntextualized GNN based Multimodal Emotion recognitioN, "
        "NAACL 2022",
        commit="Exploration-Lab/COGMEN@8c00c9bfec349f833293032da268a3c0a2f3e637",
        adapted="LayerNorm in place of BatchNorm, which lets dialogues of a batch reach each other "
        "in training; a padding mask in the transformer, where the code attends to zeros; four "
        "relations that need no speaker's number, where the code has two for each pair of speakers "
        "(`relations: pairs`, by first appearance); all modalities through the common inputs, "
        "where the code joins the features as they are; a plateau of validation weighted F1, where "
        "the code takes the loss; decoupled weight decay and clipped gradients",
    )

    def __init__(self, settings: CogmenSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        hidden = settings.hidden
        self.NUMBERS_SPEAKERS = settings.relations == "pairs"
        self.inputs = Inputs(shape.features, settings.width, settings.limit)
        self.join = (
            nn.Linear(len(shape.features) * settings.width, settings.joined)
            if settings.joined
            else nn.Identity()
        )
        self.transformer = transformer(
            settings.turn_width,
            settings.heads,
            settings.feedforward,
            settings.layers,
            settings.dropout,
        )
        self.output = nn.Linear(settings.turn_width, hidden)
        self.relational = RelationalGCN(hidden, hidden, settings.relation_count, mean=True)
        self.convolution = TransformerConv(hidden, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.head = nn.Sequential(
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(hidden, shape.classes),
        )

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        turns = self.join(self.inputs.joined(batch))
        turns = self.transformer(turns, src_key_padding_mask=~batch.turn_mask)
        edges = band(batch.turn_mask, self.settings.past, self.settings.future)
        relation = self.settings.relation(batch.speakers)
        nodes = self.relational(self.output(turns), edges, relation)
        nodes = functional.leaky_relu(self.norm(self.convolution(nodes, edges)))
        return Output(self.head(nodes))
