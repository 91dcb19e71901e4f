"""Pictures to bytes and back: RGB on both sides, though OpenCV works in BGR."""

import cv2
import numpy as np

from pipeline.base.errors import PipelineError


def encode_image(image: np.ndarray, kind: str, quality: int) -> bytes:
    """Compress a picture; the same pixels give the same bytes.

    Args:
        image: uint8 RGB [height, width, 3].
        kind: `jpeg` or `png`.
        quality: Of JPEG, 1 to 100.
    """
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    if kind == "png":
        _, data = cv2.imencode(".png", bgr)
    else:
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def decode_image(data: bytes, into: np.ndarray | None = None) -> np.ndarray:
    """Decompress a JPEG or PNG picture.

    Args:
        data: The file's bytes.
        into: uint8 [height, width, 3] to write to; None makes an array.

    Returns:
        uint8 RGB [height, width, 3].

    Raises:
        PipelineError: The bytes are not a picture, or one of another size than `into`.
    """
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if bgr is None or (into is not None and bgr.shape != into.shape):
        got = f"{len(data)} bytes that are no JPEG or PNG" if bgr is None else f"a {bgr.shape}"
        wanted = "" if into is None else f", expected {into.shape}"
        raise PipelineError(f"got {got} picture{wanted}; delete the frame store, then `dvc repro`.")
    rgb: np.ndarray = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, into)
    return rgb
