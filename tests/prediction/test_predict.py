"""`predict`, from a folder to results: what is masked, refused, averaged, and never done twice."""

import csv
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.paths import places
from pipeline.base.tables import read_provenance
from pipeline.cli import main
from pipeline.prediction import predict as command
from tests.conftest import ROOT
from tests.dag.clone import dumped
from tests.prediction.small_model import (
    CORPUS,
    SYSTEM,
    Network,
    checkpoint,
    conversation,
    prepare,
    write_checkpoint,
)

TALK = ("0.mp4,Ann,Hello there", "1.mp4,Bob,What?", "0.mp4,Ann,Hello there")


@pytest.fixture
def network(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    return prepare(workspace, monkeypatch)


def run(model: Path, folder: Path) -> pd.DataFrame:
    command.predict(model, folder, folder / "predictions")
    return pd.read_parquet(folder / "predictions/predictions.parquet")


def shares(table: pd.DataFrame) -> np.ndarray:
    """[utterance, class]."""
    return table.filter(like="probability of ").to_numpy()


def ledger(folder: Path) -> list[tuple[str, str, str]]:
    rows = pd.read_csv(folder / "predictions/ledger.csv")
    return list(rows[["utterance", "modality", "kind"]].itertuples(index=False, name=None))


@pytest.mark.slow
def test_a_folder_of_checkpoints_is_their_mean(
    network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = conversation(Path("talk"), *TALK, clips=2)
    one, two = (shares(run(checkpoint(seed), folder)) for seed in (1, 2))
    assert "checkpoint fold0-seed2" in capsys.readouterr().out
    table = run(paths.checkpoints(CORPUS, SYSTEM), folder)
    assert "mean of the probabilities of 2 checkpoints" in capsys.readouterr().out
    assert np.abs(one - two).max() > 0.01
    assert np.allclose(shares(table), (one + two) / 2, atol=1e-6)
    assert np.allclose(shares(table).sum(axis=1), 1, atol=1e-5)
    assert set(table["modalities present"]) == {"text, audio, visual"}
    assert list(table["utterance"]) == ["talk_utt0", "talk_utt1", "talk_utt2"]
    about = read_provenance(folder / "predictions/predictions.parquet", "predicted/1")
    assert about["corpus"] == CORPUS and len(about["checkpoints"]) == 2
    assert [p.name for p in (folder / "predictions/timelines").iterdir()] == ["1-talk.png"]


@pytest.mark.slow
def test_a_system_is_named_in_the_folder_of_a_corpus(
    network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, corpus = conversation(Path("talk"), *TALK, clips=2), Path("models/checkpoints", CORPUS)
    write_checkpoint(0, name="linear_svm")

    def asked(system: str | None, model: Path = corpus) -> pd.DataFrame:
        command.predict(model, folder, folder / "predictions", system)
        return pd.read_parquet(folder / "predictions/predictions.parquet")

    reference = asked(None)
    assert f"model: MCN-CL, {CORPUS}, mean of the probabilities of 2" in capsys.readouterr().out
    assert reference.equals(asked(SYSTEM)) and reference.equals(asked(None, corpus / SYSTEM))
    svm = asked("linear_svm")
    assert f"model: linear SVM, {CORPUS}, checkpoint fold0-seed0" in capsys.readouterr().out
    assert np.abs(shares(svm) - shares(reference)).max() > 0.01
    about = read_provenance(folder / "predictions/predictions.parquet", "predicted/1")
    assert about["system"] == "linear_svm"
    with pytest.raises(
        PipelineError, match=r"holds no checkpoint of bc.*\['linear_svm', 'mcn_cl'\]"
    ):
        asked("bc")
    with pytest.raises(PipelineError, match="is a checkpoint of mcn_cl, not of linear_svm"):
        asked("linear_svm", checkpoint(1))
    write_checkpoint(2, system="linear_svm")
    with pytest.raises(PipelineError, match="does not fit the model as its code is here"):
        asked(None)


@pytest.mark.slow
def test_a_system_that_learned_from_generated_people_says_so(
    network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the words of its card."""
    folder = conversation(Path("talk"), *TALK, clips=2)
    run(checkpoint(1), folder)
    card = (ROOT / "pipeline/training/card.md.j2").read_text(encoding="utf-8")
    assert command.GENERATED in " ".join(card.replace("**", "").split())
    assert f"WARNING: {command.GENERATED}" in " ".join(capsys.readouterr().out.split())
    params = yaml.load(Path("params.yaml").read_text(), yaml.CSafeLoader)
    Path("params.yaml").write_text(dumped({**params, "mine": params[CORPUS]}))
    for folder_of in ("models/pretrained", "models/encoders"):
        shutil.copytree(Path(folder_of, CORPUS), Path(folder_of, "mine"))
    write_checkpoint(1, corpus="mine")
    run(checkpoint(1), folder)
    printed = capsys.readouterr().out
    assert "model: MCN-CL, mine, checkpoint" in printed and "generated" not in printed


SLOW = """
import sys, time
from pipeline.prediction import predict

def predicted(params, checkpoints, utterances, folder, stores):
    (stores / "manifest.parquet").write_text("words")
    print(flush=True)
    time.sleep(600)

predict._predicted = predicted
from pipeline.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGKILL])
def test_no_words_stay_in_a_temporary_folder(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended_by: signal.Signals
) -> None:
    """What a run that was killed outright left is removed by the next one."""
    scratch = tmp_path / "temporary"
    (mine := scratch / "predict-mine").mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    folder = conversation(Path("talk"), *TALK, clips=2)
    words = ["predict", "--model", str(checkpoint(1)), "--input", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(scratch)}
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, *words], env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline()
        process.send_signal(ended_by)
    left = list(scratch.rglob("manifest.parquet"))
    assert len(left) == (ended_by == signal.SIGKILL)
    run(checkpoint(1), folder)
    assert list(scratch.iterdir()) == [mine]


@pytest.mark.slow
def test_what_an_utterance_lacks_is_masked_and_told(
    network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (
        f"0.mp4,Ann,{'Hello ' * 20}",
        "0.mp4,Ann,",
        ",Bob,What?",
        "gone.mp4,Bob,No",
        "bad.mp4,A,Oh",
        ",B,",
    )
    folder = conversation(Path("talk"), *rows, clips=1)
    (folder / "bad.mp4").write_bytes(b"not a clip at all")
    table = run(checkpoint(1), folder)
    assert list(table["modalities present"]) == [
        *("text, audio, visual", "audio, visual"),
        *("text", "text", "text", "none"),
    ]
    assert np.isfinite(shares(table)).all()
    both = ("audio", "visual")
    kinds = {2: "no_clip", 3: "absent", 4: "unreadable", 5: "no_clip"}
    told = {(f"talk_utt{turn}", m, kind) for turn, kind in kinds.items() for m in both}
    told |= {(f"talk_utt{turn}", "text", "no_text") for turn in (1, 5)}
    assert set(ledger(folder)) == told and len(ledger(folder)) == len(told)
    printed = capsys.readouterr().out
    assert "masked: audio, in 4 of 6 utterances" in printed
    assert "audio absent: 1, such as talk_utt3 (there is no such file)" in printed
    assert re.search(r"^ talk +0 +Ann +Hell.*… +(calm|angry|glad) +\d\d? *$", printed, re.MULTILINE)


def test_one_utterance_alone_and_a_modality_that_nobody_has(network: Network) -> None:
    alone = run(checkpoint(1), conversation(Path("one"), "0.mp4,Ann,Hello", clips=1))
    assert len(alone) == 1 and list(alone["modalities present"]) == ["text, audio, visual"]
    words = run(checkpoint(1), conversation(Path("words"), ",Ann,Hello", ",Bob,Hi"))
    assert list(words["modalities present"]) == ["text", "text"]
    with pytest.raises(PipelineError, match="no utterance has any of it"):
        run(checkpoint(1), conversation(Path("nothing"), ",Ann,"))
    assert not Path("nothing/predictions").exists()


@pytest.mark.slow
def test_a_model_that_reads_text_alone_says_nothing_of_clips(network: Network) -> None:
    write_checkpoint(1, modalities=["text"])
    folder = conversation(Path("words"), ",Ann,Hello", ",Bob,")
    table = run(checkpoint(1), folder)
    assert list(table["modalities present"]) == ["text", "none"]
    assert ledger(folder) == [("words_utt1", "text", "no_text")]
    with pytest.raises(PipelineError, match="holds checkpoints that cannot be averaged"):
        run(paths.checkpoints(CORPUS, SYSTEM), folder)


@pytest.mark.slow
def test_a_prediction_depends_on_its_own_dialogue_alone(network: Network) -> None:
    folder = conversation(Path("talk"), *TALK, clips=2)
    alone = shares(run(checkpoint(1), folder))
    rows = [f"{row},{dialogue}" for row in TALK for dialogue in ("x", "talk")]
    (folder / "utterances.csv").write_text("\n".join(["clip,speaker,text,dialogue", *rows]))
    both = run(checkpoint(1), folder).set_index("dialogue")
    assert np.allclose(shares(both.loc["talk"]), alone, atol=1e-6)
    assert len(list((folder / "predictions/timelines").iterdir())) == 2


@pytest.mark.slow
def test_segments_of_one_clip_are_told_apart(network: Network) -> None:
    folder = conversation(Path("talk"), clips=1)
    rows = ["0.mp4,A,Hi,0,0.2", "0.mp4,A,Hi,0.2,", "0.mp4,A,Hi,0.2,9", "0.mp4,A,Hi,7,9"]
    (folder / "utterances.csv").write_text("\n".join(["clip,speaker,text,start,end", *rows]))
    table = run(checkpoint(1), folder)
    assert list(table["modalities present"]) == ["text, audio, visual"] * 3 + ["text"]
    assert {(u, kind) for u, _, kind in ledger(folder)} == {
        ("talk_utt2", "short_file"),
        ("talk_utt3", "outside"),
    }


@pytest.mark.slow
def test_nothing_is_computed_twice(network: Network) -> None:
    folder = conversation(Path("talk"), *TALK, clips=2)
    first = run(checkpoint(1), folder)
    files = {p: p.read_bytes() for p in (folder / "predictions").rglob("*") if p.is_file()}
    assert (network.texts, network.batches) == (2, 2)
    again = run(checkpoint(1), folder)
    assert (network.texts, network.batches) == (2, 2)
    assert again.equals(first)
    assert all(path.read_bytes() == data for path, data in files.items()) and len(files) == 4


def test_a_killed_run_leaves_no_results_and_goes_on(network: Network) -> None:
    folder = conversation(Path("talk"), *TALK, clips=2)
    network.broken = True
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint(1), folder)
    assert sorted(p.name for p in folder.iterdir()) == ["0.mp4", "1.mp4", "utterances.csv"]
    network.broken = False
    assert len(run(checkpoint(1), folder)) == 3
    assert network.texts == 2, "the texts were in the cache"


@pytest.mark.slow
def test_other_settings_than_the_trainings_are_refused_before_any_work(network: Network) -> None:
    folder = conversation(Path("talk"), *TALK, clips=2)
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("count: 2", "count: 3", 1))
    with pytest.raises(PipelineError) as refused:
        run(checkpoint(1), folder)
    assert "visual.frames.settings.count: trained on 2, got 3" in str(refused.value)
    assert "Give params.yaml the settings it was trained with" in str(refused.value)
    assert network.texts == 0 and not (folder / "predictions").exists()


def test_what_is_not_there_is_told(network: Network) -> None:
    folder = conversation(Path("talk"), *TALK, clips=2)
    with pytest.raises(PipelineError, match="does not exist; expected a checkpoint, or a folder"):
        run(Path("nowhere"), folder)
    with pytest.raises(PipelineError, match=f"Did you mean models/checkpoints/{CORPUS}?"):
        run(Path("models/checkpoints"), folder)
    with pytest.raises(PipelineError, match="cannot be read as a checkpoint"):
        run(folder / "0.mp4", folder)
    with pytest.raises(PipelineError, match="is a file, expected the name of a folder"):
        command.predict(checkpoint(1), folder, Path("params.yaml"))
    write_checkpoint(2, corpus="mine")
    with pytest.raises(PipelineError, match="trained on 'mine', of which params"):
        run(checkpoint(2), folder)
    for role in ("text", "visual"):
        (places(CORPUS).encoders[role] / "encoder.json").unlink()
    with pytest.raises(PipelineError) as lacking:
        run(checkpoint(1), folder)
    assert f"dvc repro finetune@{CORPUS} weights@{CORPUS}-visual" in str(lacking.value)


@pytest.mark.slow
def test_names_and_texts_may_hold_anything_on_any_terminal(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        '0.mp4,"$\\frac$\x1b[2J","=1+1\r\x1b[31mé"',
        "gone\x1b.mp4,[/bold]日,@x",
        '0.mp4,-,"\r-"',
    ]
    folder = conversation(Path("talk"), *rows, clips=1)
    words = ["predict", "--model", str(checkpoint(1)), "--input", str(folder)]
    monkeypatch.setattr(sys, "argv", ["pipeline", *words])
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, "ascii"))
    with pytest.raises(SystemExit) as ended:
        main()
    sys.stdout.flush()
    assert not ended.value.code and b"\x1b" not in shown.getvalue()
    assert b"[/bold]" in shown.getvalue() and b"written: talk" in shown.getvalue()
    for name, count in (("predictions", 3), ("ledger", 2)):
        with (folder / f"predictions/{name}.csv").open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))
        assert len(lines) == count + 1
        assert not [cell for line in lines for cell in line if cell.startswith(("=", "@", "-"))]
    table = pd.read_parquet(folder / "predictions/predictions.parquet")
    assert list(table["text"]) == ["=1+1\r\x1b[31mé", "@x", "\r-"], "exact in Parquet"


def test_errors_are_told_without_a_traceback(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["predict", "--model", str(checkpoint(1)), "--input", "nowhere"]
    monkeypatch.setattr(sys, "argv", ["pipeline", *words])
    with pytest.raises(SystemExit, match="nowhere is no folder"):
        main()
