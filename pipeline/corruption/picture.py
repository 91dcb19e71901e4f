"""Stored pictures made worse: blurred, noise added."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.corruption.draws import generator_for

Picture = NDArray[np.uint8]


def blurred(picture: Picture, deviation: float) -> Picture:
    """A picture after a Gaussian blur.

    Args:
        picture: RGB [height, width, 3].
        deviation: Of the Gaussian, in pixels; 0 leaves the picture as it is.
    """
    if not deviation:
        return picture
    smooth: Picture = cv2.GaussianBlur(picture, (0, 0), deviation)
    return smooth


def noisy(picture: Picture, deviation: float) -> Picture:
    """A picture with Gaussian noise in each pixel and colour.

    Args:
        picture: RGB [height, width, 3].
        deviation: Of the noise, in grey levels (0 to 255); sums are rounded and clipped.
    """
    noise = generator_for("noise", picture).standard_normal(picture.shape, np.float32)
    return np.clip(np.rint(picture + deviation * noise), 0, 255).astype(np.uint8)
