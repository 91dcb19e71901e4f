"""Encoders against loops over utterances."""

from dataclasses import replace

import pytest
import torch

from pipeline.nn.batch import DialogueBatch
from pipeline.nn.inputs import Encoder, FrameEncoder, Inputs
from pipeline.nn.psa import PSA

AVAILABLE = torch.tensor([[True, False, True], [True, True, False]])
LENGTHS = torch.tensor([[4, 3, 1], [2, 4, 0]])


def fitted(encoder):
    """In float64, with statistics under which some features are clamped."""
    encoder.standardise.fit(torch.full((6,), 0.5), torch.full((6,), 0.4))
    return encoder.double()


def test_one_vector_per_utterance():
    encoder = fitted(Encoder(6, 8, limit=2.0))
    features = torch.randn(2, 3, 6, dtype=torch.float64)
    features[~AVAILABLE] = torch.nan
    vectors = encoder(features, AVAILABLE, None)
    expected = torch.zeros(2, 3, 8, dtype=torch.float64)
    for row, turn in AVAILABLE.nonzero().tolist():
        standardised = ((features[row, turn] - 0.5) / 0.4).clamp(-2, 2)
        expected[row, turn] = encoder.project.weight @ standardised + encoder.project.bias
    torch.testing.assert_close(vectors, expected)


@pytest.mark.parametrize("psa", [PSA(8, 4, "relu"), None], ids=["psa", "mean"])
def test_frames_of_an_utterance_are_joined(psa):
    encoder = fitted(FrameEncoder(6, 8, limit=2.0, psa=psa))
    features = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    frame_mask = torch.arange(4) < LENGTHS.unsqueeze(-1)
    features[~frame_mask] = torch.nan
    features[~AVAILABLE] = torch.nan
    vectors = encoder(features, AVAILABLE, frame_mask)
    expected = torch.zeros(2, 3, 8, dtype=torch.float64)
    for row, turn in AVAILABLE.nonzero().tolist():
        frames = encoder.project(encoder.standardise(features[row, turn, : LENGTHS[row, turn]]))
        everyone = torch.ones(1, len(frames), dtype=torch.bool)
        joined = frames.mean(dim=0) if psa is None else psa(frames[None], everyone)[0]
        expected[row, turn] = joined
    torch.testing.assert_close(vectors, expected)


def test_without_a_mask_every_frame_is_real():
    encoder = fitted(FrameEncoder(6, 8, limit=10, psa=PSA(8, 4)))
    features = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    everything = torch.ones(2, 3, 4, dtype=torch.bool)
    expected = encoder(features, AVAILABLE, everything)
    assert torch.equal(encoder(features, AVAILABLE, None), expected)


def test_without_any_utterance():
    encoder = FrameEncoder(6, 8, limit=10, psa=PSA(8, 4))
    vectors = encoder(torch.randn(1, 2, 3, 6), torch.zeros(1, 2, dtype=torch.bool), None)
    vectors.sum().backward()
    assert torch.equal(vectors, torch.zeros(1, 2, 8))


def batch():
    """Two dialogues of three and two turns; what is missing or padded is NaN."""
    text, visual = torch.randn(2, 3, 5), torch.randn(2, 3, 4, 6)
    turn_mask = torch.tensor([[True, True, True], [True, True, False]])
    frame_mask = torch.arange(4) < LENGTHS.unsqueeze(-1)
    text[~(AVAILABLE & turn_mask)] = torch.nan
    visual[~frame_mask] = torch.nan
    return DialogueBatch(
        features={"visual": visual, "text": text},
        frame_mask=frame_mask,
        present={"visual": torch.ones_like(turn_mask), "text": AVAILABLE},
        turn_mask=turn_mask,
        speakers=torch.zeros(2, 3, dtype=torch.long),
        labels=torch.zeros(2, 3, dtype=torch.long),
    )


def test_a_learned_vector_where_a_modality_is_missing():
    inputs, dialogues = Inputs({"text": 5, "visual": 6}, width=8, limit=10), batch()
    stacked = inputs(dialogues)
    for modality, vectors, missing in zip(inputs.modalities, stacked, inputs.missing, strict=True):
        there = dialogues.available(modality)
        encoder = inputs.encoders[modality]
        alone = encoder(dialogues.features[modality], there, dialogues.frame_mask)
        assert torch.equal(vectors[there], alone[there])
        assert torch.equal(vectors[~there], missing[0].expand(int((~there).sum()), -1))
    assert torch.equal(inputs.joined(dialogues), torch.cat(list(stacked), dim=-1))
    inputs.joined(dialogues).sum().backward()
    assert all(p.grad.isfinite().all() for p in inputs.parameters())


@pytest.mark.parametrize("frames", [4, 0])
def test_tokens_are_frames_or_the_one_vector_or_the_learned_one(frames):
    inputs, dialogues = Inputs({"text": 5, "visual": 6}, width=8, limit=10), batch()
    cut = {**dialogues.features, "visual": dialogues.features["visual"][:, :, :frames]}
    dialogues = replace(dialogues, features=cut, frame_mask=dialogues.frame_mask[:, :, :frames])
    for number, (vectors, real) in enumerate(inputs.tokens(dialogues)):
        modality = inputs.modalities[number]
        encoder, there = inputs.encoders[modality], dialogues.available(modality)
        for (row, turn), tokens, mask in zip(
            dialogues.turn_mask.nonzero().tolist(), vectors, real, strict=True
        ):
            stored = dialogues.features[modality][row, turn]
            if not there[row, turn]:
                expected = inputs.missing[number, 0]
            elif modality == "visual":
                expected = encoder.project(
                    encoder.standardise(stored[dialogues.frame_mask[row, turn]])
                )
            else:
                expected = encoder.project(encoder.standardise(stored[None]))
            torch.testing.assert_close(tokens[mask], expected)
            assert not tokens[~mask].any()


def test_every_frame_is_a_token_without_a_mask():
    encoder = fitted(FrameEncoder(6, 8, limit=10, psa=None))
    features = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    vectors, real = encoder.tokens(features, AVAILABLE, None)
    assert torch.equal(real, AVAILABLE.unsqueeze(-1).expand(2, 3, 4))
    torch.testing.assert_close(
        vectors[real], encoder.project(encoder.standardise(features[AVAILABLE].flatten(0, 1)))
    )


def test_frames_are_pooled_by_what_is_asked_for():
    inputs = Inputs({"text": 5, "visual": 6}, width=8, limit=10, psa=lambda: PSA(8, 4))
    assert isinstance(inputs.encoders["visual"].psa, PSA)
    assert inputs(batch()).isfinite().all()


def test_the_train_splits_statistics_reach_every_modality():
    inputs = Inputs({"text": 5, "visual": 6}, width=8, limit=10)
    assert [(m, len(s.mean)) for m, s in inputs.standardised()] == [("text", 5), ("visual", 6)]


def test_standardised_vectors_are_those_that_the_projection_reads():
    inputs, dialogues = Inputs({"text": 5, "visual": 6}, width=8, limit=2), batch()
    for _, standardise in inputs.standardised():
        size = len(standardise.mean)
        standardise.fit(torch.full((size,), 0.5), torch.full((size,), 0.4))
    encoded = inputs(dialogues)
    for modality, vectors, rows in zip(
        inputs.modalities, encoded, inputs.vectors(dialogues), strict=True
    ):
        assert not rows.requires_grad and rows.abs().max() <= 2
        projected = inputs.encoders[modality].project(rows)
        torch.testing.assert_close(projected, vectors[dialogues.available(modality)])
    whole = replace(dialogues, frame_mask=None)
    whole.features["visual"][:] = 0.9  # one deviation above the mean
    torch.testing.assert_close(list(inputs.vectors(whole))[1], torch.ones(5, 6))
