"""TelME: text teaches the other modalities, which then shift its vector by a bounded length."""

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipeline.nn.batch import NO_LABEL, DialogueBatch
from pipeline.nn.distillation import correlation_distillation, relation_distillation
from pipeline.nn.entropy import Entropy
from pipeline.nn.inputs import Inputs
from pipeline.nn.optimise import Player
from pipeline.nn.shifting import Shifting
from pipeline.systems.base import Output, Settings, Shape, Source, System

STUDENTS = ("visual", "audio")
"""The order of the students' vectors side by side; text, if it is in use, is never a student."""


class TelmeSettings(Settings):
    """Sizes, losses and stages; defaults in params.yaml are the public code's."""

    training: Literal["joint", "staged"] = Field(
        description="staged: the teacher, each student, then the fusion, each with `epochs` and "
        "`patience` of its own; joint: all at once, with the same gradients."
    )
    asf_attention: Literal["utterance", "dialogue"] = Field(
        description="What a turn's vector of the students attends to: itself, or the dialogue's."
    )
    width: int = Field(ge=1, le=4096, description="Features per modality and utterance (768).")
    heads: int = Field(ge=1, le=64, description="Of the attention over twice the width.")
    shift: float = Field(
        gt=0, le=10, description="Theta: longest shift, as a share of the teacher's vector."
    )
    correlation: float = Field(
        ge=0, description="Alpha: weight of the logits' distillation; 0: none."
    )
    relations: float = Field(
        ge=0, description="Beta: weight of the vectors' distillation; 0: none."
    )
    temperature: float = Field(gt=0, description="Tau, of the logits' distillation.")
    dropout: float = Field(ge=0, lt=1, description="Behind both normalisations of the fusion.")

    @model_validator(mode="after")
    def _agree(self) -> "TelmeSettings":
        if 2 * self.width % self.heads:
            raise ValueError(
                f"twice the width {self.width} is not a multiple of heads {self.heads}"
            )
        return self


class Classifier(nn.Module):
    """What one modality makes of an utterance: a vector h, and logits z of its own."""

    def __init__(self, width: int, classes: int, *, deep: bool) -> None:
        super().__init__()
        self.states = nn.Sequential(nn.Linear(width, width))
        if deep:
            self.states.extend((nn.ReLU(), nn.Linear(width, width)))
        self.scores = nn.Linear(width, classes)

    def forward(self, utterances: Tensor) -> tuple[Tensor, Tensor]:
        """Map [batch, turn, width] to h, of the same shape, and z, [batch, turn, class]."""
        states = self.states(utterances)
        return states, self.scores(states)


class Fusion(Shifting):
    """The shift of the teacher's vector, and a linear map of the result."""

    def __init__(self, settings: TelmeSettings, classes: int) -> None:
        super().__init__(
            settings.width,
            settings.heads,
            settings.shift,
            settings.dropout,
            whole=settings.asf_attention == "dialogue",
        )
        self.scores = nn.Linear(settings.width, classes)


class Telme(System):
    """The teacher is linear, a student a perceptron; the fusion reads their vectors as they are.

    With z the logits and h the vectors of teacher t and student s:
    `L = CE(z_t) + sum_s (CE(z_s) + alpha DIST(z_s, z_t; tau) + beta KD(h_s, h_t)) + CE(fused)`,
    of a student over the turns that have its modality, distilled over those that have both. No
    part learns from the loss of a later one. The student that a turn lacks is a vector of zeros in
    the fusion. Without text, the first modality in use teaches; alone, it is the whole system.

    Joint training is selected on the fused prediction. Staged training has a stage for each part,
    selected on that part's own prediction, as in the public code: `teacher`, `student_audio`,
    `student_visual`, `fusion`. The students share nothing: one stage for both would keep them at
    an epoch that need not be the best of either.
    """

    Settings = TelmeSettings
    SOURCE = Source(
        fidelity="code",
        citation="Yun et al., TelME: Teacher-leading Multimodal Fusion Network for Emotion "
        "Recognition in Conversation, NAACL 2024",
        commit="yuntaeyang/TelME@f22fc9fed286915586623f8024cad09c02c22e93",
        adapted="stored features in the place of RoBERTa-large, data2vec and TimeSformer, so that "
        "the dialogue is seen only by text features with context turns, and in width 256 (768) "
        "with 4 heads (3 on MELD); all at once by default, its gradients stopped between the "
        "parts; a turn attends to itself or to its dialogue, where the code's utterances attend to "
        "the others of the mini-batch; the students' losses over turns that have the modality; "
        "warm-up over a tenth of the steps and a decay that arrives, where the code counts "
        "utterances for steps; the temperature, shift and dropout of the code, which are not the "
        "paper's; one dialogue a step, where the code has 4 utterances; one learning rate for all "
        "parts, where MELD's teacher has a tenth; 10 epochs of the fusion on IEMOCAP, where the "
        "code has 8",
    )

    def __init__(self, settings: TelmeSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, classes = settings.width, shape.classes
        self.READS_DIALOGUE = settings.asf_attention == "dialogue"
        self.teacher, *others = shape.features
        self.students = [m for m in STUDENTS if m in others]
        # Inputs by part: the vector that is learned for what is missing freezes with the rest.
        self.inputs = nn.ModuleDict(
            {m: Inputs({m: size}, width, settings.limit) for m, size in shape.features.items()}
        )
        self.alone = nn.ModuleDict(
            {m: Classifier(width, classes, deep=m != self.teacher) for m in shape.features}
        )
        self.fusion = Fusion(settings, classes) if others else None
        self.stage = self.stages(settings)[-1]

    @classmethod
    def stages(cls, settings: TelmeSettings) -> tuple[str, ...]:
        """The parts one after another, or all at once."""
        if settings.training == "joint":
            return ("",)
        students = tuple(f"student_{m}" for m in settings.modalities[1:])
        return ("teacher", *students, *("fusion",) * bool(students))

    def enter(self, stage: str) -> None:
        """Free the part whose stage it is, or all of them, and freeze the rest."""
        self.stage = stage
        for name, parameters in self._parts().items():
            for parameter in parameters:
                parameter.requires_grad_(stage in ("", name))

    def players(self) -> dict[str, Player]:
        """Every part that learns, with an optimiser and a clipping of its own."""
        parts = self._parts().items()
        return {name: Player(part) for name, part in parts if self.stage in ("", name)}

    def _parts(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by the stage in which they learn."""
        parts = {
            "teacher" if m == self.teacher else f"student_{m}": [
                *self.inputs[m].parameters(),
                *self.alone[m].parameters(),
            ]
            for m in self.shape.features
        }
        if self.fusion is not None:
            parts["fusion"] = list(self.fusion.parameters())
        return parts

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify by the part whose stage it is; `extra` has h and z by modality."""
        stage = self.stage
        one = self.teacher if stage == "teacher" else stage.removeprefix("student_")
        read = [self.teacher, one] if one in self.alone else list(self.alone)
        extra = {m: self.alone[m](self.inputs[m](batch)[0]) for m in dict.fromkeys(read)}
        if self.fusion is None or one in self.alone:
            return Output(extra[read[-1]][1], extra)
        return Output(self._fused(extra, batch), extra)

    def _fused(self, alone: dict[str, tuple[Tensor, Tensor]], batch: DialogueBatch) -> Tensor:
        assert self.fusion is not None
        teacher = alone[self.teacher][0].detach()
        there = {m: batch.available(m) for m in self.students}
        vectors = [
            alone[m][0].detach().masked_fill(~there[m].unsqueeze(-1), 0)
            if m in there
            else torch.zeros_like(teacher)
            for m in STUDENTS
        ]
        usable = torch.stack(list(there.values())).any(dim=0)
        logits: Tensor = self.fusion.scores(
            self.fusion(teacher, torch.cat(vectors, dim=-1), usable, batch.turn_mask)
        )
        return logits

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """The prediction's cross-entropy, and at once those of the parts; distillation."""
        predicted = self.stage.removeprefix("student_")
        terms = {"cross_entropy": entropy(output.logits, self._labels(predicted, batch))}
        if self.stage == "" and self.fusion is not None:
            for modality, (_, logits) in output.extra.items():
                terms[f"cross_entropy_{modality}"] = entropy(logits, self._labels(modality, batch))
        if self.stage != "fusion":
            for modality in self.students:
                if modality in output.extra:
                    terms |= self._distilled(modality, output, batch)
        return terms

    def _labels(self, part: str, batch: DialogueBatch) -> Tensor:
        """The labels that a part learns; a student those of turns that have its modality."""
        if part not in self.students:
            return batch.labels
        return batch.labels.masked_fill(~batch.available(part), NO_LABEL)

    def _distilled(self, student: str, output: Output, batch: DialogueBatch) -> dict[str, Tensor]:
        """Both distillations of a student, by name, over the turns that have both modalities."""
        settings: TelmeSettings = self.settings
        both = batch.available(student) & batch.available(self.teacher)
        states, logits = (values[both] for values in output.extra[student])
        taught, answers = (values[both] for values in output.extra[self.teacher])
        terms = {}
        if settings.correlation:
            terms[f"correlation_{student}"] = settings.correlation * correlation_distillation(
                logits, answers, settings.temperature
            )
        if settings.relations:
            loss = relation_distillation(states, taught)
            terms[f"relations_{student}"] = settings.relations * loss
        return terms
