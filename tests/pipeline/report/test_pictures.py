import base64
import io

import numpy as np
import pytest
from PIL import Image

from pipeline.pictures import MARK, cell_box, data_uri, enlarged, free_cells, grid


def noise(n: int, size: int, seed: int = 0):
    return np.random.default_rng(seed).integers(0, 256, (n, 3, size, size), dtype=np.uint8)


def test_enlarging_invents_no_colour():
    image = noise(1, 5)[0]
    large = np.asarray(enlarged(image, 3))
    assert large.shape == (15, 15, 3)
    for row in range(15):
        for column in range(15):
            np.testing.assert_array_equal(large[row, column], image[:, row // 3, column // 3])


def test_a_grid_fills_row_by_row():
    images = noise(5, 64)
    sheet = np.asarray(grid(images, columns=2))
    assert sheet.shape == (3 * 128 + 2 * 4, 2 * 128 + 4, 4)
    third = sheet[132:260:2, :128:2, :3]
    np.testing.assert_array_equal(third, images[2].transpose(1, 2, 0))
    assert (sheet[:, 128:132, 3] == 0).all()
    assert (sheet[264:, 132:, 3] == 0).all()


@pytest.mark.parametrize(("shape", "size"), [((8, 8), (64, 64)), ((3, 5), (37, 41))])
def test_cells_tile_the_picture(shape, size):
    covered = np.zeros(size, dtype=int)
    for cell in range(shape[0] * shape[1]):
        left, top, right, bottom = cell_box(cell, shape, size)
        covered[top:bottom, left:right] += 1
    assert (covered == 1).all()


def test_free_cells_are_drawn_over_their_own_pixels():
    face = np.full((3, 64, 64), 200, dtype=np.uint8)
    shares = np.zeros(64)
    shares[[10, 63]] = 1.0, 0.5  # row 1, column 2 and the last corner
    picture = np.asarray(free_cells(face, (8, 8), shares))
    assert picture.shape == (384, 384, 3)
    changed = (picture != 200).any(axis=2)
    expected = np.zeros((384, 384), dtype=bool)
    expected[48:96, 96:144] = True
    expected[336:, 336:] = True
    np.testing.assert_array_equal(changed, expected)
    for corner in ((48, 96), (95, 143), (336, 336), (383, 383)):
        np.testing.assert_array_equal(picture[corner], MARK)
    often, seldom = picture[70, 120].astype(int), picture[360, 360].astype(int)
    assert abs(often - 200).sum() > abs(seldom - 200).sum() > 0


def test_a_data_uri_holds_the_picture():
    picture = grid(noise(1, 128), columns=4)
    head, content = data_uri(picture).split(",")
    assert head == "data:image/png;base64"
    read = Image.open(io.BytesIO(base64.b64decode(content)))
    np.testing.assert_array_equal(np.asarray(read), np.asarray(picture))
