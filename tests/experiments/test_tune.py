"""Tuning: every system at the same points, chosen on validation; runs go to the stage's cache."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.base.errors import PipelineError
from pipeline.base.params import Params, read_params
from pipeline.experiments import tune
from pipeline.experiments.tune import Tried, carry_out, chosen
from pipeline.training.runs import Epoch, Job, in_turn, read_data
from pipeline.training.train import train_system
from tests.conftest import PARAMS
from tests.synthetic import lay_out
from tests.training.toy import SHORT, SMALL, changed, outputs, toy

VALUES = ("learning_rate=0.0001,0.01",)


@pytest.fixture
def params(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Of a corpus `toy` with three systems, one of which is fitted at once."""
    lay_out("toy")
    params = read_params(PARAMS)
    blocks = {name: dict(block) for name, block in params.blocks["demo_meld"].items()}
    for name in ("mcn_cl", "bc_lstm"):
        small = {k: v for k, v in (SMALL | SHORT).items() if k in blocks[name]}
        blocks[name] = {**blocks[name], **small}
    systems = ["tfidf", "bc_lstm", "mcn_cl"]
    params = replace(
        params,
        corpora=["toy"],
        systems=systems,
        blocks={"toy": blocks},
        compute={**params.compute, "device": "cpu"},
    )
    monkeypatch.setattr(tune, "read_params", lambda: params)
    monkeypatch.setattr(tune, "_bring_up_to_date", lambda corpus: None)
    return params


def test_every_system_with_the_setting_is_trained_at_every_point(
    params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    carry_out("toy", (), VALUES, [1, 2])
    page = Path("docs/tuning/toy-learning_rate.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert rows[0] == "| system | learning_rate 0.0001 | learning_rate 0.01 |"
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| bc-LSTM", "| MCN-CL"]
    assert [row.count(" *") for row in rows[2:]] == [1, 1]
    assert (
        "python -m pipeline tune toy --values learning_rate=0.0001,0.01 --seed 1 --seed 2" in page
    )
    assert "toy.mcn_cl.learning_rate=0.01" in page, "the low rate learns nothing in four epochs"
    assert "MCN-CL" in capsys.readouterr().out


def test_the_stage_finds_what_was_tuned(
    params: Params, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out("toy", ("mcn_cl",), VALUES, [1, 2])
    assert Path("docs/tuning/toy-mcn_cl-learning_rate.md").is_file()
    capsys.readouterr()
    training = replace(toy(seeds=(1, 2, 3)), settings=params.system("toy", "mcn_cl"))
    train_system(changed(training, seeds=(1, 2), learning_rate=0.01))
    assert capsys.readouterr().out.count("from the cache") == 2
    tuned = outputs()
    monkeypatch.setenv("ERC_CACHE", "elsewhere")
    train_system(changed(training, seeds=(1, 2), learning_rate=0.01))
    assert outputs() == tuned


def test_values_may_be_lists(params: Params) -> None:
    carry_out("toy", ("bc_lstm",), ("modalities=[text],[text, audio]",), [1])
    page = Path("docs/tuning/toy-bc_lstm-modalities.md").read_text()
    assert "| system | modalities [text] | modalities [text,audio] |" in page
    assert "\ntoy.bc_lstm.modalities=[text" in page


def test_the_highest_mean_is_chosen_the_first_of_equals_and_never_one_that_diverged() -> None:
    def tried(*scores: float, diverged: bool = False) -> Tried:
        return Tried({}, toy(), (), list(scores), diverged)

    points = [tried(50, 60), tried(70, 50), tried(40, 80), tried(99, diverged=True)]
    assert chosen(points) is points[1]


def test_a_point_that_diverges_is_said_to_and_the_others_count(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_diverges(jobs: Sequence[Job], workers: int) -> Iterator[Epoch]:
        for job in jobs:
            if job.training.settings.learning_rate == 1.0:
                yield Epoch(job.run, [], last=True, diverged="Epoch 1 has a loss of nan")
            else:
                yield from in_turn(read_data(job.training), [job.run])

    monkeypatch.setattr(tune, "in_processes", one_diverges)
    carry_out("toy", ("bc_lstm",), ("learning_rate=1.0,0.001",), [1])
    page = Path("docs/tuning/toy-bc_lstm-learning_rate.md").read_text()
    assert "| diverged |" in page and "toy.bc_lstm.learning_rate=0.001" in page


@pytest.mark.parametrize(
    ("systems", "values", "message"),
    [
        ((), ["learning_rate"], "expected SETTING=VALUE"),
        ((), ["learning_rate=0.1,0.1"], "that differ"),
        ((), ["learning rate=0.1,0.2"], "expected SETTING=VALUE"),
        ((), ["learning_rate=[0.1"], "expected SETTING=VALUE"),
        ((), ["learning_rate=-1,0.1"], r"toy\.bc_lstm\.learning_rate: got -1"),
        ((), ["learnig_rate=0.1,0.2"], "no system that is enabled there"),
        (["tfidf"], ["learning_rate=0.1,0.2"], "tfidf has no setting learning_rate"),
        (["mcn"], ["learning_rate=0.1,0.2"], "got the system 'mcn'"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_anything_is_trained(
    params: Params, systems: list[str], values: list[str], message: str
) -> None:
    with pytest.raises(PipelineError, match=message):
        carry_out("toy", systems, values, [1])
    assert not Path("cache/train").exists()
