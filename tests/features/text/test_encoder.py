"""`TextEncoder`: the pooled vectors of a plain forward, whatever else is in the batch."""

import shutil
from collections.abc import Callable, Sequence
from functools import cache
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

from pipeline.base.errors import PipelineError
from pipeline.features.text.encoder import TextEncoder
from pipeline.features.text.tokens import TurnTokenizer
from pipeline.features.text.turns import Turn

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
        "tokens_per_batch": 64,
    }
    return TextEncoder(**{**settings, **changes})


def vectors_of(tested: TextEncoder, turns: Sequence[str | Turn]) -> np.ndarray:
    """[turn, feature] in the order of the turns, each of which is given once."""
    asked = [turn if isinstance(turn, Turn) else Turn(turn) for turn in turns]
    found = dict(tested.encode(asked))
    assert sorted(found) == list(range(len(turns)))
    return np.stack([found[place] for place in range(len(turns))])


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
    vectors = vectors_of(encoder(folders[kind], pooling=pooling), TEXTS)
    assert vectors.shape == (len(TEXTS), 32)
    assert vectors.dtype == np.float32
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert vector == pytest.approx(plainly(folders[kind], text, pooling, 32), abs=2e-5)
    assert len(np.unique(vectors.round(3), axis=0)) == len(TEXTS)


def conversation(texts: Sequence[str], turns_before: int) -> list[Turn]:
    return [Turn(t, tuple(texts[max(0, n - turns_before) : n])) for n, t in enumerate(texts)]


@pytest.mark.parametrize("kind", ["roberta", "bert"])
@pytest.mark.parametrize("pooling", ["cls", "last4_mean"])
@pytest.mark.parametrize(("turns_before", "budget"), [(0, 64), (2, 64), (2, 1)])
def test_batch_mates_do_not_change_a_byte(
    folders: dict[str, Path], kind: str, pooling: str, turns_before: int, budget: int
) -> None:
    tested = encoder(folders[kind], pooling=pooling, tokens_per_batch=budget)
    # 20 more lengths, so that batches hold padded and unpadded rows, full and filled up.
    texts = [*TEXTS, *(" ".join(["lost", "you"] * 20)[: 4 * n] for n in range(0, 40, 2))]
    turns = conversation(texts, turns_before)
    together = [vector.tobytes() for vector in vectors_of(tested, turns)]
    generator = np.random.default_rng(0)
    order = generator.permutation(len(turns))
    for part in np.array_split(order, 5):
        split = vectors_of(tested, [turns[number] for number in part])
        assert [vector.tobytes() for vector in split] == [together[number] for number in part]


def recorded(tested: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of the batches its network is given from here on."""
    shapes: list[tuple[int, ...]] = []
    forward = tested.network.network.forward

    def watched(**inputs: Any) -> Any:
        shapes.append(tuple(inputs["input_ids"].shape))
        return forward(**inputs)

    monkeypatch.setattr(tested.network.network, "forward", watched)
    return shapes


def test_batches_hold_the_budget_of_tokens_and_go_by_length(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tested = encoder(folders["bert"], tokens_per_batch=30)
    shapes = recorded(tested, monkeypatch)
    # [CLS] and [SEP] come to each: 3, 4, 3, 5, 32, 3 and 3 tokens.
    texts = ["you", "you you", "lost", "you lost you", "you " * 30, "you", "you"]
    places = [place for place, _ in tested.encode([Turn(t) for t in texts])]
    assert places == [0, 1, 2, 5, 6, 3, 4]
    # Budget 30: seven rows of 4 tokens, five of 6, and one of 32, which is over it.
    assert shapes == [(7, 4), (5, 6), (1, 32)]


def pair_by_hand(
    folder: Path, kind: str, context: list[str], own: list[str], pooling: str
) -> np.ndarray:
    """A pair written token by token, alone and without padding."""
    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    if kind == "bert":
        tokens = ["[CLS]", *context, "[SEP]", *own, "[SEP]"]
        types = [0] * (len(context) + 2) + [1] * (len(own) + 1)
        first = len(context) + 2
    else:
        tokens = ["<s>", *context, "</s>", "</s>", *own, "</s>"]
        types, first = [0] * len(tokens), len(context) + 3
    ids = torch.tensor([tokenizer.convert_tokens_to_ids(tokens)])
    with torch.inference_mode():
        output = network.eval()(
            input_ids=ids, token_type_ids=torch.tensor([types]), output_hidden_states=True
        )
    layers = [layer[0] for layer in output.hidden_states]
    if pooling == "cls":
        return layers[-1][0].numpy()
    last = layers[-1] if pooling == "mean" else torch.stack(layers[-4:]).mean(0)
    return last[first : first + len(own)].mean(0).numpy()


@cache
def tokenizer_of(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


def words(folder: Path, text: str) -> list[str]:
    tokens: list[str] = tokenizer_of(folder).tokenize(text)
    return tokens


@pytest.mark.parametrize("kind", ["roberta", "bert"])
@pytest.mark.parametrize("pooling", ["cls", "mean", "last4_mean"])
def test_context_is_the_first_sentence_of_a_pair(
    folders: dict[str, Path], kind: str, pooling: str
) -> None:
    tested = encoder(folders[kind], pooling=pooling)
    turn = Turn("you lost", ("lost", "", "you lost you"))
    context, own = words(folders[kind], "lost you lost you"), words(folders[kind], "you lost")
    expected = pair_by_hand(folders[kind], kind, context, own, pooling)
    assert vectors_of(tested, [turn])[0] == pytest.approx(expected, abs=2e-5)


def written(folder: Path, turn: Turn, max_tokens: int) -> tuple[list[str], list[int], list[str]]:
    """All tokens of a turn with its context, their types, and those that a mean takes in."""
    (found,) = TurnTokenizer(folder, max_tokens).tokens([turn])
    names = tokenizer_of(folder).convert_ids_to_tokens(list(found.ids))
    pooled = [name for name, taken in zip(names, found.pooled, strict=True) if taken]
    return names, list(found.types), pooled


def test_what_comes_after_is_a_third_sentence(folders: dict[str, Path]) -> None:
    turn = Turn("you lost", ("lost",), ("you", "lost you"))
    names, types, pooled = written(folders["bert"], turn, 32)
    assert " ".join(names) == "[CLS] lost [SEP] you lost [SEP] you lost you [SEP]"
    assert types == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0]
    assert pooled == ["you", "lost"]
    folder = folders["roberta"]
    names, _, pooled = written(folder, turn, 32)
    before, own, after = (words(folder, t) for t in ("lost", "you lost", "you lost you"))
    separator = ["</s>", "</s>"]
    assert names == ["<s>", *before, *separator, *own, *separator, *after, "</s>"]
    assert pooled == own


def test_the_turn_stands_second_also_where_nothing_is_before_it(folders: dict[str, Path]) -> None:
    names, types, pooled = written(folders["bert"], Turn("lost", (), ("you",)), 32)
    assert " ".join(names) == "[CLS] [SEP] lost [SEP] you [SEP]"
    assert (types, pooled) == ([0, 0, 1, 1, 0, 0], ["lost"])


@pytest.mark.parametrize(
    ("max_tokens", "expected"),
    [
        (12, "[CLS] you you lost [SEP] lost [SEP] you lost you you [SEP]"),
        (11, "[CLS] you you lost [SEP] lost [SEP] you lost you [SEP]"),  # the last goes first
        (10, "[CLS] you you lost [SEP] lost [SEP] you lost [SEP]"),
        (9, "[CLS] you lost [SEP] lost [SEP] you lost [SEP]"),  # then the oldest
        (8, "[CLS] you lost [SEP] lost [SEP] you [SEP]"),
        (7, "[CLS] you lost [SEP] lost [SEP]"),  # two tokens of context, one separator less
        (6, "[CLS] lost [SEP] lost [SEP]"),
        (5, "[CLS] lost [SEP]"),  # no room: the turn alone
    ],
)
def test_context_on_both_sides_is_cut_by_distance(
    folders: dict[str, Path], max_tokens: int, expected: str
) -> None:
    turn = Turn("lost", ("you", "you lost"), ("you lost", "you you"))
    names, _, pooled = written(folders["bert"], turn, max_tokens)
    assert " ".join(names) == expected
    assert "lost" in pooled


@pytest.mark.parametrize("kind", ["roberta", "bert"])
@pytest.mark.parametrize("length", [4, 11, 31])
def test_the_turn_stays_whole_whatever_is_round_it(
    folders: dict[str, Path], kind: str, length: int
) -> None:
    own = words(folders[kind], "lost you " * 40)
    text = tokenizer_of(folders[kind]).convert_tokens_to_string(own[: min(length, 31)])
    own = words(folders[kind], text)
    for size in range(len(own) + 3, 42):
        _, _, pooled = written(folders[kind], Turn(text, ("you " * 9,), ("lost " * 9,)), size)
        ordinary = [
            token for token in pooled if token not in tokenizer_of(folders[kind]).all_special_tokens
        ]
        assert ordinary == own


@pytest.mark.parametrize("kind", ["roberta", "bert"])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_context_is_cut_from_its_left_and_the_turn_stays_whole(
    folders: dict[str, Path], kind: str, pooling: str
) -> None:
    tested = encoder(folders[kind], pooling=pooling, max_tokens=16)
    special = 4 if kind == "roberta" else 3
    before = "lost you you lost lost lost you lost you you you lost"
    context, own = words(folders[kind], before), words(folders[kind], "you you lost lost")
    kept = 16 - special - len(own)
    assert 0 < kept < len(context)
    expected = pair_by_hand(folders[kind], kind, context[-kept:], own, pooling)
    found = vectors_of(tested, [Turn("you you lost lost", (before,))])[0]
    assert found == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("kind", ["roberta", "bert"])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_turn_that_leaves_no_room_is_read_alone(
    folders: dict[str, Path], kind: str, pooling: str
) -> None:
    tested = encoder(folders[kind], pooling=pooling, max_tokens=16)
    room = 16 - (4 if kind == "roberta" else 3)
    text = "lost " * 40
    length = next(n for n in range(200) if len(words(folders[kind], text[:n])) == room)
    for own in ("", text[:length], text):
        with_context, alone = vectors_of(tested, [Turn(own, ("you",)), Turn(own)])
        assert with_context.tobytes() == alone.tobytes()
        plain = plainly(folders[kind], own, pooling, 16)
        assert alone == pytest.approx(plain, abs=2e-5)
    shorter = next(n for n in range(200) if len(words(folders[kind], text[:n])) == room - 1)
    with_context, alone = vectors_of(tested, [Turn(text[:shorter], ("you",)), Turn(text[:shorter])])
    assert (with_context != alone).any(), "one token of context has room"


def test_turns_before_that_say_nothing_are_no_context(folders: dict[str, Path]) -> None:
    tested = encoder(folders["roberta"], pooling="mean")
    silent, alone = vectors_of(tested, [Turn("you", ("", "")), Turn("you")])
    assert silent.tobytes() == alone.tobytes()


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("max_tokens", [11, 9999])
def test_long_texts_are_cut(folders: dict[str, Path], kind: str, max_tokens: int) -> None:
    tested = encoder(folders[kind], max_tokens=max_tokens)
    longest = POSITIONS if kind == "bert" else POSITIONS - 2
    assert tested.max_tokens == min(max_tokens, longest)
    text = "lost " * 300
    expected = plainly(folders[kind], text, "cls", tested.max_tokens)
    assert vectors_of(tested, [text])[0] == pytest.approx(expected, abs=2e-5)


def test_no_texts_give_no_vectors(folders: dict[str, Path]) -> None:
    assert list(encoder(folders["roberta"]).encode([])) == []


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
    for folder in (broken, tmp_path / "absent"):
        with pytest.raises(PipelineError, match=f"{folder.name} holds no text encoder"):
            encoder(folder)


def take_out(folder: Path, part: str) -> None:
    """Leaves some weights out of a checkpoint."""
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if part not in name}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def test_missing_weights_are_told_not_made_up_but_for_the_pooling_layer(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """transformers would draw them at random, and every run would give other features."""
    lean = shutil.copytree(folders["bert"], tmp_path / "lean")
    take_out(lean, "pooler")
    whole = vectors_of(encoder(folders["bert"]), TEXTS)
    assert (vectors_of(encoder(lean), TEXTS) == whole).all()
    take_out(lean, "layer.3")
    with pytest.raises(PipelineError, match=r"lacks 16 weights, encoder\.layer\.3"):
        encoder(lean)
