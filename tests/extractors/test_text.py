"""`TextEncoder`: the pooled vectors of a plain forward, whatever else is in the batch."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertModel,
    BertTokenizerFast,
    CamembertConfig,
    CamembertModel,
    RobertaConfig,
    RobertaModel,
    RobertaTokenizerFast,
)

from pipeline.errors import PipelineError
from pipeline.extractors.text import TextEncoder

TEXTS = [
    "I am so happy to see you!",
    "",
    "No.",
    "Oh my God, he has lost it. He has totally lost it, and nobody here will tell him so.",
    "Why do all your coffee mugs have numbers on the bottom?",
    "Größe, naïve, 日本語, 🙂",
    " two  spaces\tand a tab ",
]
POSITIONS = 42
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "initializer_range": 0.5,
}
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def byte_level(folder: Path) -> int:
    """Trains and saves a byte-level BPE tokenizer; returns its number of tokens."""
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(TEXTS * 3, vocab_size=400, min_frequency=2, special_tokens=SPECIAL)
    trained.save_model(str(folder))
    files = {"vocab": str(folder / "vocab.json"), "merges": str(folder / "merges.txt")}
    RobertaTokenizerFast(**files).save_pretrained(folder)
    return trained.get_vocab_size()


def roberta(folder: Path) -> None:
    config = RobertaConfig(
        vocab_size=byte_level(folder), max_position_embeddings=POSITIONS, **SIZES
    )
    RobertaModel(config, add_pooling_layer=False).save_pretrained(folder)


def camembert(folder: Path) -> None:
    """Its positions are RoBERTa's, though its name does not say so."""
    config = CamembertConfig(
        vocab_size=byte_level(folder), max_position_embeddings=POSITIONS, **SIZES
    )
    CamembertModel(config).save_pretrained(folder)


def bert(folder: Path) -> None:
    letters = sorted({letter for text in TEXTS for letter in text.lower() if letter.strip()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "you", "lost", *letters]
    vocabulary += [f"##{letter}" for letter in letters]
    numbered = {token: number for number, token in enumerate(vocabulary)}
    BertTokenizerFast(vocab=numbered).save_pretrained(folder)
    config = BertConfig(vocab_size=len(vocabulary), max_position_embeddings=POSITIONS, **SIZES)
    BertModel(config).save_pretrained(folder)


MAKERS: dict[str, Callable[[Path], None]] = {
    "roberta": roberta, "bert": bert, "camembert": camembert
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for kind, make in MAKERS.items():
        torch.manual_seed(0)
        made[kind] = tmp_path_factory.mktemp(kind)
        make(made[kind])
    return made


def encoder(folder: Path, **changes: Any) -> TextEncoder:
    settings = {
        "folder": folder,
        "pooling": "cls",
        "max_tokens": 32,
        "device": "cpu",
        "precision": "float32",
        "batch_size": 4,
    }
    return TextEncoder(**{**settings, **changes})


def plainly(folder: Path, text: str, pooling: str, max_tokens: int) -> np.ndarray:
    """One text alone, without padding, with plain transformers."""
    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    tokens = tokenizer(text, truncation=True, max_length=max_tokens, return_tensors="pt")
    with torch.inference_mode():
        output = network.eval()(**tokens, output_hidden_states=True)
    layers = [layer[0] for layer in output.hidden_states]
    vectors = {
        "cls": layers[-1][0],
        "mean": layers[-1].mean(0),
        "last4_mean": torch.stack(layers[-4:]).mean((0, 1)),
    }
    return vectors[pooling].numpy()


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("pooling", ["cls", "mean", "last4_mean"])
def test_vectors_agree_with_plain_transformers(
    folders: dict[str, Path], kind: str, pooling: str
) -> None:
    vectors = encoder(folders[kind], pooling=pooling).encode(TEXTS)
    assert vectors.shape == (len(TEXTS), 32)
    assert vectors.dtype == np.float32
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert vector == pytest.approx(plainly(folders[kind], text, pooling, 32), abs=2e-5)
    assert len(np.unique(vectors.round(3), axis=0)) == len(TEXTS)


@pytest.mark.parametrize("kind", ["roberta", "bert"])
@pytest.mark.parametrize("pooling", ["cls", "last4_mean"])
def test_batch_mates_do_not_change_a_byte(
    folders: dict[str, Path], kind: str, pooling: str
) -> None:
    tested = encoder(folders[kind], pooling=pooling)
    texts = TEXTS * 2
    together = [vector.tobytes() for vector in tested.encode(texts)]
    assert [tested.encode([text])[0].tobytes() for text in texts] == together
    order = np.random.default_rng(0).permutation(len(texts))
    shuffled = tested.encode([texts[number] for number in order])
    assert [vector.tobytes() for vector in shuffled] == [together[number] for number in order]


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("max_tokens", [11, 9999])
def test_long_texts_are_cut(folders: dict[str, Path], kind: str, max_tokens: int) -> None:
    tested = encoder(folders[kind], max_tokens=max_tokens)
    longest = POSITIONS if kind == "bert" else POSITIONS - 2
    assert tested.max_tokens == min(max_tokens, longest)
    text = "lost " * 300
    expected = plainly(folders[kind], text, "cls", tested.max_tokens)
    assert tested.encode([text])[0] == pytest.approx(expected, abs=2e-5)


def test_no_texts_give_no_vectors(folders: dict[str, Path]) -> None:
    assert encoder(folders["roberta"]).encode([]).shape == (0, 32)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("data", [None, b"", b"version https://git-lfs", b"{}"])
def test_broken_folder_is_told(
    folders: dict[str, Path], tmp_path: Path, name: str, data: bytes | None
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folders["roberta"], broken)
    for other in ("vocab.json", "merges.txt"):  # else the tokenizer is mended from them
        (broken / other).unlink(missing_ok=True)
    (broken / name).unlink()
    if data is not None:
        (broken / name).write_bytes(data)
    with pytest.raises(PipelineError, match="broken holds no text encoder"):
        encoder(broken)


def test_absent_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="holds no text encoder"):
        encoder(tmp_path / "absent")


def test_missing_weights_are_told_not_made_up(folders: dict[str, Path], tmp_path: Path) -> None:
    """transformers would draw them at random, and every run would give other features."""
    broken = tmp_path / "broken"
    shutil.copytree(folders["bert"], broken)
    weights = load_file(broken / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "layer.3" not in name}
    save_file(kept, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(PipelineError, match=r"lacks 16 weights, encoder\.layer\.3"):
        encoder(broken)


def test_missing_pooling_layer_is_no_harm(folders: dict[str, Path], tmp_path: Path) -> None:
    lean = tmp_path / "lean"
    shutil.copytree(folders["bert"], lean)
    weights = load_file(lean / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("pooler")}
    assert len(kept) == len(weights) - 2
    save_file(kept, lean / "model.safetensors", metadata={"format": "pt"})
    assert (encoder(lean).encode(TEXTS) == encoder(folders["bert"]).encode(TEXTS)).all()
