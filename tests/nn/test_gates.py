"""Gates by hand: with maps of zeros they weigh alike."""

import torch

from pipeline.nn.gates import ModalityGate, PairGate


def test_a_pair_by_hand():
    gate, first, second = PairGate(3, 2, 4), torch.randn(5, 3), torch.randn(5, 2)
    share = torch.sigmoid(gate.gate(torch.cat((first, second), dim=1)))
    one, two = torch.tanh(gate.first(first)), torch.tanh(gate.second(second))
    torch.testing.assert_close(gate(first, second), share * one + (1 - share) * two)
    torch.nn.init.zeros_(gate.gate.weight)
    torch.nn.init.zeros_(gate.gate.bias)
    torch.testing.assert_close(gate(first, second), (one + two) / 2)


def test_modalities_by_hand():
    gate = ModalityGate(2)
    gate.gate.weight.data.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    vectors = torch.tensor([[0.0, 4.0], [2.0, 6.0], [99.0, 99.0]])
    available = torch.tensor([True, True, False])
    share = torch.sigmoid(torch.tensor(2.0))  # e^2 / (e^0 + e^2)
    expected = torch.tensor([2 * share, 5.0])
    torch.testing.assert_close(gate(vectors, available), expected)


def test_a_map_of_zeros_gives_the_mean():
    gate, vectors = ModalityGate(4), torch.randn(3, 2, 5, 4)
    torch.nn.init.zeros_(gate.gate.weight)
    everything = torch.ones(3, 2, 5, dtype=torch.bool)
    torch.testing.assert_close(gate(vectors, everything), vectors.mean(dim=0))
    assert torch.equal(gate(vectors, ~everything), torch.zeros(2, 5, 4))
