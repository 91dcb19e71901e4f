"""AR-IIGCN, our reading: modalities pass for each other; a graph for each; contrasts of nodes."""

from itertools import permutations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.adversarial import GameSettings, accuracy, adversarial_losses, spread
from pipeline.nn.batch import NO_LABEL, DialogueBatch, Packing
from pipeline.nn.contrastive import ProjectionHead, supervised_contrastive_loss
from pipeline.nn.cross_contrastive import cross_contrastive_loss
from pipeline.nn.entropy import Entropy
from pipeline.nn.graph import RELATIONS, RelationalGCN, WindowSettings, band, relations
from pipeline.nn.inputs import Inputs
from pipeline.nn.optimise import Player
from pipeline.nn.packed import PackedRNN
from pipeline.nn.subnetworks import mlp
from pipeline.systems.base import Output, Settings, Shape, Source, System


class ArIigcnSettings(Settings, WindowSettings, GameSettings):
    """Sizes and weights, all ours; a weight of 0 leaves the term out."""

    width: int = Field(ge=2, le=4096, multiple_of=2, description="Features of every vector.")
    projection: int = Field(ge=2, le=4096, description="Features of a projection head.")
    contrastive: float = Field(ge=0, description="Weight of the contrast within a modality.")
    cross_contrastive: float = Field(ge=0, description="Weight of the contrast across two.")
    temperature: float = Field(gt=0, description="Tau of both.")
    dropout: float = Field(ge=0, lt=1, description="Inside the maps before and after the graphs.")


class ArIigcn(System):
    """A generator, a discriminator and a graph for each modality.

    `e_m = BiGRU(MLP(u_m))`; `z_m = ReLU(W_0 e_m + b + sum_r mean of W_r e_m over the turns of
    relation r)` in a window without the turn itself; `logits = MLP([z_t; z_a; z_v])`. Discriminator
    D_m, of leaky ReLUs, takes e_m for real and the others' e_n for fakes: with means over n and D'
    a frozen copy,
    `L_D = sum_m BCE(D_m(sg e_m), 1) + mean_n BCE(D_m(sg e_n), 0)` and `L_G = sum_m mean_n
    BCE(D'_m(e_n), 1)`. The contrasts are means over modalities, and over ordered pairs of them, of
    supervised contrastive losses of projected z. A turn that lacks a modality keeps its node, with
    a learned vector, and is in no game or contrast of it. With one modality there are no fakes and
    nothing across.
    """

    Settings = ArIigcnSettings
    SOURCE = Source(
        fidelity="our reading",
        citation="after Shou et al., arXiv 2312.16778, 2023",
        adapted="only the abstract could be read: it names a generator and a discriminator of the "
        "three modalities, a graph for each, and both contrasts; all equations and sizes are ours. "
        "The code of a sibling by the same authors (yuntaoshou/AGF-IB, d96d870) minimises the "
        "losses of both players together, with nothing detached; here each has a loss of its own",
    )

    def __init__(self, settings: ArIigcnSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, dropout, count = settings.width, settings.dropout, len(shape.features)
        self.inputs = Inputs(shape.features, width, settings.limit)
        self.maps = nn.ModuleList(mlp(width, width, width, dropout) for _ in range(count))
        self.grus = nn.ModuleList(PackedRNN("gru", width, width // 2) for _ in range(count))
        self.graphs = nn.ModuleList(
            RelationalGCN(width, width, RELATIONS, mean=True) for _ in range(count)
        )
        self.head = mlp(count * width, width, shape.classes, dropout)
        contrasts = settings.contrastive or (settings.cross_contrastive and count > 1)
        self.projections = nn.ModuleList(
            ProjectionHead(width, settings.projection) for _ in range(count if contrasts else 0)
        )
        judges = [settings.make_discriminator(width) for _ in range(count if count > 1 else 0)]
        self.discriminators = nn.ModuleList(judge for judge in judges if judge is not None)
        self.pairs = list(permutations(range(count), 2))
        self.ROUNDS = settings.rounds(list(self.discriminators))

    def players(self) -> dict[str, Player]:
        """The discriminators and the rest."""
        players: dict[str, Player] = self.settings.players(self, list(self.discriminators))
        return players

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue.

        `extra` has, of real turns by modality: `available` [modality, row], and `states`, e, and
        `nodes`, z, [modality, row, width].
        """
        mask = batch.turn_mask
        near = band(mask, self.settings.past, self.settings.future)
        edges = near & ~torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
        relation = relations(batch.speakers)
        states, nodes = [], []
        parts = zip(self.inputs(batch), self.maps, self.grus, self.graphs, strict=True)
        for utterances, first, gru, graph in parts:
            states.append(gru(first(utterances), mask))
            nodes.append(functional.relu(graph(states[-1], edges, relation)))
        packing = Packing(mask)
        extra = {
            "available": batch.all_available(self.inputs.modalities)[:, mask],
            "states": packing.pack(torch.stack(states)),
            "nodes": packing.pack(torch.stack(nodes)),
        }
        return Output(packing.unpack(self.head(torch.cat([*extra["nodes"]], dim=-1))), extra)

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """Cross-entropy, the game and the contrasts."""
        terms, settings = super().losses(output, batch, entropy), self.settings
        if self.discriminators:
            states = self._present(output, "states")
            games = zip(
                *(
                    adversarial_losses(self.discriminators[m], states[m].detach(), states[n])
                    for m, n in self.pairs
                ),
                strict=True,
            )
            discrimination, generation = (
                torch.stack(losses).sum() / (len(states) - 1) for losses in games
            )
            terms["discriminator"] = discrimination
            terms["adversarial"] = settings.adversarial * generation
        if self.projections:
            terms |= self._contrasts(output, batch)
        return terms

    def _present(self, output: Output, kind: str) -> list[Tensor]:
        """Vectors of the turns that have the modality, [row, width] of each."""
        parts = zip(output.extra[kind], output.extra["available"], strict=True)
        return [vectors[there] for vectors, there in parts]

    def _contrasts(self, output: Output, batch: DialogueBatch) -> dict[str, Tensor]:
        settings, labels = self.settings, batch.labels[batch.turn_mask]
        sampled = output.extra["available"] & (labels != NO_LABEL)
        parts = zip(self.projections, output.extra["nodes"], sampled, strict=True)
        rows = [(project(nodes[chosen]), labels[chosen]) for project, nodes, chosen in parts]
        terms, tau = {}, settings.temperature
        if settings.contrastive:
            within = [
                supervised_contrastive_loss(*part, temperature=tau, hard_ratio=None)
                for part in rows
            ]
            terms["contrastive"] = settings.contrastive * torch.stack(within).mean()
        if settings.cross_contrastive and self.pairs:
            across = [cross_contrastive_loss(*rows[m], *rows[n], tau) for m, n in self.pairs]
            terms["cross_contrastive"] = settings.cross_contrastive * torch.stack(across).mean()
        return terms

    def figures(self, output: Output, batch: DialogueBatch) -> dict[str, Tensor]:
        """What becomes of the states and of the game, by modality."""
        states = self._present(output, "states")
        figures: dict[str, Tensor] = {}
        for m, name in enumerate(self.inputs.modalities):
            own = spread(states[m], "state")
            figures |= {f"{figure}_{name}": value for figure, value in own.items()}
            if self.discriminators:
                others = torch.cat(states[:m] + states[m + 1 :])
                right = accuracy(self.discriminators[m], states[m], others)
                figures[f"discriminator_accuracy_{name}"] = right
        return figures
