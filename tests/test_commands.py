"""`python -m pipeline …`: doctor, cache, meld-text, summary, and errors without a traceback."""

import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from pipeline.__main__ import app
from pipeline.base.cache import ClipCache
from pipeline.corpora.iemocap import COSMIC
from pipeline.weights.fetch import install
from tests.conftest import ROOT
from tests.corpora.iemocap_tree import conversation
from tests.corpora.iemocap_tree import lay_out as lay_out_iemocap
from tests.corpora.meld_tree import LINE, tree
from tests.dag.clone import python, with_values
from tests.media.make_media import tone, write_media


@pytest.fixture
def repository(workspace: Path) -> Path:
    shutil.copy(ROOT / "params.yaml", workspace)
    return workspace


def test_doctor_names_what_to_mend(repository: Path) -> None:
    found = CliRunner().invoke(app, ["doctor", "meld"])
    assert found.exit_code == 1
    assert "no git repository" in found.output
    assert "data/raw/meld does not exist" in found.output and "ln -s" in found.output
    assert "not looked at" in found.output and "mend first: 2" in found.output


def test_doctor_tells_a_dangling_link(repository: Path) -> None:
    (repository / "data/raw").mkdir(parents=True)
    (repository / "data/raw/meld").symlink_to(repository / "nowhere")
    assert "is a dangling link" in CliRunner().invoke(app, ["doctor", "meld"]).output


def test_meld_text_is_laid_out_and_examined(repository: Path, shared: Path) -> None:
    laid = CliRunner().invoke(app, ["meld-text", str(shared / "meld_csv")])
    assert laid.exit_code == 0 and "not the bytes" not in laid.output
    found = CliRunner().invoke(app, ["doctor", "meld_text"])
    for said in (
        "ok    meld_text: 13708 utterances, 1432 dialogues",
        "note  meld_text: no clips",
        "ok    meld_text: 0 of 13708 media files",
    ):
        assert said in found.output
    assert "ok    meld_text: counts as published" in found.output


def lay_out_meld(root: Path, *clips: str) -> None:
    """A MELD tree with one utterance a split; the named clips are real files."""
    tree(root, LINE.format(text="x", dialogue=0, utterance=0))
    for clip in clips:
        write_media(root / clip, stamps=range(5), sound=tone(0.3, 48000)[None], layout="mono")


def test_doctor_examines_a_corpus(repository: Path) -> None:
    root = repository / "data/raw/meld"
    lay_out_meld(root, "train_splits/dia0_utt0.mp4")
    (root / "dev_splits_complete/dia0_utt0.mp4").write_text("version https://git-lfs.github.com/x")
    (root / "output_repeated_splits_test/dia0_utt0.mp4").touch()
    found = CliRunner().invoke(app, ["doctor", "meld"]).output
    for said in (
        "ok    meld: 3 utterances, 3 dialogues, 1 speakers by the reader 'meld'",
        "note  meld: not as published: official_split train: 1 utterances (published 9989)",
        "Likely: whole dialogues are not there, unpacked incompletely",
        "1 of 3 media files, 0.00 GB, 1 empty, 1 Git-LFS pointers (git -C data/raw/meld lfs pull)",
        "ok    meld: the protocol fits, 3 labelled utterances",
        "headers of 1 of 1 files: 1 h264 160x96",
        "ok    meld: text encoder roberta-base",
        "GB free; frames and features may take",
    ):
        assert said in found, found


def with_encoder(repository: Path, role: str, encoder: str) -> None:
    path = repository / "params.yaml"
    path.write_text(with_values(path.read_text(), {f"{role}.encoder": encoder}, "meld"))


def test_doctor_says_where_encoders_will_come_from(repository: Path) -> None:
    lay_out_meld(repository / "data/raw/meld", "train_splits/dia0_utt0.mp4")
    with_encoder(repository, "visual", "ResNet50_Weights.IMAGENET1K_V2")
    with_encoder(repository, "text", f"owner/model@{'a' * 40}")
    found = CliRunner().invoke(app, ["doctor", "meld"]).output
    assert (
        "ok    meld: visual encoder ResNet50_Weights.IMAGENET1K_V2 not here yet; `dvc repro` will "
        "try https://download.pytorch.org/models first"
    ) in found
    assert f"owner/model@{'a' * 40} not here yet; `dvc repro` will try huggingface.co" in found
    assert "audio encoder" not in found


def test_doctor_sees_that_a_folder_has_changed(repository: Path) -> None:
    lay_out_meld(repository / "data/raw/meld", "train_splits/dia0_utt0.mp4")
    with_encoder(repository, "text", "./mine")
    assert "MEND  meld: meld.text.encoder: got './mine', but" in doctor_on_meld()
    (repository / "mine").mkdir()
    (repository / "mine/config.json").write_text('{"model_type": "bert"}')
    assert "MEND  meld:" in doctor_on_meld() and "no weights as safetensors" in doctor_on_meld()
    (repository / "mine/tokenizer.json").write_text("{}")
    (repository / "mine/model.safetensors").write_bytes(b"first")
    assert "ok    meld: text encoder ./mine in" in doctor_on_meld()
    folder = Path("models/pretrained/meld/text")
    install("./mine", "text", folder, Path("weights"), "meld.text.encoder")
    assert "ok    meld: text encoder ./mine in" in doctor_on_meld()
    (repository / "mine/model.safetensors").write_bytes(b"second")
    assert (
        "MEND  meld: the files of the text encoder ./mine have changed since they were taken: "
        "dvc repro --force --single-item 'weights@meld-text'"
    ) in doctor_on_meld()


def doctor_on_meld() -> str:
    return CliRunner().invoke(app, ["doctor", "meld"]).output


def test_doctor_wants_clips_where_they_are_needed(repository: Path) -> None:
    lay_out_meld(repository / "data/raw/meld")
    found = CliRunner().invoke(app, ["doctor", "meld"]).output
    assert "MEND  meld: not one file for ['visual', 'audio']" in found
    assert "data/raw/meld/train_splits/dia0_utt0.mp4, or take ['visual', 'audio'] out" in found


def test_doctor_looks_for_each_modality_alone(repository: Path) -> None:
    root = repository / "data/raw/iemocap"
    lay_out_iemocap(root, [conversation(name) for name in COSMIC])
    (root / "Session1/dialog/avi/DivX").mkdir(parents=True)
    (root / "Session1/dialog/avi/DivX/Ses01M_impro01.avi").write_bytes(b"x")
    found = CliRunner().invoke(app, ["doctor", "iemocap"]).output
    assert "MEND  iemocap: not one file for ['audio']" in found
    assert "1 cannot be opened, such as Session1/dialog/avi/DivX/Ses01M_impro01.avi" in found


def test_doctor_tries_the_protocol(repository: Path) -> None:
    lay_out_iemocap(repository / "data/raw/iemocap", [conversation("Ses01F_impro01")])
    found = CliRunner().invoke(app, ["doctor", "iemocap"]).output
    assert "MEND  iemocap: validation: cosmic names 12 dialogues" in found


def test_doctor_tells_a_wrong_tree(repository: Path) -> None:
    (repository / "data/raw/iemocap").mkdir(parents=True)
    (repository / "data/raw/iemocap/IEMOCAP_full_release.tar.gz").touch()
    found = CliRunner().invoke(app, ["doctor", "iemocap"])
    assert found.exit_code == 1
    assert "MEND  iemocap: data/raw/iemocap is not an unpacked IEMOCAP tree" in found.output
    assert "tar -xf data/raw/iemocap/IEMOCAP_full_release.tar.gz" in found.output


def test_doctor_passes_a_repository_that_can_run(repository: Path) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    (repository / ".dvc").mkdir()
    for command in (["init", "-q"], ["add", "params.yaml"], ["commit", "-qm", "start"]):
        subprocess.run(["git", *identity, *command], cwd=repository, check=True)
    found = CliRunner().invoke(app, ["doctor"])
    assert found.exit_code == 0 and found.output.endswith("verdict: `dvc repro` can run\n")
    assert "ok    demo_iemocap: a demo corpus, `dvc repro` generates" in found.output


def test_cache_shows_and_prunes(repository: Path) -> None:
    schema = pa.schema([("frames", pa.int32())])
    ClipCache("audio", 1, schema).put("ab12", {"frames": 1})
    assert "audio" in CliRunner().invoke(app, ["cache"]).output
    kept = CliRunner().invoke(app, ["cache", "--prune-days", "1"])
    assert "pruned" not in kept.output
    assert "pruned audio" in CliRunner().invoke(app, ["cache", "--prune-days", "0"]).output
    assert "audio" not in CliRunner().invoke(app, ["cache"]).output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["meld-text", "/nowhere"], "lacks ['train_sent_emo.csv'"),
        (["summary"], "metrics/demo_meld/metrics.json is missing: run `dvc repro` first."),
    ],
)
def test_errors_are_told_without_a_traceback(repository: Path, words: list[str], said: str) -> None:
    done = python(repository, "pipeline", *words, PYTHONPATH=str(ROOT))
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
