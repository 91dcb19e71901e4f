"""`SpeechEncoder`: the pooled frames of a plain forward, one sound at a time."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    Data2VecAudioConfig,
    Data2VecAudioModel,
    HubertConfig,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)

from pipeline.base.errors import MediaError, PipelineError
from pipeline.features.audio import speech
from pipeline.features.audio.speech import RATE, SpeechEncoder
from tests.features.text.test_encoder import bert, take_out

SIZES: dict[str, Any] = {
    "hidden_size": 24,
    "num_hidden_layers": 5,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [16, 16, 16],
    "conv_kernel": [10, 3, 3],
    "conv_stride": [5, 2, 2],
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "initializer_range": 0.3,
}
# 10 samples of the first kernel, two steps of 5 for the second, two of 10 for the third.
LEAST = 10 + 2 * 5 + 2 * 10
MAKERS: dict[str, Callable[[], Any]] = {
    "wav2vec2": lambda: Wav2Vec2Model(Wav2Vec2Config(**SIZES)),
    "wav2vec2_layer_norm": lambda: Wav2Vec2Model(
        Wav2Vec2Config(**SIZES, feat_extract_norm="layer", do_stable_layer_norm=True)
    ),
    "hubert": lambda: HubertModel(HubertConfig(**SIZES)),
    "wavlm": lambda: WavLMModel(WavLMConfig(**SIZES)),
    "data2vec": lambda: Data2VecAudioModel(Data2VecAudioConfig(**SIZES, conv_pos_kernel_size=5)),
}


def save(network: Any, folder: Path, do_normalize: bool = True, rate: int = RATE) -> Path:
    network.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=rate, do_normalize=do_normalize).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for kind, make in MAKERS.items():
        torch.manual_seed(0)
        made[kind] = save(make(), tmp_path_factory.mktemp(kind))
    return made


def encoder(folder: Path, layers: str = "last") -> SpeechEncoder:
    return SpeechEncoder(folder=folder, layers=layers, device="cpu", precision="float32")


def noise(samples: int, seed: int = 0, level: float = 0.1) -> np.ndarray:
    sound = np.random.default_rng(seed).normal(0.05, level, samples)
    return np.clip(sound, -1, 1).astype(np.float32)


def frames_of(folder: Path, values: np.ndarray, layers: str = "last") -> np.ndarray:
    """[frame, feature] of a network's input with plain transformers."""
    network = AutoModel.from_pretrained(folder).eval()
    blocks: list[torch.Tensor] = []
    for block in network.encoder.layers:
        block.register_forward_hook(
            lambda *args: blocks.append(args[2][0] if isinstance(args[2], tuple) else args[2])
        )
    with torch.inference_mode():
        output = network(torch.from_numpy(values)[None])
    assert len(blocks) == 5
    found = output.last_hidden_state if layers == "last" else torch.stack(blocks[-4:]).mean(0)
    return found[0].numpy()


def unit(sound: np.ndarray) -> np.ndarray:
    wide = sound.astype(np.float64)
    return ((wide - wide.mean()) / np.sqrt(wide.var() + 1e-7)).astype(np.float32)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("layers", ["last", "last4"])
def test_vectors_agree_with_plain_transformers(
    folders: dict[str, Path], kind: str, layers: str
) -> None:
    tested, sound = encoder(folders[kind], layers), noise(3000)
    vector = tested.encode(sound)
    assert vector.dtype == np.float32 and vector.shape == (24,)
    expected = frames_of(folders[kind], unit(sound), layers).mean(0)
    assert vector == pytest.approx(expected, abs=1e-4)
    assert np.ptp(vector) > 0.1


def test_samples_are_normed_as_the_checkpoint_says(tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = save(MAKERS["wav2vec2_layer_norm"](), tmp_path, do_normalize=False)
    sound = noise(3000)
    expected = frames_of(folder, sound).mean(0)
    assert encoder(folder).encode(sound) == pytest.approx(expected, abs=1e-4)
    assert np.abs(frames_of(folder, unit(sound)).mean(0) - expected).max() > 0.01


def test_what_was_read_before_does_not_change_a_byte(folders: dict[str, Path]) -> None:
    tested = encoder(folders["wav2vec2"])
    sounds = [noise(400 + 331 * n, n) for n in range(6)]
    alone = [encoder(folders["wav2vec2"]).encode(sound).tobytes() for sound in sounds]
    order = np.random.default_rng(0).permutation(6)
    assert [tested.encode(sounds[n]).tobytes() for n in order] == [alone[n] for n in order]


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("samples", [1, LEAST - 1, LEAST, LEAST + 19, LEAST + 20])
def test_short_sounds_are_filled_up_to_one_frame(
    folders: dict[str, Path], kind: str, samples: int
) -> None:
    tested = encoder(folders[kind])
    assert tested.least == LEAST
    sound = noise(samples)
    values = np.pad(unit(sound), (0, max(0, LEAST - samples)))
    expected = frames_of(folders[kind], values)
    assert len(expected) == (2 if samples == LEAST + 20 else 1)
    assert tested.encode(sound) == pytest.approx(expected.mean(0), abs=1e-4)


def test_silence_has_a_vector(folders: dict[str, Path]) -> None:
    assert np.isfinite(encoder(folders["hubert"]).encode(np.zeros(2000, np.float32))).all()


def test_long_sounds_are_read_in_equal_parts(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "MOST_SECONDS", 0.1)
    sound = noise(4000)
    values = unit(sound)
    parts = [values[:1334], values[1334:2667], values[2667:]]
    frames = [frames_of(folders["hubert"], part) for part in parts]
    expected = np.concatenate(frames).mean(0)
    assert encoder(folders["hubert"]).encode(sound) == pytest.approx(expected, abs=1e-4)
    monkeypatch.setattr(speech, "MOST_SECONDS", 0.25)
    whole = frames_of(folders["hubert"], values).mean(0)
    assert encoder(folders["hubert"]).encode(sound) == pytest.approx(whole, abs=1e-4)


def test_numbers_that_are_none_are_told(folders: dict[str, Path]) -> None:
    tested = encoder(folders["hubert"])
    with torch.no_grad():
        next(tested.network.parameters()).fill_(np.nan)
        tested.network.encoder.layer_norm.weight.fill_(np.nan)
    with pytest.raises(MediaError, match=r"not_finite: 24 of 24 features of 0\.12 s"):
        tested.encode(noise(2000))


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
@pytest.mark.parametrize("data", [None, b"", b"version https://git-lfs"])
def test_broken_folder_is_told(
    folders: dict[str, Path], tmp_path: Path, name: str, data: bytes | None
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folders["hubert"], broken)
    (broken / name).unlink()
    if data is not None:
        (broken / name).write_bytes(data)
    with pytest.raises(PipelineError, match="broken holds no speech encoder"):
        encoder(broken)


def test_missing_weights_are_told_but_for_what_no_pass_reads(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    lean = shutil.copytree(folders["hubert"], tmp_path / "lean")
    take_out(lean, "masked_spec_embed")
    whole = encoder(folders["hubert"]).encode(noise(2000))
    assert (encoder(lean).encode(noise(2000)) == whole).all()
    take_out(lean, "layers.3.attention")
    with pytest.raises(PipelineError, match=r"lacks 8 weights, encoder\.layers\.3"):
        encoder(lean)


def test_a_network_that_reads_something_else_is_told(tmp_path: Path) -> None:
    bert(tmp_path / "text")
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "text")
    with pytest.raises(PipelineError, match="a BertModel does not read the samples of a sound"):
        encoder(tmp_path / "text")


def test_another_rate_is_told(tmp_path: Path) -> None:
    folder = save(MAKERS["hubert"](), tmp_path, rate=8000)
    assert json.loads((folder / "preprocessor_config.json").read_text())["sampling_rate"] == 8000
    with pytest.raises(PipelineError, match="wants input_values at 8000 Hz, expected"):
        encoder(folder)
