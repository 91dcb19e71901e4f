"""Graphs of turns and modalities node by node, as MMGCN and MM-DFN write them, in Python lists."""

import math

import torch

SHORT = 1e-3


def similarity(one, other) -> torch.Tensor:
    lengths = one.norm().clamp(min=SHORT) * other.norm().clamp(min=SHORT)
    return 1 - torch.arccos(0.99999 * (one @ other / lengths)) / math.pi


def naive_edges(nodes) -> dict:
    """Normalised weights by pair of (modality, turn), of one dialogue [modality, turn, width]."""
    names = [(m, t) for m in range(len(nodes)) for t in range(len(nodes[0]))]
    weights = {
        (p, q): similarity(nodes[p], nodes[q])
        for p in names
        for q in names
        if p[0] == q[0] or p[1] == q[1]
    }
    degree = {p: sum(w for (one, _), w in weights.items() if one == p) for p in names}
    return {(p, q): w / (degree[p] * degree[q]) ** 0.5 for (p, q), w in weights.items()}


def naive_deep_graph(graph, nodes, alpha: float, dropped=lambda values: values) -> list:
    """`[x; h]` of the nodes of each turn of one dialogue, with the weights of a `DeepGraph`."""
    edges = naive_edges(nodes)
    names = sorted({p for p, _ in edges})
    nodes = dropped(nodes)
    first = {p: (graph.project.weight @ nodes[p] + graph.project.bias).clamp(min=0) for p in names}
    states, memory = {p: dropped(state) for p, state in first.items()}, dict.fromkeys(names)
    for number, layer in enumerate(graph.layers, 1):
        theta, before = math.log(0.5 / number + 1), states
        if graph.cell is not None:
            memory = {p: graph.cell(before[p].unsqueeze(0), memory[p]) for p in names}
            states = {p: state[0].squeeze(0) for p, (state, _) in memory.items()}
        received = {p: sum(w * states[q] for (r, q), w in edges.items() if r == p) for p in names}
        states = {}
        for p in names:
            mapped = torch.cat((received[p], first[p])) @ layer.weight
            kept = (1 - alpha) * received[p] + alpha * first[p]
            states[p] = dropped((theta * mapped + (1 - theta) * kept).clamp(min=0))
            if graph.cell is not None:
                states[p] = states[p] + before[p]
    turns, modalities = range(len(nodes[0])), range(len(nodes))
    return [torch.cat([torch.cat((nodes[m, t], states[m, t])) for m in modalities]) for t in turns]
