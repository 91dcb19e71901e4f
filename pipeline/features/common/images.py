"""Pictures to bytes and back: RGB on both sides, though OpenCV works in BGR."""

import cv2
import numpy as np

from pipeline.base.errors import PipelineError


def encode_image(image: np.ndarray, kind: str, quality: int) -> bytes:
    """Compress uint8 RGB [height, width, 3]; the same pixels give the same bytes."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if kind == "jpeg" else []
    _, data = cv2.imencode(f".{kind}", bgr, options)
    return data.tobytes()


def decode_image(data: bytes, into: np.ndarray | None = None) -> np.ndarray:
    """Decompress to uint8 RGB [height, width, 3], `into` one if given; refuse other pictures."""
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if bgr is None or (into is not None and bgr.shape != into.shape):
        got = f"{len(data)} bytes that are no JPEG or PNG" if bgr is None else f"a {bgr.shape}"
        wanted = "" if into is None else f", expected {into.shape}"
        raise PipelineError(f"got {got} picture{wanted}; delete the frame store, then `dvc repro`.")
    rgb: np.ndarray = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, into)
    return rgb
