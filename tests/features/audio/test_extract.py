"""The stage `audio` by both extractors: from params.yaml and an encoder's folder to the store."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.base import paths
from pipeline.base.files import sha256_file
from pipeline.base.params import read_params
from pipeline.features.audio import extract as step
from pipeline.records.features import read_features
from pipeline.records.manifest import Origin, Segment, Utterance, write_manifest
from stages import audio, weights
from tests.conftest import PARAMS
from tests.dag.clone import with_corpora, with_values
from tests.features.audio.test_speech import MAKERS, save
from tests.media.make_media import tone, write_wav

CORPUS = "demo_meld"


def set_to(**values: object) -> None:
    """Writes params.yaml with some settings of the section `audio`."""
    named = {f"audio.{key}": value for key, value in values.items()}
    changed = with_values(PARAMS.read_text(), named, CORPUS)
    Path("params.yaml").write_text(with_corpora(changed, CORPUS))


def run() -> tuple[bytes, np.ndarray]:
    """The stages `weights` and `audio`; the store's bytes and its values."""
    params = read_params()
    weights.work(params, CORPUS, "audio")
    audio.work(params, CORPUS)
    store = paths.features(CORPUS, "audio")
    return store.read_bytes(), read_features(store).values


@pytest.fixture
def corpus(workspace: Path) -> Path:
    """A working folder with three utterances, one of them without sound, and a tiny HuBERT."""
    torch.manual_seed(0)
    save(MAKERS["hubert"](), workspace / "tiny")
    raw = paths.raw(CORPUS)
    raw.mkdir(parents=True)
    rows = []
    for turn in range(3):
        clip = write_wav(raw / f"{turn}.wav", tone(0.5, 16000, 200.0 + 100 * turn))
        missing = "absent" if turn == 1 else None
        segment = Segment(f"{turn}.wav", end=0.5, sha256=sha256_file(clip), missing=missing)
        rows.append(Utterance(f"u{turn}", "d", turn, "s", "text", segment, segment))
    write_manifest(paths.manifest(CORPUS), rows, Origin("meld", False))
    return workspace


@pytest.mark.slow
def test_extractors_are_changed_and_changed_back(corpus: Path) -> None:
    set_to(feature_set="eGeMAPSv02")
    functionals, values = run()
    assert values.shape == (2, 88)
    assert not (paths.pretrained(CORPUS, "audio") / "config.json").exists()

    set_to(feature_set="eGeMAPSv02", level="lld_pooled")
    assert run()[1].shape == (2, 50)

    set_to(extractor="speech", encoder="./tiny")
    hubert, values = run()
    assert values.shape == (2, 24) and (values[0] != values[1]).any()
    about = read_features(paths.features(CORPUS, "audio")).provenance
    assert (
        about["encoder"]["name"] == "./tiny" and about["encoder"]["architecture"] == "HubertModel"
    )
    assert about["settings"] == {"encoder": "./tiny", "layers": "last"}

    # Nothing but the cache can give them now.
    for file in paths.raw(CORPUS).iterdir():
        file.unlink()
    assert run()[0] == hubert
    set_to(feature_set="eGeMAPSv02")
    assert run()[0] == functionals


@pytest.mark.slow
def test_each_extractors_entries_depend_on_its_own_code(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folders() -> int:
        return len([path for path in (corpus / "cache/audio").iterdir() if path.is_dir()])

    set_to(feature_set="eGeMAPSv02", layers="last4")
    run()
    set_to(feature_set="eGeMAPSv02", layers="last", encoder="./elsewhere")
    assert folders() == 1
    run()
    assert folders() == 1, "what the extractor ignores is not in its key"
    monkeypatch.setitem(step.CODE, "speech", ("pipeline.base.cache",))
    run()
    assert folders() == 1
    monkeypatch.setitem(step.CODE, "opensmile", ("pipeline.base.cache",))
    run()
    assert folders() == 2
