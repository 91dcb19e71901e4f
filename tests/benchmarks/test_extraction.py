"""The naive ways of extraction and ours give the same; media, workspace and ratios are right."""

import itertools
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torchvision.models import get_model
from transformers import BertConfig, BertModel, BertTokenizerFast

from benchmarks import naive_extraction as naive
from benchmarks import steps as ours
from benchmarks.extraction import ratio_rows
from benchmarks.material import (
    CROPS,
    footage,
    make_texts,
    make_turns,
    write_cropped,
    write_repeated,
    write_video,
)
from benchmarks.measure import Way, compare, verdict
from benchmarks.workspace import STAGES, Workspace, clip_name
from pipeline.base.params import read_params
from pipeline.corpora.meld import MeldOptions, read
from pipeline.features.text.settings import TextSettings
from pipeline.media.packets import Window

SIZE, RATE, SECONDS, COUNT = (256, 144), 24, 2.0, 6
NO_FFMPEG = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    frames = footage(SIZE, RATE, SECONDS, rng)
    sound = 0.3 * np.sin(np.linspace(0, 2 * np.pi * 180 * SECONDS, 96_000)) + rng.normal(
        0, 0.02, (2, 96_000)
    )
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_video(path, frames, RATE, 400_000, sound.astype(np.float32))


@pytest.fixture(scope="module")
def dialogue(clip: Path) -> Path:
    frames = footage((160, 96), 30, 12.0, np.random.default_rng(1))
    return write_video(clip.with_name("dialogue.avi"), frames, 30, 400_000)


def all_frames(path: Path) -> np.ndarray:
    with av.open(str(path)) as box:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in box.decode(video=0)])


def numbers(images: list[np.ndarray], every: np.ndarray) -> list[int]:
    """Which frames these are, those nearest in their pixels."""
    small = every[:, ::4, ::4].astype(int)
    return [int(np.abs(small - image[::4, ::4]).sum((1, 2, 3)).argmin()) for image in images]


@pytest.mark.parametrize(
    "way",
    ["opencv_seeks", "opencv_reads_all", "pyav_seeks", "pyav_reads_all", "pyav_seeks_once"],
)
def test_frames_of_a_clip_are_the_same_within_one(clip, way):
    every = all_frames(clip)
    expected, got = (numbers(f(clip, COUNT), every) for f in (ours.frames, getattr(naive, way)))
    assert expected == [4, 12, 20, 28, 36, 44]
    assert np.abs(np.subtract(got, expected)).max() <= 1


@NO_FFMPEG
def test_ffmpeg_takes_frames_as_evenly_spaced(clip):
    every = all_frames(clip)
    got = numbers(naive.ffmpeg_images(clip, COUNT, SECONDS), every)
    assert len(got) == COUNT
    assert np.abs(np.diff(got) - len(every) / COUNT).max() <= 1


@pytest.mark.slow
def test_frames_of_turns_are_the_same_within_one(dialogue):
    every = all_frames(dialogue)
    turns = [Window(s, e, e - s) for s, e in ((0.2, 2.0), (1.5, 4.4), (7.1, 9.3), (9.0, 12.0))]
    expected = [numbers(f, every) for f in ours.turns_frames(dialogue, COUNT, turns)]
    assert expected[2][0] == round((7.1 + 2.2 / 12) * 30)
    for way in (naive.pyav_seeks_once, naive.opencv_seeks):
        got = [numbers(way(dialogue, COUNT, turn), every) for turn in turns]
        assert np.abs(np.subtract(got, expected)).max() <= 1


def test_functionals_are_the_same(clip):
    expected = ours.functionals()(ours.sound(clip), ours.RATE)
    got = naive.new_smile(ours.sound(clip), ours.FEATURE_SET)
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)


@NO_FFMPEG
def test_functionals_by_ffmpeg_are_almost_the_same(clip):
    """Its mix is rounded to 16 bits, which functionals of silence and of extremes feel."""
    expected = ours.functionals()(ours.sound(clip), ours.RATE)
    got = naive.ffmpeg_sound_new_smile(clip, ours.FEATURE_SET)
    near = np.isclose(got, expected, rtol=0.05, atol=0.01)
    assert near.mean() > 0.8


def test_text_vectors_are_the_same(tmp_path):
    texts = ["no", "we are going", "", "so that you know what we really know " * 3]
    words = sorted({word for text in texts for word in text.split()})
    (tmp_path / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])
    )
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=5 + len(words), intermediate_size=16, **shape)
    torch.manual_seed(0)
    BertModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    expected = ours.text_vectors(tmp_path)(texts)
    got = naive.one_text_per_call(tmp_path, ours.MAX_TOKENS)(texts)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert np.abs(expected[0] - expected[1]).max() > 1e-2


@pytest.mark.slow
def test_picture_vectors_are_the_same(tmp_path):
    torch.manual_seed(0)
    state = get_model("mobilenet_v2", weights=None).state_dict()
    torch.save(state, tmp_path / "network.pth")
    images = list(np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), np.uint8))
    encoder = ours.image_encoder("mobilenet_v2", tmp_path / "network.pth", 4)
    expected = np.stack(list(ours.picture_vectors(encoder, images)))
    got = naive.one_picture_per_call("mobilenet_v2", state)(images)
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_cropped_clips_show_the_same_from_another_corner(clip):
    whole = all_frames(clip)
    for number, (top, left) in {0: (0, 0), 2: (2, 0), 5: (4, 64), CROPS - 1: (126, 64)}.items():
        cropped = all_frames(write_cropped(clip, clip.with_name(f"{number}.mp4"), number))
        assert np.abs(cropped[3].astype(int) - whole[3, top:, left:]).mean() < 1
    with pytest.raises(ValueError, match="expected one below"):
        write_cropped(clip, clip.with_name("no.mp4"), CROPS)


def test_a_repeated_clip_is_as_long_as_it_says(clip):
    long = write_repeated(clip, clip.with_name("long.mp4"), 3)
    assert len(all_frames(long)) == 3 * len(all_frames(clip))
    assert len(ours.sound(long)) / ours.RATE == pytest.approx(3 * SECONDS, abs=0.2)


def test_turns_and_texts():
    turns = make_turns(240)
    assert 60 <= len(turns) <= 100
    assert any(a.end > b.start for a, b in itertools.pairwise(turns))
    assert all(0 <= turn.start < turn.end <= 240 for turn in turns)
    assert len(set(make_texts(25_000))) == 25_000


@pytest.mark.slow
def test_a_workspace_is_a_corpus_the_reader_reads(tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"no matter")
    workspace = Workspace(tmp_path / "workspace")
    workspace.add([clip] * 23, make_texts(23))
    options = MeldOptions(reader="meld", full=False, max_seconds=60, test_twins="final")
    utterances = read(workspace.raw, options).utterances
    assert [Path(u.video.path).name for u in utterances] == [clip_name(n) for n in range(23)]
    assert [u.text for u in utterances] == make_texts(23)
    params = read_params(workspace.root / "params.yaml")
    assert params.corpora == ["bench"]
    assert params.of(TextSettings, "bench").encoder == "all-MiniLM-L6-v2"


def test_ratios_are_those_of_the_sums():
    runs = [dict.fromkeys(STAGES, seconds) for seconds in (10.0, 0.2, 2.0, 8.0, 50.0)]
    _, warm, new, bare, naively = ratio_rows(300, *runs)
    assert warm[5:] == ["0.8", "cold / it 50.0", ">= 50", "met"]
    assert new[5:] == ["8.0", "cold / it 5.0", ">= 10", "not met"]
    assert bare[5:] == ["32.0", "cold / it 1.25", "<= 1.1", "not met"]
    assert naively[5:] == ["200.0", "it / cold 5.0", "", ""]
    assert [row[7] for row in ratio_rows(1000, *runs)] == ["", ">= 100", ">= 10", "<= 1.1", ""]
    assert [row[7] for row in ratio_rows(299, *runs)] == ["", "", "", "<= 1.1", ""]


def test_ways_take_turns_and_the_table_names_absent_ones():
    done: list[str] = []
    ways = [
        Way("ours", lambda: done.append("a")),
        Way("other", lambda: done.append("b"), goal=1),
        Way("absent", None, goal=2),
    ]
    table = compare("a job", "piece", 1, ways, rounds=2)
    assert done == ["a", "a", "b", "a", "b"]
    assert list(table.columns[1].cells)[2] == "absent here"
    assert verdict(2.0, 1.5) == (">= 1.5", "met")
    assert verdict(2.0, 1.5, most=True) == ("<= 1.5", "not met")
    assert verdict(2.0, None) == ("", "")
