"""`python -m pipeline inspect`: what files hold, and a block of params.yaml that works."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.base import paths
from pipeline.base.aliases import load_yaml
from pipeline.base.errors import PipelineError
from pipeline.base.params import read_params
from pipeline.corpora.registry import CorpusSettings
from pipeline.corpora.settings import ProtocolSettings
from pipeline.doctor.inspect import inspect
from pipeline.features.common.settings import ExtractSettings
from tests.conftest import PARAMS
from tests.dag.clone import dumped
from tests.feature_files.test_import import FILE, cosmic, mmgcn
from tests.media.make_media import channels, tone, write_media


@pytest.fixture
def folder(workspace: Path) -> Path:
    (workspace / "params.yaml").write_text(PARAMS.read_text("utf-8"), "utf-8")
    (workspace / FILE).write_bytes(mmgcn())
    return workspace


def resolved() -> None:
    """params.yaml as `dvc exp run -S` leaves it: without anchors, one setting a line."""
    raw = load_yaml(Path("params.yaml").read_text("utf-8"))
    plain = json.loads(json.dumps(raw))  # nothing is shared
    Path("params.yaml").write_text(dumped(plain), "utf-8")


def test_a_modality_comes_from_the_file_with_the_fewest_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "cosmic.pkl").write_bytes(cosmic())
    inspect([folder / FILE, folder / "cosmic.pkl"], add="mine")
    assert read_params().of(ExtractSettings, "mine").imported == {
        "text": "cosmic.pkl", "audio": FILE, "visual": FILE,
    }  # fmt: skip
    assert "text is taken from cosmic.pkl" in capsys.readouterr().out


@pytest.mark.slow
def test_a_block_can_be_added_after_s_has_rewritten_the_file(folder: Path) -> None:
    inspect([folder / FILE], add="one")
    resolved()
    inspect([folder / FILE], add="two")
    params = read_params()
    assert params.blocks["one"] == params.blocks["two"]


@pytest.mark.parametrize("name", ["systems", "meld", "defaults", "null", "1", "a b", "../x"])
def test_names_that_are_none_for_a_corpus_leave_the_file_alone(folder: Path, name: str) -> None:
    before = Path("params.yaml").read_bytes()
    with pytest.raises(PipelineError, match="--add"):
        inspect([folder / FILE], add=name)
    assert Path("params.yaml").read_bytes() == before and not paths.RAW.exists()


def test_a_folder_of_sounds_and_a_table_becomes_a_corpus(folder: Path) -> None:
    home = folder / "calls"
    home.mkdir()
    rows = ["clip,speaker,text,emotion,dialogue,split"]
    for number, split in enumerate(("train", "train", "dev", "test")):
        sound = channels("stereo", left=tone(0.3, 16000, 200.0))
        write_media(home / f"{number}.wav", sound=sound)
        emotion = ("glad", "cross")[number % 2]
        rows.append(f"{number}.wav,p{number},well,{emotion},d{number},{split}")
    (home / "utterances.csv").write_text("\n".join(rows))
    inspect([home], add="calls")
    params = read_params()
    assert params.of(ExtractSettings, "calls").modalities == ("text", "audio")
    assert params.of(ProtocolSettings, "calls").label_set == {"cross": ["cross"], "glad": ["glad"]}
    assert params.of(ProtocolSettings, "calls").splits == "official"
    settings = params.of(CorpusSettings, "calls")
    raw = settings.reader.read(paths.raw("calls"), settings.root)
    assert [u.video for u in raw.utterances] == [None] * 4
    assert params.system("calls", "mcn_cl").modalities == ("text", "audio")


def test_what_gives_no_manifest_is_said_to_go_beside_annotations(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(folder / "audio.npz", ids=np.array(["a"]), values=np.ones((1, 3), "f4"))
    inspect([folder / "audio.npz"], add=None)
    assert "beside the official annotations" in capsys.readouterr().out
