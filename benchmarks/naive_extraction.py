"""The naive peers of extraction: the access patterns of public tools.

Each is short and written as such tools are, but fair: one thread, no needless work, and the same
frames, sounds and texts as ours.
"""

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import opensmile
import torch
from torchvision.models import get_model
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

from benchmarks.steps import RATE, SIDE, Images
from pipeline.features.frames.faces import Face, FaceDetector
from pipeline.media.packets import Window
from pipeline.media.video import spaced

ONE_THREAD = [cv2.CAP_PROP_N_THREADS, 1]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


def _open_cv(path: Path) -> cv2.VideoCapture:
    return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, ONE_THREAD)


def _rgb(read: tuple[bool, np.ndarray]) -> np.ndarray:
    return cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)


def _wanted(rate: float, length: float, count: int, segment: Window | None) -> list[int]:
    """Numbers of the frames at the centres of `count` equal parts."""
    begin, end = (0.0, length) if segment is None else (segment.start, segment.latest)
    last = round(length * rate) - 1
    return [min(round(time * rate), last) for time in spaced(begin, end, count)]


def opencv_seeks(path: Path, count: int, segment: Window | None = None) -> Images:
    """Sets CAP_PROP_POS_FRAMES for each frame."""
    video = _open_cv(path)
    rate, frames = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
    images = []
    for number in _wanted(rate, frames / rate, count, segment):
        video.set(cv2.CAP_PROP_POS_FRAMES, number)
        images.append(_rgb(video.read()))
    video.release()
    return images


def opencv_reads_all(path: Path, count: int) -> Images:
    """Reads every frame, then picks."""
    video = _open_cv(path)
    rate = video.get(cv2.CAP_PROP_FPS)
    images = []
    while (read := video.read())[0]:
        images.append(_rgb(read))
    video.release()
    return [images[number] for number in _wanted(rate, len(images) / rate, count, None)]


def pyav_seeks(path: Path, count: int) -> Images:
    """Seeks for each frame, and decodes from the key frame before it."""
    with av.open(str(path)) as box:
        return [_sought(box, [number])[0] for number in _wanted(*_timing(box), count, None)]


def pyav_reads_all(path: Path, count: int) -> Images:
    """Turns every frame into RGB, then picks."""
    with av.open(str(path)) as box:
        rate, _ = _timing(box)
        images = [frame.to_ndarray(format="rgb24") for frame in box.decode(video=0)]
    return [images[number] for number in _wanted(rate, len(images) / rate, count, None)]


def pyav_seeks_once(path: Path, count: int, segment: Window | None = None) -> Images:
    """Opens the video, seeks to the first wanted frame, decodes to the last."""
    with av.open(str(path)) as box:
        return _sought(box, _wanted(*_timing(box), count, segment))


def _timing(box: Any) -> tuple[float, float]:
    """Frames per second and seconds of a video, which then is decoded by one thread."""
    stream = box.streams.video[0]
    stream.codec_context.thread_count = 1
    return float(stream.average_rate), float(stream.duration * stream.time_base)


def _sought(box: Any, wanted: list[int]) -> Images:
    """Frames by their numbers, in ascending order, after one seek."""
    images, stream = [], box.streams.video[0]
    rate = float(stream.average_rate)
    box.seek(round(wanted[0] / rate / stream.time_base), stream=stream)
    for frame in box.decode(stream):
        while len(images) < len(wanted) and frame.time * rate >= wanted[len(images)] - 0.5:
            images.append(frame.to_ndarray(format="rgb24"))
        if len(images) == len(wanted):
            break
    return images


def largest_faces(path: Path, count: int, detector: FaceDetector) -> Images:
    """The largest face of each frame; every frame of the clip is read."""
    return [_largest(image, detector.detect(image)) for image in opencv_reads_all(path, count)]


def _largest(image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
    height, width = image.shape[:2]
    boxes = [face.box for face in faces] or [(0.0, 0.0, float(width), float(height))]
    left, top, wide, high = max(boxes, key=lambda box: box[2] * box[3])
    rows, columns = (slice(max(0, int(a)), int(a + n)) for a, n in ((top, high), (left, wide)))
    return np.asarray(cv2.resize(image[rows, columns], (SIDE, SIDE)))


def ffmpeg_images(path: Path, count: int, seconds: float) -> Images:
    """An ffmpeg process writes evenly spaced frames to image files, which are read again."""
    with tempfile.TemporaryDirectory() as folder:
        evenly = ["-vf", f"fps={count / seconds}", "-frames:v", str(count), "-qscale:v", "2"]
        _ffmpeg("-i", str(path), *evenly, f"{folder}/%03d.jpg")
        return [_rgb((True, cv2.imread(str(name)))) for name in sorted(Path(folder).iterdir())]


def ffmpeg_sound_new_smile(path: Path, feature_set: str) -> np.ndarray:
    """An ffmpeg process writes a wav, and openSMILE's object is built for it."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "sound.wav"
        _ffmpeg("-i", str(path), "-vn", "-ac", "1", "-ar", str(RATE), str(wav))
        return _new_smile(feature_set).process_file(str(wav)).to_numpy()[0]


def new_smile(sound: np.ndarray, feature_set: str) -> np.ndarray:
    """Builds openSMILE's object for a decoded sound."""
    return _new_smile(feature_set).process_signal(sound, RATE).to_numpy()[0]


def _new_smile(feature_set: str) -> opensmile.Smile:
    chosen = getattr(opensmile.FeatureSet, feature_set)
    return opensmile.Smile(chosen, opensmile.FeatureLevel.Functionals)


def _ffmpeg(*words: str) -> None:
    command = ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1", *words]
    subprocess.run(command, check=True)


def one_picture_per_call(
    architecture: str, state: dict[str, torch.Tensor]
) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    """A network of torchvision as it is, fed one picture at a time."""
    network = get_model(architecture, weights=None)
    network.load_state_dict(state)
    network.eval()
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (MEAN, STD))

    @torch.inference_mode()
    def run(images: Sequence[np.ndarray]) -> np.ndarray:
        tensors = (torch.from_numpy(image).permute(2, 0, 1) / 255 for image in images)
        return torch.cat([network(((t - mean) / std)[None]) for t in tensors]).numpy()

    return run


def one_text_per_call(folder: Path, max_tokens: int) -> Callable[[Sequence[str]], np.ndarray]:
    """An encoder of transformers as it is, fed one text at a time; the mean of its tokens."""
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    network = AutoModel.from_pretrained(folder, local_files_only=True).eval()

    @torch.inference_mode()
    def run(texts: Sequence[str]) -> np.ndarray:
        limits = {"truncation": True, "max_length": max_tokens, "return_tensors": "pt"}
        given = (tokenizer(text, **limits) for text in texts)
        return np.stack([network(**g).last_hidden_state[0].mean(0).numpy() for g in given])

    return run
