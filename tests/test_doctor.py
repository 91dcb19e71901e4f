"""`python -m pipeline doctor`: what would stop a run, found before it starts."""

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from ruamel.yaml import YAML
from typer.testing import CliRunner

from pipeline.base import paths
from pipeline.cli import app
from pipeline.corpora.iemocap import COSMIC
from pipeline.doctor import machine
from pipeline.records.epochs import write_epochs
from pipeline.systems.registry import SYSTEMS
from pipeline.weights.fetch import install
from tests.conftest import PARAMS
from tests.corpora.iemocap_tree import conversation
from tests.corpora.iemocap_tree import lay_out as lay_out_iemocap
from tests.corpora.meld_tree import LINE, tree
from tests.dag.clone import dumped, with_values
from tests.media.make_media import tone, write_media

AS = ("-c", "user.name=A", "-c", "user.email=a@b")


@pytest.fixture
def repository(workspace: Path) -> Path:
    shutil.copy(PARAMS, workspace)
    return workspace


def test_doctor_names_what_to_fix(repository: Path) -> None:
    found = CliRunner().invoke(app, ["doctor", "meld"])
    assert found.exit_code == 1
    assert "this folder is not a git repository" in found.output
    assert "data/raw/meld does not exist" in found.output and "ln -s" in found.output
    assert "not looked at" in found.output and "fix first: 2" in found.output


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
        "ok    meld_text: no media files, and none are expected",
    ):
        assert said in found.output
    assert "ok    meld_text: counts as published" in found.output


def lay_out_meld(root: Path, *clips: str) -> None:
    """A MELD tree of two utterances in train, one in the others; the named clips are real."""
    tree(root, LINE.format(text="x", dialogue=0, utterance=0))
    angry = LINE.format(text="x", dialogue=0, utterance=1).replace("joy", "anger")
    with (root / "train_sent_emo.csv").open("a", newline="") as file:
        file.write(f"{angry}\r\n")
    for clip in clips:
        write_media(root / clip, stamps=range(5), sound=tone(0.3, 48000)[None], layout="mono")


def test_doctor_examines_a_corpus(repository: Path) -> None:
    root = repository / "data/raw/meld"
    lay_out_meld(root, "train_splits/dia0_utt0.mp4")
    (root / "dev_splits_complete/dia0_utt0.mp4").write_text("version https://git-lfs.github.com/x")
    (root / "output_repeated_splits_test/dia0_utt0.mp4").touch()
    found = CliRunner().invoke(app, ["doctor", "meld"]).output
    for said in (
        "ok    meld: 4 utterances, 3 dialogues, 1 speakers by the reader 'meld'",
        "note  meld: not as published: official_split train: 2 utterances (published 9989)",
        "Likely: whole dialogues are not there, unpacked incompletely",
        "1 of 4 media files, 0.00 GB, 1 absent, 1 empty, 1 Git-LFS pointers (git -C data/raw/meld ",
        "ok    meld: the protocol fits, 4 labelled utterances",
        "headers of 1 of 1 files: 1 h264 160x96",
        "ok    meld: text encoder roberta-base",
        "GB free; frames and features may take",
    ):
        assert said in found, found


def test_doctor_opens_no_file_in_its_own_process(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which a broken file may end, as PyAV's double free of odd layouts did."""
    lay_out_meld(repository / "data/raw/meld", "train_splits/dia0_utt0.mp4")
    monkeypatch.setattr("av.open", lambda *_, **__: os.abort())
    found = CliRunner().invoke(app, ["doctor", "meld"]).output
    assert "headers of 1 of 1 files: 1 h264 160x96" in found


def with_value(repository: Path, setting: str, value: object) -> None:
    path = repository / "params.yaml"
    path.write_text(with_values(path.read_text(), {setting: value}, "meld"))


def with_text_alone(repository: Path, corpus: str) -> None:
    path = repository / "params.yaml"
    values = {f"{name}.modalities": ["text"] for name in ("extract", *SYSTEMS)}
    path.write_text(with_values(path.read_text(), values, corpus))


def with_encoder(repository: Path, role: str, encoder: str) -> None:
    with_value(repository, f"{role}.encoder", encoder)


@pytest.mark.slow
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


@pytest.mark.slow
def test_doctor_sees_that_a_folder_has_changed(repository: Path) -> None:
    lay_out_meld(repository / "data/raw/meld", "train_splits/dia0_utt0.mp4")
    with_encoder(repository, "text", "./mine")
    assert "FIX   meld: meld.text.encoder: got './mine', but" in doctor_on_meld()
    (repository / "mine").mkdir()
    (repository / "mine/config.json").write_text('{"model_type": "bert"}')
    assert "FIX   meld:" in doctor_on_meld() and "no weights as safetensors" in doctor_on_meld()
    (repository / "mine/tokenizer.json").write_text("{}")
    (repository / "mine/model.safetensors").write_bytes(b"first")
    assert "ok    meld: text encoder ./mine in" in doctor_on_meld()
    folder = Path("models/pretrained/meld/text")
    install("./mine", "text", folder, Path("weights"), "meld.text.encoder")
    assert "ok    meld: text encoder ./mine in" in doctor_on_meld()
    (repository / "mine/model.safetensors").write_bytes(b"second")
    assert (
        "FIX   meld: the files of the text encoder ./mine have changed since they were taken: "
        "dvc repro --force --single-item 'weights@meld-text'"
    ) in doctor_on_meld()


def doctor_on_meld() -> str:
    return CliRunner().invoke(app, ["doctor", "meld"]).output


def test_doctor_wants_clips_where_they_are_needed(repository: Path) -> None:
    lay_out_meld(repository / "data/raw/meld")
    found = CliRunner().invoke(app, ["doctor", "meld"]).output
    assert "FIX   meld: not one file for ['visual', 'audio']" in found
    assert "data/raw/meld/train_splits/dia0_utt0.mp4, or take ['visual', 'audio'] out" in found


def test_doctor_looks_for_each_modality_alone(repository: Path) -> None:
    root = repository / "data/raw/iemocap"
    lay_out_iemocap(root, [conversation(name) for name in COSMIC])
    (root / "Session1/dialog/avi/DivX").mkdir(parents=True)
    (root / "Session1/dialog/avi/DivX/Ses01M_impro01.avi").write_bytes(b"x")
    found = CliRunner().invoke(app, ["doctor", "iemocap"]).output
    assert "FIX   iemocap: not one file for ['audio']" in found
    assert "1 cannot be opened, such as Session1/dialog/avi/DivX/Ses01M_impro01.avi" in found


def test_doctor_tries_the_protocol(repository: Path) -> None:
    lay_out_iemocap(repository / "data/raw/iemocap", [conversation("Ses01F_impro01")])
    found = CliRunner().invoke(app, ["doctor", "iemocap"]).output
    assert "FIX   iemocap: validation: cosmic names 12 dialogues" in found


def test_doctor_tells_a_wrong_tree(repository: Path) -> None:
    (repository / "data/raw/iemocap").mkdir(parents=True)
    (repository / "data/raw/iemocap/IEMOCAP_full_release.tar.gz").touch()
    found = CliRunner().invoke(app, ["doctor", "iemocap"])
    assert found.exit_code == 1
    assert "FIX   iemocap: data/raw/iemocap is not an unpacked IEMOCAP tree" in found.output
    assert "tar -xf data/raw/iemocap/IEMOCAP_full_release.tar.gz" in found.output


def test_doctor_passes_a_repository_that_can_run(repository: Path) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    (repository / ".dvc").mkdir()
    for command in (["init", "-q"], ["add", "params.yaml"], ["commit", "-qm", "start"]):
        subprocess.run(["git", *identity, *command], cwd=repository, check=True)
    found = CliRunner().invoke(app, ["doctor"])
    assert found.exit_code == 0 and found.output.endswith("verdict: `dvc repro` can run\n")
    assert "ok    demo_iemocap: a demo corpus, `dvc repro` generates" in found.output


def test_doctor_names_the_codes_that_a_label_set_leaves_out(repository: Path) -> None:
    lay_out_meld(repository / "data/raw/meld")
    with_value(repository, "protocol.label_set", {"good": ["joy"], "bad": ["anger", "rage"]})
    found = doctor_on_meld()
    assert "ok    meld: the protocol fits, 4 labelled utterances" in found
    assert "note  meld: no utterance has the label set's code 'rage'" in found
    assert "left out" not in found
    root = repository / "data/raw/meld/train_sent_emo.csv"
    line = LINE.format(text="y", dialogue=0, utterance=2).replace("joy", "sadness")
    root.write_bytes(root.read_bytes() + line.encode() + b"\r\n")
    line = "note  meld: left out, without a label in the set: 1 utterances (sadness 1)"
    assert line in doctor_on_meld()


@pytest.mark.slow
def test_doctor_stops_where_the_gpu_is_absent(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "ok    networks run on " in doctor_on_meld()
    assert f", {os.cpu_count()} cores" in doctor_on_meld()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    path = repository / "params.yaml"
    path.write_text(path.read_text().replace("device: auto", "device: cuda", 1))
    found = CliRunner().invoke(app, ["doctor"])
    assert found.exit_code == 1
    assert "FIX   compute.device: got 'cuda', which this machine lacks" in found.output


def test_doctor_sees_folders_that_cannot_be_written(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "models").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "models")
    assert "FIX   models cannot be written: `ls -ld models` shows" in doctor_on_meld()


def test_doctor_names_the_nearest_corpus(repository: Path) -> None:
    found = CliRunner().invoke(app, ["doctor", "meldd"])
    assert found.exit_code == 1 and "did you mean 'meld'?" in found.output


def test_doctor_says_that_experiments_need_a_name(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GLOBAL", "SYSTEM"):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", os.devnull)
    assert "note  git has no user.name, which `dvc exp run` needs" in doctor_on_meld()


@pytest.mark.slow
def test_doctor_advises_nothing_about_a_modality_that_was_taken_out(repository: Path) -> None:
    root = repository / "data/raw/meld"
    lay_out_meld(root, "train_splits/dia0_utt0.mp4")
    (root / "train_splits/dia0_utt1.mkv").touch()
    assert "which are not read: rename or convert them" in doctor_on_meld()
    with_text_alone(repository, "meld")
    found = doctor_on_meld()
    assert "ok    meld: 1 of 4 media files" in found
    for advice in ("mkv", "Unpack", "masked", "headers of", "or take", "test_twins"):
        assert advice not in found, advice


@pytest.mark.slow
def test_doctor_tells_the_release_without_videos_and_advises_nothing(repository: Path) -> None:
    root = repository / "data/raw/iemocap"
    lay_out_iemocap(root, [conversation(name) for name in COSMIC])
    found = CliRunner().invoke(app, ["doctor", "iemocap"]).output
    for fix in (
        "FIX   iemocap: no utterance has ['visual']: take ['visual'] out of ",
        "or take ['audio'] out of iemocap.extract.modalities and iemocap.{logistic_regression,",
    ):
        assert fix in found
    with_text_alone(repository, "iemocap")
    found = CliRunner().invoke(app, ["doctor", "iemocap"]).output
    assert "note  iemocap: no video at all, the release without videos\n" in found
    assert " out of " not in found and "masked" not in found


def of_ones_own(repository: Path, protocol: dict[str, object], *lines: str) -> str:
    """What the doctor says of a corpus `mine` of such a table, its block copied of meld_text."""
    params = YAML(typ="safe").load((repository / "params.yaml").read_text())
    block = params["meld_text"] | {"corpus": {"reader": "clips", "full": False, "max_seconds": 60}}
    block["protocol"] = block["protocol"] | protocol
    (repository / "params.yaml").write_text(dumped(params | {"corpora": ["mine"], "mine": block}))
    folder = repository / "data/raw/mine"
    folder.mkdir(parents=True)
    (folder / "utterances.csv").write_text("\n".join(lines), encoding="utf-8")
    return CliRunner().invoke(app, ["doctor", "mine"]).output


@pytest.mark.slow
def test_doctor_proposes_a_label_set_and_splits_for_a_corpus_of_ones_own(
    repository: Path,
) -> None:
    lines = [f"{name},t,{code}" for name in "ABC" for code in ("joy", "no", "3")]
    found = of_ones_own(repository, {}, "speaker,text,emotion", *lines)
    assert "FIX   mine: mine.protocol.label_set: got 'emotion', expected codes by class" in found
    assert "note  mine: codes outside the label set: 3, joy, no; one of all:" in found
    (line,) = (line for line in found.splitlines() if line.strip().startswith("label_set:"))
    proposed = yaml.safe_load(line)["label_set"]
    assert proposed == {"3": ["3"], "joy": ["joy"], "no": ["no"]}
    assert (
        "note  mine: splits that fit: speakers (with valid_fraction: 0.1 and test_fraction: 0.2), "
        "leave_one_speaker_out (with valid_fraction: 0.1)\n"
    ) in found
    assert "ok    mine: no media files, and none are expected" in found
    protocol = {"label_set": proposed, "splits": "leave_one_speaker_out", "valid_fraction": 0.1}
    (repository / "data/raw/mine/utterances.csv").unlink()
    (repository / "data/raw/mine").rmdir()
    found = of_ones_own(repository, protocol, "speaker,text,emotion", *lines)
    assert "ok    mine: the protocol fits, 9 labelled utterances" in found
    assert "splits that fit" not in found and "label_set:" not in found


def test_doctor_names_codes_outside_the_label_set_and_splits_that_do_not_fit(
    repository: Path,
) -> None:
    protocol = {"label_set": {"good": ["joy"], "bad": ["sad"]}, "label_column": "emotion"}
    lines = ["d,A,t,joy", "d,B,t,sad", "e,A,t,awe"]
    found = of_ones_own(repository, protocol, "dialogue,speaker,text,emotion", *lines)
    assert "FIX   mine: d has the official split None" in found
    assert "note  mine: codes outside the label set: awe; one of all:" in found
    assert "note  mine: no splits fit: give each dialogue a split (train, dev and test)" in found


def test_doctor_wants_no_modality_that_a_corpus_never_had(repository: Path) -> None:
    protocol = {"label_set": {"good": ["joy"], "bad": ["sad"]}}
    lines = [f"{split}{code}.wav,A,{split},{code}" for split in ("train", "dev", "test")
             for code in ("joy", "sad")]  # fmt: skip
    found = of_ones_own(repository, protocol, "clip,speaker,split,emotion", *lines)
    assert "FIX   mine: no utterance has ['text']: take ['text'] out of mine.extract" in found
    assert "ok    mine: the protocol fits, 6 labelled utterances" in found


def test_doctor_says_how_to_trust_a_repository_of_another_user(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "-q"], cwd=repository, check=True)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own, for such tests
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    found = doctor_on_meld()
    assert f"git config --global --add safe.directory {repository}" in found
    assert "git init" not in found


@pytest.mark.parametrize("fault", ["#!/no/such/python\n", "#!/bin/sh\necho broken >&2; exit 3\n"])
def test_doctor_starts_dvc_and_says_how_to_mend_a_clone_that_was_moved(
    repository: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    programs = repository / "bin"
    programs.mkdir()
    (programs / "dvc").write_text(fault)
    (programs / "dvc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    found = doctor_on_meld()
    assert "FIX   dvc does not start (" in found and "`make .venv/.place` mends" in found


def test_doctor_sees_a_user_without_a_name(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's user without an entry in /etc/passwd: DVC ends when it asks for the name."""

    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert "FIX   this user has no name or home, which DVC needs" in doctor_on_meld()
    monkeypatch.setenv("LOGNAME", "me")
    assert "this user has no name" not in doctor_on_meld()


LOCK = """schema: '2.0'
stages:
  manifest@meld:
    cmd: python -m stages.manifest meld
    outs:
    - path: data/manifests/meld.parquet
      md5: b026324c6904b2a9cb4b88d6d61c81d1
  weights@meld-faces:
    cmd: python -m stages.weights meld faces
    outs:
    - path: models/pretrained/meld/faces
      md5: 69b64623f86def16ce17d454b8be41ae
"""


@pytest.fixture
def committed(repository: Path) -> Path:
    """A repository whose last commit has two entries in dvc.lock."""
    (repository / "dvc.lock").write_text(LOCK)
    for command in (["init", "-q"], ["add", "-A"], [*AS, "commit", "-qm", "start"]):
        subprocess.run(["git", *command], check=True)
    return repository


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (LOCK, None),
        ("", "FIX   dvc.lock is empty or cut off"),
        (LOCK[:9], "FIX   dvc.lock is empty or cut off"),
        (LOCK[: LOCK.index("outs") + 2], "FIX   dvc.lock is empty or cut off"),
        (LOCK[: LOCK.index("  weights")], "lost entries of 1 stages"),
        (LOCK[: LOCK.rindex("    outs")], "lost entries of 1 stages that the last commit has (wei"),
        (LOCK[: LOCK.index("  manifest")], "FIX   dvc.lock is empty or cut off"),
        (LOCK[: LOCK.index("stages")], "lost entries of 2 stages"),
        (None, "lost entries of 2 stages that the last commit has (manifest@meld, ...)"),
    ],
)
def test_doctor_tells_what_dvc_lock_has_lost(
    committed: Path, left: str | None, said: str | None
) -> None:
    """As a run does that is killed while DVC writes the file."""
    if left is None:
        (committed / "dvc.lock").unlink()
    else:
        (committed / "dvc.lock").write_text(left)
    found = CliRunner().invoke(app, ["doctor", "meld"]).output
    told = [line for line in found.splitlines() if "dvc.lock" in line]
    assert len(told) == (said is not None)
    if said is not None:
        assert said in told[0] and "`git checkout dvc.lock`" in told[0]


@pytest.mark.slow
def test_doctor_names_the_systems_that_are_run_left_out_and_trained(repository: Path) -> None:
    lay_out_meld(repository / "data/raw/meld")
    found = doctor_on_meld()
    assert "ok    meld: systems majority, " in found and "; reference mcn_cl\n" in found
    assert "ok    meld: checkpoints: none yet\n" in found and "left out, as" not in found
    with_value(repository, "tfidf.enabled", False)
    for name in ("mcn_cl/fold0-seed1", "mcn_cl/fold0-seed2", "tfidf/fold0-seed0", "gone/x"):
        file = Path("models/checkpoints/meld", f"{name}.safetensors")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    found = doctor_on_meld()
    assert "note  meld: left out, as `enabled` is false: tfidf\n" in found
    assert "ok    meld: checkpoints: mcn_cl 2\n" in found
    assert "note  meld: checkpoints of gone, tfidf, which no stage trains here\n" in found
    Path("models/checkpoints/meld/finetuned_head").mkdir()
    write_epochs(paths.epochs("meld", "finetuned_head"), [], {"left_out": "there is no head"})
    assert "note  meld: finetuned_head was left out: there is no head\n" in doctor_on_meld()
    with_value(repository, "mcn_cl.enabled", False)
    assert "note  meld: the reference mcn_cl is left out, so no difference" in doctor_on_meld()


def test_doctor_names_the_nearest_system(repository: Path) -> None:
    path = repository / "params.yaml"
    path.write_text(path.read_text().replace("systems: [majority, ", "systems: [majorty, ", 1))
    found = doctor_on_meld()
    assert "systems: got 'majorty'; did you mean 'majority'?" in found and "fix first" in found


def test_doctor_says_that_no_cluster_answers(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERC_EXECUTOR", "ray")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    found = CliRunner().invoke(app, ["doctor", "meld"]).output
    assert "FIX   no Ray cluster answers at RAY_ADDRESS=127.0.0.1:1" in found
    monkeypatch.setenv("ERC_EXECUTOR", "slurm")
    assert "FIX   ERC_EXECUTOR: got 'slurm'" in CliRunner().invoke(app, ["doctor", "meld"]).output


@pytest.mark.parametrize(("free", "enough"), [(50, True), (49, False), (0, True)])
def test_doctor_counts_the_files_of_the_cache(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, free: int, enough: bool
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_favail=free))
    found = machine.files(10)
    assert (found is None) == enough
    if found is not None:
        assert found.level == "FIX" and f"room for {free} more files" in found.text
