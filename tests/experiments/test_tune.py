"""Tuning: every system at the same points, chosen on validation; runs go to the stage's cache."""

import shutil
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.base.errors import PipelineError
from pipeline.base.params import Params, read_params
from pipeline.base.settings import ComputeSettings
from pipeline.doctor.findings import good
from pipeline.executors.spread import Needs
from pipeline.experiments import trials, tune
from pipeline.experiments.trials import Request, Trial, chosen
from pipeline.experiments.tune import carry_out
from pipeline.training.reading import Training, read_data
from pipeline.training.runs import Epoch, Job, in_turn
from pipeline.training.train import train_system
from tests.conftest import PARAMS, ROOT
from tests.dag.clone import python
from tests.synthetic import lay_out
from tests.training.toy import SHORT, SMALL, outputs, toy

VALUES = ("learning_rate=0.0001,0.01",)


@pytest.fixture
def params(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Of a corpus `toy` with three systems, one of which is fitted at once."""
    lay_out("toy")
    shipped = read_params(PARAMS)
    block = {name: dict(settings) for name, settings in shipped.blocks["demo_meld"].items()}
    for name in ("mcn_cl", "bc_lstm"):
        small = (SMALL | SHORT).items()
        block[name] |= {k: list(v) if k == "seeds" else v for k, v in small if k in block[name]}
    block["extract"] = {"modalities": ["text", "audio"]}
    for settings in block.values():
        if "visual" in settings.get("modalities", ()):
            settings["modalities"] = ["text", "audio"]
    del block["demo"]
    content = {
        "corpora": ["toy"],
        "demos": [],
        "systems": ["tfidf", "bc_lstm", "mcn_cl"],
        "reference": "mcn_cl",
        "compute": {**shipped.compute, "device": "cpu"},
        "toy": block,
        "other": deepcopy(block),
    }
    Path("params.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setattr(tune, "_bring_up_to_date", lambda corpus: None)
    monkeypatch.setattr(tune, "repository", lambda: good(""))
    return read_params()


def training_of(params: Params, **changes: Any) -> Training:
    """Of MCN-CL on `toy`."""
    settings = params.system("toy", "mcn_cl").model_copy(update=changes)
    return Training("toy", "mcn_cl", settings, params.of(ComputeSettings))


@pytest.mark.slow
def test_every_system_with_the_setting_is_trained_at_every_point(
    params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    request = Request("toy", (), VALUES, (1, 2))
    carry_out(request)
    assert request.page == Path("docs/tuning/toy-learning_rate-seeds-1-2.md")
    page = request.page.read_text()
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert rows[0] == "| system | learning_rate 0.0001 | learning_rate 0.01 |"
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| bc-LSTM", "| MCN-CL"]
    assert [row.count(" *") for row in rows[2:]] == [1, 1]
    command = "python -m pipeline tune toy --values learning_rate=0.0001,0.01 --seed 1 --seed 2"
    assert command in page
    assert "toy.mcn_cl.learning_rate=0.01" in page, "the low rate learns nothing in four epochs"
    assert "MCN-CL" in capsys.readouterr().out


@pytest.mark.slow
def test_the_stage_finds_what_was_tuned(
    params: Params, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(Request("toy", ("mcn_cl",), VALUES, (1, 2)))
    capsys.readouterr()
    training = training_of(params, seeds=(1, 2), learning_rate=0.01)
    train_system(training)
    assert capsys.readouterr().out.count("from the cache") == 2
    found = outputs()
    monkeypatch.setenv("ERC_CACHE", "elsewhere")
    train_system(training)
    assert outputs() == found


@pytest.mark.slow
def test_values_may_be_lists(params: Params) -> None:
    request = Request("toy", ("bc_lstm",), ("modalities=[text],[text, audio]",))
    carry_out(request)
    page = request.page.read_text()
    assert "| system | modalities [text] | modalities [text,audio] |" in page
    assert "\ntoy.bc_lstm.modalities=[text" in page
    assert "--values 'modalities=[text],[text, audio]'" in page, "as a shell takes it"


def tried(*scores: float, diverged: bool = False) -> Trial:
    return Trial({"learning_rate": 0.1}, toy(), (), list(scores), diverged)


def test_the_highest_mean_is_chosen_the_first_of_equals_and_never_one_that_diverged() -> None:
    points = [tried(50, 60), tried(70, 50), tried(40, 80), tried(diverged=True)]
    assert chosen(points) is points[1]


def test_where_all_points_diverge_none_is_chosen(workspace: Path) -> None:
    found = {"mcn_cl": [tried(diverged=True)] * 2, "bc_lstm": [tried(50), tried(60)]}
    page = trials.write(Request("toy"), found).read_text()
    assert "| MCN-CL | diverged | diverged |" in page
    assert "toy.mcn_cl" not in page and "toy.bc_lstm.learning_rate=0.1" in page


@pytest.mark.slow
def test_a_point_that_diverges_is_said_to_and_the_others_count(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_diverges(work: Any, jobs: Sequence[Job], needs: Needs) -> Iterator[Epoch]:
        for job in jobs:
            if job.training.settings.learning_rate == 1.0:
                yield Epoch(job.run, [], last=True, diverged="Epoch 1 has a loss of nan")
            else:
                yield from in_turn(read_data(job.training), [job.run])

    monkeypatch.setattr(tune, "spread", one_diverges)
    request = Request("toy", ("bc_lstm",), ("learning_rate=1.0,0.001",))
    carry_out(request)
    page = request.page.read_text()
    assert "| diverged |" in page and "toy.bc_lstm.learning_rate=0.001" in page


@pytest.mark.slow
def test_a_stop_says_how_to_go_on_and_what_is_done_is_kept(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    dealt: list[int] = []

    def one_by_one(work: Any, jobs: Sequence[Job], needs: Needs) -> Iterator[Epoch]:
        dealt.append(len(jobs))
        for number, job in enumerate(jobs):
            if len(dealt) == 1 and number == 1:
                raise KeyboardInterrupt
            yield from in_turn(read_data(job.training), [job.run])

    monkeypatch.setattr(tune, "spread", one_by_one)
    request = Request("toy", ("mcn_cl",), VALUES)
    with pytest.raises(PipelineError, match=r"Stopped.*`python -m pipeline tune toy --system"):
        carry_out(request)
    assert not request.page.exists()
    carry_out(request)
    assert request.page.is_file() and dealt == [2, 1]


@pytest.mark.parametrize(
    ("systems", "values", "message"),
    [
        ((), ["learning_rate"], "expected SETTING=VALUE"),
        ((), ["learning rate=0.1,0.2"], "expected SETTING=VALUE"),
        ((), ["learning_rate=[0.1"], "expected SETTING=VALUE"),
        ((), ["learning_rate=2024-13-45"], "expected SETTING=VALUE"),
        ((), ["dropout=0.1", "dropout=0.2"], "stands there twice"),
        ((), ["seeds=[1],[2]"], "'seeds', but it is no setting of a run"),
        ((), ["learning_rate=0.001,1e-3"], "learning_rate 0.001 and .* are the same"),
        ((), ["learning_rate=-1,0.1"], r"toy\.bc_lstm\.learning_rate: got -1"),
        ((), ["learnig_rate=0.1,0.2"], "'learnig_rate'; did you mean 'learning_rate'"),
        (["mcn_cl"], ["heads=3,4"], r"toy\.mcn_cl: .*16 is not a multiple of heads 3"),
        (["mcn_cl"], ["modalities=[visual],[text]"], r"extract\.modalities"),
        (["tfidf", "mcn_cl"], ["modalities=[text],[audio]"], "tfidf: is fitted at once"),
        (["mcn"], ["learning_rate=0.1,0.2"], "got the system 'mcn'"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_anything_is_trained(
    params: Params, systems: list[str], values: list[str], message: str
) -> None:
    with pytest.raises(PipelineError, match=message):
        carry_out(Request("toy", systems, values))
    assert not Path("cache/train").exists()


def test_a_corpus_that_is_not_run_is_refused(params: Params) -> None:
    with pytest.raises(PipelineError, match=r"other is not run: .*corpora: \['toy'\]"):
        carry_out(Request("other"))


@pytest.mark.slow
def test_the_command_in_a_clone(reproduced: Path, tmp_path: Path) -> None:
    """It asks DVC for the stores, and leaves DVC nothing to do."""
    clone = tmp_path / "clone"
    shutil.copytree(reproduced, clone, symlinks=True)
    words = ("pipeline", "tune", "demo_meld", "--system", "mcn_cl")
    done = python(clone, *words, "--values", "learning_rate=0.001,0.01", PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert "Stage 'visual@demo_meld' didn't change" in done.stdout
    page = clone / "docs/tuning/demo_meld-mcn_cl-learning_rate.md"
    assert page.read_text().count(" *") == 1
    shutil.rmtree(clone / "data/raw/demo_meld")
    (clone / "data/manifests/demo_meld.parquet").unlink()
    (clone / "dvc.lock").write_text("stages: 1\n")
    stopped = python(clone, *words, PYTHONPATH=str(ROOT))
    assert stopped.returncode == 1 and "Traceback" not in stopped.stderr
    assert "dvc.lock" in stopped.stderr and "failed, as is said above" in stopped.stderr
