"""What is cut out: squares round faces, and whole pictures between black bars."""

import numpy as np
import pytest

from pipeline.features.frames.faces import Box, face_crop, whole


@pytest.mark.parametrize(
    ("box", "margin", "square"),
    [
        ((40, 30, 20, 20), 0.0, (40, 30, 20)),
        ((40, 30, 20, 20), 0.5, (35, 25, 30)),
        ((40, 30, 20, 10), 0.0, (40, 25, 20)),  # the longer side, about the same centre
        ((-5, -5, 20, 20), 0.0, (0, 0, 20)),  # moved inside at the left and the top
        ((90, 70, 20, 20), 0.0, (80, 60, 20)),  # and at the right and the bottom
        ((10, 10, 90, 60), 0.0, (10, -5, 90)),  # higher than the picture: centred
        ((0, 0, 100, 80), 1.0, (-50, -60, 200)),  # larger than the picture
    ],
)
def test_square_that_is_cut(box: Box, margin: float, square: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    left, top, length = square

    cut, where = face_crop(image, box, margin, side=length)

    assert where == (left, top, length, length)
    rows = np.clip(np.arange(top, top + length), 0, 79)
    columns = np.clip(np.arange(left, left + length), 0, 99)
    assert (cut == image[rows][:, columns]).all()


def test_crop_is_scaled_to_its_side() -> None:
    image = np.zeros((80, 100, 3), np.uint8)
    image[20:60, 30:50] = (200, 10, 10)
    for side in (16, 224):
        cut, _ = face_crop(image, (30, 20, 40, 40), 0.0, side)
        assert cut.shape == (side, side, 3)
        edge = side // 8  # where the two colours are blended
        assert (cut[:, : side // 2 - edge] == (200, 10, 10)).all()
        assert (cut[:, side // 2 + edge :] == 0).all()


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"),
    [
        (50, 100, slice(56, 168), slice(0, 224)),  # wide: 112 rows, 56 above them
        (400, 100, slice(0, 224), slice(84, 140)),  # high: 56 columns
        (30, 30, slice(0, 224), slice(0, 224)),
        (1, 1000, slice(111, 112), slice(0, 224)),  # never less than a pixel
    ],
)
def test_a_whole_picture_keeps_its_shape_between_black_bars(
    height: int, width: int, rows: slice, columns: slice
) -> None:
    square, box = whole(np.full((height, width, 3), (200, 100, 50), np.uint8))

    assert square.shape == (224, 224, 3) and box == (0, 0, width, height)
    assert (square[rows, columns] == (200, 100, 50)).all()
    square[rows, columns] = 0
    assert not square.any()


def test_nothing_of_a_whole_picture_is_lost() -> None:
    image = np.zeros((60, 120, 3), np.uint8)
    image[:10, :10], image[-10:, -10:] = (255, 0, 0), (0, 0, 255)
    square, _ = whole(image)
    assert (square[58:70, 2:14] == (255, 0, 0)).all()
    assert (square[154:166, 210:222] == (0, 0, 255)).all()
