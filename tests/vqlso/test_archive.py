"""The archive against a plain list of rows, under random sequences of operations."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray
from torch import Tensor

from vqlso.archive import GRANULE, Archive
from vqlso.contracts import EncodingGenerator, LatentSpace
from vqlso.errors import LatentSpaceError
from vqlso.images import to_unit
from vqlso.spaces import CodeGrid

Images = NDArray[np.uint8]
Codes = NDArray[np.int64]


def pictures(n: int, seed: int) -> Images:
    return np.random.default_rng(seed).integers(0, 256, (n, 3, 4, 4), dtype=np.uint8)


def codes(n: int, seed: int) -> Codes:
    return np.random.default_rng(seed).integers(0, 9, (n, 2, 2))


def encoder(version: int) -> Callable[[Images], Codes]:
    """Depends on each image alone, and on the version."""
    return lambda images: (
        images.reshape(len(images), -1)[:, :4].reshape(-1, 2, 2) + np.int64(version)
    )


class ArchiveModel(RuleBasedStateMachine):
    """The oracle is one (image, score, latent) per row in a list."""

    @initialize(n=st.integers(1, 5), seed=st.integers(0, 99))
    def start(self, n: int, seed: int) -> None:
        self.version = 0
        self.base = n
        images, scores, latents = pictures(n, seed), np.arange(n) / 3, codes(n, seed)
        self.archive = Archive(images, scores, latents, "v0")
        self.rows = list(zip(images.copy(), scores.tolist(), latents.copy(), strict=True))

    @rule(n=st.integers(0, 4), seed=st.integers(0, 99))
    def add(self, n: int, seed: int) -> None:
        images, scores, latents = pictures(n, seed), np.full(n, seed / 7), codes(n, seed)
        self.archive.add(images, scores, latents, f"v{self.version}")
        self.rows += zip(images, scores.tolist(), latents, strict=True)

    @rule(chunk=st.integers(1, 7))
    def reencode(self, chunk: int) -> None:
        self.version += 1
        encode = encoder(self.version)
        self.archive.reencode(encode, f"v{self.version}", chunk=chunk)
        self.rows = [(image, score, encode(image[None])[0]) for image, score, _ in self.rows]

    @rule(n=st.integers(0, 3))
    def wrong_version(self, n: int) -> None:
        with pytest.raises(LatentSpaceError, match=r"re-encode"):
            self.archive.add(pictures(n, 0), np.zeros(n), codes(n, 0), f"v{self.version + 1}")
        with pytest.raises(LatentSpaceError, match=f"v{self.version}, not other"):
            self.archive.latents("other")

    @rule(lengths=st.tuples(*[st.integers(0, 2)] * 3).filter(lambda x: len(set(x)) > 1))
    def uneven(self, lengths: tuple[int, int, int]) -> None:
        images, scores, latents = lengths
        with pytest.raises(ValueError, match=f"got {images} images, {scores} scores"):
            self.archive.add(
                pictures(images, 0), np.zeros(scores), codes(latents, 0), f"v{self.version}"
            )

    @rule(data=st.data())
    def look(self, data: Any) -> None:
        rows = data.draw(st.lists(st.integers(-len(self.rows), len(self.rows) - 1)))
        index = np.array(rows, dtype=np.int64)
        found = self.archive.images(index)
        assert found.shape == (len(rows), 3, 4, 4)
        for image, row in zip(found, rows, strict=True):
            np.testing.assert_array_equal(image, self.rows[row][0])
        start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(self.rows))] * 2)))
        np.testing.assert_array_equal(
            self.archive.images(slice(start, stop)),
            self.archive.images(np.arange(start, stop)),
        )

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "rows"):
            return
        assert len(self.archive) == len(self.rows)
        assert self.archive.base == self.base
        assert self.archive.version == f"v{self.version}"
        images, scores, latents = zip(*self.rows, strict=True)
        np.testing.assert_array_equal(self.archive.scores, scores)
        np.testing.assert_array_equal(self.archive.latents(f"v{self.version}"), latents)
        np.testing.assert_array_equal(self.archive.images(slice(None)), images)


TestArchive = ArchiveModel.TestCase
TestArchive.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)


def test_the_parts_of_a_row_come_together() -> None:
    with pytest.raises(ValueError, match="got 2 images, 3 scores and 2 latents"):
        Archive(pictures(2, 0), np.zeros(3), codes(2, 0), "v")


class Quarters:
    """Encodes the brightness of each quarter of an image, in eighths, and decodes it."""

    version = "q"
    image_shape = (3, 4, 4)
    space: LatentSpace = CodeGrid(9, 2, 2)
    spaces: Mapping[str, LatentSpace] = {"codes": space}

    def encode(self, images: Tensor) -> Codes:
        quarters = images.mean(1).unflatten(2, (2, 2)).unflatten(1, (2, 2)).mean((2, 4))
        return (8 * quarters).round().long().numpy()

    def decode(self, z: Codes, space: str) -> Tensor:
        assert space == "codes"
        grey = (torch.from_numpy(z) / 8).repeat_interleave(2, 1).repeat_interleave(2, 2)
        return grey[:, None].expand(-1, 3, -1, -1)


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_training_images_are_scored_as_their_8_bit_reconstructions(chunk: int) -> None:
    generator = Quarters()
    assert isinstance(generator, EncodingGenerator)
    images = pictures(10, 0)
    asked: list[int] = []

    def brightness(batch: Tensor) -> NDArray[np.float64]:
        asked.append(len(batch))
        return batch.mean((1, 2, 3)).double().numpy()

    archive = Archive.scored(images, generator, brightness, chunk)
    codes = archive.latents("q")
    np.testing.assert_array_equal(codes, generator.encode(to_unit(images)))
    levels = np.rint(codes / 8 * 255) / 255
    np.testing.assert_allclose(archive.scores, levels.mean((1, 2)), atol=1e-6)
    assert np.abs(archive.scores - images.mean((1, 2, 3)) / 255).max() > 1e-3
    assert (sum(asked), max(asked), len(archive), archive.base) == (10, min(chunk, 10), 10, 10)


def test_scores_handed_out_are_a_copy() -> None:
    archive = Archive(pictures(2, 0), np.ones(2), codes(2, 0), "v")
    archive.scores[:] = 7
    assert archive.scores.tolist() == [1, 1]


def test_re_encoding_that_fails_changes_nothing() -> None:
    archive = Archive(pictures(2, 0), np.ones(2), codes(2, 0), "old")

    def fail(images: Images) -> Codes:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError):
        archive.reencode(fail, "new")
    np.testing.assert_array_equal(archive.latents("old"), codes(2, 0))


def test_training_images_may_be_memory_mapped_and_read_only() -> None:
    images = pictures(3, 0)
    images.setflags(write=False)
    archive = Archive(images, np.ones(3), codes(3, 0), "v")
    archive.add(pictures(1, 1), np.ones(1), codes(1, 1), "v")
    handed_out = archive.images(np.array([0, 3]))
    handed_out[:] = 0
    np.testing.assert_array_equal(archive.images(np.array([0, 3]))[1], pictures(1, 1)[0])


@pytest.mark.parametrize("rows", [1, GRANULE, GRANULE + 1, 300])
def test_encoders_see_few_different_numbers_of_images(rows: int) -> None:
    images, seen = pictures(rows, 0), []

    def encode(chunk: Images) -> Codes:
        seen.append(len(chunk))
        return encoder(1)(chunk)

    archive = Archive(images, np.zeros(rows), codes(rows, 0), "old")
    archive.reencode(encode, "new", chunk=2 * GRANULE)
    assert all(count % GRANULE == 0 for count in seen)
    np.testing.assert_array_equal(archive.latents("new"), encoder(1)(images))
