"""Logistic regression on TF-IDF of words and word pairs."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from pipeline.nn.batch import NO_LABEL, Dialogue, DialogueBatch
from pipeline.nn.linear import ITERATIONS, best_on_validation, labels_of, take_over
from pipeline.systems.base import Fitted, LeftOut, LinearSettings, Output, Shape, Source

TOKEN = r"\w+|[^\w\s]"  # words and marks apart: an exclamation mark tells much of emotion


class TfIdf(Fitted):
    """Logistic regression on TF-IDF of a turn's words, marks, and pairs of them.

    Args:
        settings: Strengths that are tried.
        shape: Of the data.
        terms: How many words and pairs it knows.
        letters: Bytes of the list of them.
    """

    Settings = LinearSettings
    SOURCE = Source(fidelity="code", citation="scikit-learn, TfidfVectorizer, LogisticRegression")
    READS_WORDS = True
    vocabulary: Tensor
    idf: Tensor

    def __init__(
        self, settings: LinearSettings, shape: Shape, *, terms: int = 0, letters: int = 0
    ) -> None:
        super().__init__(settings, shape)
        self.register_buffer("vocabulary", torch.zeros(letters, dtype=torch.uint8))
        self.register_buffer("idf", torch.zeros(terms))
        self.scores = _zeros(terms, shape.classes)
        self._vectoriser: TfidfVectorizer | None = None

    @classmethod
    def sizes_of(cls, weights: Mapping[str, Tensor]) -> dict[str, int]:
        """Of the vocabulary."""
        if not weights:
            return {}
        return {"terms": len(weights["idf"]), "letters": len(weights["vocabulary"])}

    def fit(self, train: Sequence[Dialogue], valid: Sequence[Dialogue], corpus: str) -> None:
        """Learn the vocabulary and the scores of train."""
        vectoriser = _vectoriser()
        try:
            rows = vectoriser.fit_transform(_texts(train))
        except ValueError as error:  # scikit-learn's only one here: an empty vocabulary
            raise LeftOut("no text of the train split holds a word") from error
        classifier = best_on_validation(
            lambda strength: LogisticRegression(C=strength, max_iter=ITERATIONS),
            self.settings.regularisation,
            (rows, labels_of(train)),
            (vectoriser.transform(_texts(valid)), labels_of(valid)),
        )
        terms = json.dumps(vectoriser.get_feature_names_out().tolist()).encode()
        self.vocabulary = torch.frombuffer(bytearray(terms), dtype=torch.uint8)
        self.idf = torch.from_numpy(vectoriser.idf_).float()
        self.scores = _zeros(len(self.idf), self.shape.classes)
        take_over(self.scores, classifier)
        self._vectoriser = None

    def forward(self, batch: DialogueBatch) -> Output:
        """Linear scores of every turn's words."""
        if self._vectoriser is None:
            self._vectoriser = _restored(self.vocabulary, self.idf)
        logits = torch.zeros(*batch.turn_mask.shape, self.shape.classes, device=self.device)
        weights = self.scores.weight.detach().cpu().numpy()
        for row, texts in enumerate(batch.texts):
            products = self._vectoriser.transform(texts) @ weights.T
            logits[row, : len(texts)] = torch.from_numpy(products).to(logits)
        return Output(logits + self.scores.bias)


def _zeros(terms: int, classes: int) -> nn.Linear:
    """A linear map without random numbers, which PyTorch warns of where it is empty."""
    layer = nn.Linear(max(1, terms), classes)
    layer.weight = nn.Parameter(torch.zeros(classes, terms))
    return layer


def _vectoriser() -> TfidfVectorizer:
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=TOKEN)


def _restored(vocabulary: Tensor, idf: Tensor) -> TfidfVectorizer:
    vectoriser = _vectoriser()
    terms = json.loads(bytes(vocabulary.cpu().numpy()))
    vectoriser.vocabulary_ = {term: number for number, term in enumerate(terms)}
    vectoriser.fixed_vocabulary_ = True
    vectoriser.idf_ = idf.cpu().numpy().astype(np.float64)
    return vectoriser


def _texts(dialogues: Sequence[Dialogue]) -> list[str]:
    """Of the labelled turns."""
    return [
        text
        for dialogue in dialogues
        for text, label in zip(dialogue.texts, dialogue.labels.tolist(), strict=True)
        if label != NO_LABEL
    ]
