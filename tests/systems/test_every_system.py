"""What every system promises; one is tested by being in the registry.

A prediction depends on its own dialogue alone. What is padded or missing is never read. A run that
was killed goes on to the same bytes, and no test label or feature reaches a weight.
"""

import ast
from dataclasses import asdict, replace
from itertools import chain, combinations

import numpy as np
import pytest
import torch

from pipeline.base import paths, state
from pipeline.base.errors import PipelineError
from pipeline.base.settings import MODALITIES
from pipeline.base.state import StateFile
from pipeline.nn.entropy import Entropy
from pipeline.records.head import Head, write_head
from pipeline.systems.base import LeftOut, system
from pipeline.training.checkpoint import load_checkpoint, save_checkpoint
from pipeline.training.fit import RunState
from tests.conftest import ROOT
from tests.systems.zoo import (
    CLASSES,
    CORPUS,
    DIMENSIONS,
    DROPOUTS,
    EVERY,
    LEARNERS,
    TEST,
    TRAIN,
    batch_of,
    conversation,
    conversations,
    fold_of,
    learned,
    logits,
    make,
    run_of,
    shrunk,
    terms_of,
    total_loss,
    with_garbage,
)

SUBSETS = tuple(chain.from_iterable(combinations(MODALITIES, n) for n in (1, 2, 3)))
# Published forms, or other forms of a system, that demo_meld's block does not have.
OTHERWISE = [
    ("dialogue_rnn", {"attention": True}),
    ("dialogue_rnn_listeners", {"attention": True}),
    ("dialogue_gcn", {"attention": True, "edge_weights": "release"}),
    ("cogmen", {"relations": "pairs"}),
    ("ga2mif", {"wiring": "released"}),
    ("misa", {"similarity_by": "adversarial"}),
    ("mcn_cl", {"decoupling": "misa"}),
    ("mcn_cl", {"decoupling": "mcihn"}),
]


def form(value):
    return value if isinstance(value, str) else " ".join(value)


every_system = pytest.mark.parametrize("name", EVERY)
every_form = pytest.mark.parametrize(
    ("name", "options"), [(name, {}) for name in EVERY] + OTHERWISE, ids=form
)
every_learner = pytest.mark.parametrize("name", LEARNERS)


@pytest.fixture(autouse=True, scope="module")
def head(tmp_path_factory):
    """The head of a fine-tuned encoder, for the system that it is."""
    draw = np.random.default_rng(0)
    weight, bias = draw.normal(size=(CLASSES, DIMENSIONS["text"])), draw.normal(size=CLASSES)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("every_system"))
        names = tuple(f"class {number}" for number in range(CLASSES))
        write_head(paths.head(CORPUS), Head(names, weight.astype("f4"), bias.astype("f4")))
        yield


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks: a second thread costs more than it brings."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@every_system
def test_it_says_where_it_comes_from(name):
    source = system(name).SOURCE
    assert source.citation
    owner_and_name, _, commit = source.commit.partition("@")
    assert not source.commit or ("/" in owner_and_name and len(commit) == 40)


@every_system
def test_it_imports_no_other_system(name):
    """DVC re-trains a system if its own file changes, not if another's does."""
    tree = ast.parse((ROOT / f"pipeline/systems/{name}.py").read_text("utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules = {node.module for node in imports}
    modules |= {f"{node.module}.{alias.name}" for node in imports for alias in node.names}
    assert not modules & {f"pipeline.systems.{other}" for other in EVERY}


@every_form
def test_padding_and_batch_mates_change_nothing(name, options):
    made, lengths = make(name, **options), (6, 1, 9, 4)
    dialogues = conversations(lengths)
    with torch.no_grad():
        together = logits(made, batch_of(made, dialogues, turns=5))
        alone = torch.cat([logits(made, batch_of(made, [d])) for d in dialogues])
        reversed_order = logits(made, batch_of(made, dialogues[::-1])).split(lengths[::-1])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)
    backwards = torch.cat(reversed_order[::-1])
    torch.testing.assert_close(together, backwards, rtol=1e-5, atol=1e-5)


@every_form
@pytest.mark.parametrize(
    ("value", "index"), [(1e4, 17), (torch.nan, -1), (-torch.inf, 2)], ids=["far", "nan", "inf"]
)
def test_what_padding_and_gaps_hold_changes_nothing(name, options, value, index):
    made = make(name, **options)
    clean = batch_of(made, conversations((6, 1, 9, 4)), turns=2)
    results = []
    for batch in (clean, with_garbage(clean, value, index)):
        torch.manual_seed(0)  # of losses that draw
        result = [logits(made, batch)]
        if name in LEARNERS:
            loss = total_loss(made, batch)
            made.zero_grad()
            loss.backward()
            gradients = [p.grad for p in made.parameters() if p.grad is not None]
            result += [loss, *gradients]
        results.append(result)
    for expected, got in zip(*results, strict=True):
        assert torch.equal(expected, got)
        assert got.isfinite().all()


@every_system
@pytest.mark.parametrize("modalities", SUBSETS, ids="+".join)
def test_every_subset_of_modalities_runs_or_is_refused_with_words(name, modalities):
    try:
        made = make(name, modalities=modalities)
        batch = batch_of(made, conversations((5, 2)))
        result = logits(made, batch)
    except (PipelineError, LeftOut, ValueError) as error:
        assert "modalit" in str(error)
        return
    assert result.shape == (7, CLASSES)
    if name in LEARNERS:
        loss = total_loss(made, batch)
        loss.backward()
        assert loss.isfinite()


@every_system
def test_a_dialogue_without_any_modality_has_a_prediction(name):
    made = make(name)
    batch = batch_of(made, conversations((4, 3), missing=1.0))
    assert logits(made, batch).isfinite().all()


@every_system
def test_renaming_speakers_changes_nothing(name):
    """Unless the system says that it numbers them by first appearance."""
    made = make(name)
    batch = batch_of(made, conversations((6, 9, 4)))
    renamed = replace(batch, speakers=torch.tensor([4, 0, 7])[batch.speakers])
    with torch.no_grad():
        before, after = logits(made, batch), logits(made, renamed)
    if made.NUMBERS_SPEAKERS:
        assert (after - before).abs().max() > 1e-4
    else:
        torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["bc_lstm", "iterative_erc", "emocaps", "mvn"])
def test_who_speaks_changes_nothing_at_all(name):
    """In systems that do not read speakers."""
    made = make(name)
    batch = batch_of(made, conversations((5, 3)))
    before = logits(made, batch)
    batch.speakers.random_(0, 9)
    assert torch.equal(logits(made, batch), before)


@every_system
@pytest.mark.parametrize(
    ("turns", "speakers"), [(1, 1), (500, 2), (60, 40)], ids=["turn", "long", "crowd"]
)
def test_a_dialogue_of_any_size_is_predicted_and_learned_from(name, turns, speakers):
    made = make(name)
    batch = batch_of(made, [conversation(5, turns, speakers=speakers, labelled=1.0)])
    result = logits(made, batch)
    assert result.shape == (turns, CLASSES)
    assert result.isfinite().all()
    if name in LEARNERS:
        total_loss(made, batch).backward()
        assert all(p.grad.isfinite().all() for p in made.parameters() if p.grad is not None)


@every_system
def test_the_prediction_reads_no_label(name):
    made = make(name)
    batch = batch_of(made, conversations((5, 2)))
    relabelled = replace(batch, labels=torch.full_like(batch.labels, 99))
    assert torch.equal(logits(made, batch), logits(made, relabelled))


@every_system
def test_a_checkpoint_gives_the_same_predictions(name, tmp_path):
    made, file = make(name), tmp_path / "model.safetensors"
    features = {m: {"dimension": d} for m, d in made.shape.features.items()}
    state = made.state_dict()
    facts = {
        "corpus": CORPUS,
        "system": name,
        "settings": made.settings.model_dump(mode="json"),
        "shape": asdict(made.shape),
        "sizes": made.sizes_of(state),
        "classes": [f"class {number}" for number in range(CLASSES)],
        "features": features,
    }
    save_checkpoint(file, state, facts)
    read, _ = load_checkpoint(file, features)
    batch = batch_of(made, conversations((5, 2)))
    assert torch.equal(logits(read, batch), logits(made, batch))


@pytest.mark.parametrize("modalities", [MODALITIES, ("text",)], ids="+".join)
@every_system
def test_other_turns_change_a_prediction_unless_it_says_that_it_reads_none(name, modalities):
    """Model cards state it."""
    made = make(name, modalities=tuple(m for m in modalities if m in shrunk(name).modalities))
    batch = batch_of(made, [conversation(5, 6, missing=0.0)])
    before = logits(made, batch)
    for vectors in batch.features.values():
        vectors[0, 2] += 5
    if batch.texts:
        batch.texts[0][2] = "fine fine why"
    changed = (logits(made, batch) != before).any(1).tolist()
    reads = made.READS_DIALOGUE and getattr(made.settings, "context", "") != "none"
    assert any(changed[:2] + changed[3:]) == reads


def learning(name):
    """A small system in training, with dropout and, where it may have one, a discriminator."""
    options = {**dict.fromkeys(DROPOUTS, 0.3), "similarity_by": "adversarial"}
    return make(name, **options).train()


@every_learner
def test_it_learns_under_autocast_and_gives_its_figures_outside_of_it(name):
    made = learning(name)
    batch = batch_of(made, conversations((6, 1, 9, 4)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = made(batch)
        loss = sum(made.losses(output, batch, Entropy()).values())
    loss.backward()
    made.after_step(output, batch)
    numbers = [loss, output.logits[batch.turn_mask], *made.figures(output, batch).values()]
    numbers += [p.grad for p in made.parameters() if p.grad is not None]
    assert all(values.isfinite().all() for values in numbers)


@every_learner
def test_figures_draw_no_random_number_and_change_nothing(name):
    made = learning(name)
    batch = batch_of(made, conversations((6, 9)))
    with torch.no_grad():
        output = made(batch)
        state = {key: value.clone() for key, value in made.state_dict().items()}
        random = torch.get_rng_state()
        figures = made.figures(output, batch)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, state[key]) for key, value in made.state_dict().items())
    assert all(part.training for part in made.modules())
    assert all(value.isfinite() and value.dim() == 0 for value in figures.values())


@pytest.mark.parametrize("name", ["multiemo", "sdt", "cfn_esa", "mult", "jmt", "unimse"])
def test_heads_that_do_not_divide_the_width_are_refused(name):
    with pytest.raises(ValueError, match="width 16 is not a multiple of heads 3"):
        shrunk(name, heads=3)


@pytest.mark.parametrize(
    ("name", "term"),
    [
        ("misa", "similarity"),
        ("misa", "difference"),
        ("misa", "reconstruction"),
        ("maln", "commonality"),
        ("maln", "diversity"),
        ("maln", "orthogonality"),
        ("sdt", "unimodal"),
        ("sdt", "distillation"),
        ("cfn_esa", "shift"),
        ("multiemo", "contrastive"),
        ("multiemo", "soft_hgr"),
    ],
)
def test_a_term_without_weight_is_left_out(name, term):
    batch = batch_of(whole := make(name), conversations([5, 3]))
    without = make(name, **{term: 0.0})
    assert set(terms_of(whole, batch)) - set(terms_of(without, batch)) == {term}


MASKS_WHAT_IS_MISSING = {"late_fusion", "tfn", "lmf", "mvn", "mcihn", "telme", "aimdit"}
UNREACHED = {"mm_dfn": {"graph.cell.weight_hh"}}  # a single layer has no memory to read


@pytest.mark.parametrize(
    ("name", "options"), [*((name, {}) for name in LEARNERS), *OTHERWISE], ids=form
)
def test_every_weight_learns(name, options):
    """A branch that nothing reads, as in one public code, would have no gradient."""
    made = make(name, **options)
    with torch.no_grad():
        for parameter in made.parameters():  # some start at zero, which hides what is behind them
            parameter += 0.1 * torch.randn(parameter.shape)
    total_loss(made, batch_of(made, TRAIN)).backward()
    unreached = {n for n, p in made.named_parameters() if p.grad is None or not p.grad.any()}
    missing = {n for n in unreached if n.endswith(".missing")}
    assert unreached - missing == UNREACHED.get(name, set())
    assert bool(missing) == (name in MASKS_WHAT_IS_MISSING)


@every_learner
def test_a_step_lowers_the_loss_of_its_batch(name):
    made = make(name)
    batch = batch_of(made, TRAIN)
    torch.manual_seed(0)
    before = total_loss(made, batch)
    before.backward()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.grad is not None:
                parameter.sub_(parameter.grad, alpha=1e-3)
    torch.manual_seed(0)
    assert total_loss(made, batch) < before


@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, {}) for name in LEARNERS), ("mmgcn", {"layers": 64})],  # its published depth
    ids=form,
)
def test_twenty_utterances_are_learned(name, options, tmp_path):
    few = conversations((7, 9, 4), missing=0.0, labelled=1.0, clarity=2.0)
    constant = {"epochs": 150, "patience": 150, "learning_rate": 0.01, "schedule": "constant"}
    fold = fold_of(name, train=few, valid=few, test=few[-1:], **constant | options)
    run = run_of(fold, StateFile(tmp_path / "run.pt", RunState))
    assert any(state.scores[-1] == 100 for state in run)


def fold_with_dropout(name, **options):
    return fold_of(name, **dict.fromkeys(DROPOUTS, 0.3), **options)


@pytest.fixture
def every_epoch_is_kept(monkeypatch):
    monkeypatch.setattr(state, "SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(state, "LARGEST_SHARE", 1e9)


@every_form
def test_no_number_hangs_on_kills_or_on_the_test_split(
    name, options, tmp_path, every_epoch_is_kept
):
    fold = fold_with_dropout(name, **options)
    whole, killed, poisoned = (
        StateFile(tmp_path / file, RunState) for file in ("whole.pt", "killed.pt", "poisoned.pt")
    )
    for _ in run_of(fold, whole):
        pass
    for _ in range(fold.settings.epochs if name in LEARNERS else 1):
        run = run_of(fold, killed)
        next(run)
        run.close()
    assert learned(killed) == learned(whole)
    assert [t.tolist() for t in killed.read().test] == [t.tolist() for t in whole.read().test]

    draw = torch.Generator().manual_seed(9)
    others = [
        replace(
            dialogue,
            features={
                m: 100 * torch.randn(v.shape, generator=draw) for m, v in dialogue.features.items()
            },
            labels=torch.randint(CLASSES, (len(dialogue),), generator=draw),
            texts=["why"] * len(dialogue),
        )
        for dialogue in TEST
    ]
    for _ in run_of(fold_with_dropout(name, **options, test=others), poisoned):
        pass
    assert learned(poisoned) == learned(whole)
