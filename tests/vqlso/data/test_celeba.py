import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vqlso.data.celeba import celeba, has_binary_labels, smiling_attribute, smiling_degrees
from vqlso.data.image_set import ImageSet
from vqlso.errors import DataError

REAL_FACES = Path(
    os.environ.get("VQLSO_CELEBA", Path(__file__).parents[4] / "shared" / "data" / "celeba24k")
)
real_faces = pytest.mark.skipif(not REAL_FACES.is_dir(), reason="real faces not found")

NAMES = ("000001.jpg", "000004.jpg", "000017.jpg", "000019.jpg")
DEGREES = (3, 0, 5, 1)
PEOPLE = (2880, 5805, 2880, 7)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four grey pictures in CelebA's and CelebA-Dialog's own layouts."""
    pictures = tmp_path / "celeba" / "img_align_celeba"
    pictures.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        Image.new("RGB", (89, 109), (50 * number,) * 3).save(pictures / name)
    root = pictures.parent
    write_degrees(root, "filename Bangs Eyeglasses No_Beard Smiling Young", smiling_column=3)
    write(
        root / "list_attr_celeba.txt",
        str(len(NAMES)),
        "Bangs Smiling Young",
        *(
            f"{name} -1 {1 if degree else -1:2d}  1"
            for name, degree in zip(NAMES, DEGREES, strict=True)
        ),
    )
    write(root / "identity_CelebA.txt", *map("{} {}".format, NAMES, PEOPLE))
    return root


def write(path: Path, *lines: str) -> None:
    path.write_text("\n".join(lines) + "\n")


def write_degrees(root: Path, header: str, smiling_column: int) -> None:
    lines = []
    for name, degree in zip(NAMES, DEGREES, strict=True):
        degrees = ["4"] * 5
        degrees[smiling_column] = str(degree)
        lines.append(" ".join([name, *degrees]))
    write(root / "combined_annotation.txt", header, *lines)


def load(root: Path, max_bad_share: float = 0.0, limit: int | None = None) -> ImageSet:
    return celeba(root, cache=root.parent / "cache", max_bad_share=max_bad_share, limit=limit)


def test_images_degrees_and_people_belong_together(root: Path) -> None:
    faces = load(root)
    assert faces.name == "celeba"
    assert faces.images.shape == (4, 3, 64, 64)
    np.testing.assert_allclose(faces.images.mean(axis=(1, 2, 3)), [0, 50, 100, 150], atol=2)
    assert faces.labels.tolist() == list(DEGREES)
    assert faces.people.tolist() == list(PEOPLE)
    assert faces.label_origin == "CelebA-Dialog smiling degree"
    assert not has_binary_labels(faces)


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("file Smiling Bangs Eyeglasses No_Beard Young", 0),
        ("Bangs Eyeglasses No_Beard Smiling Young", 3),
        ("file bangs eyeglasses no_beard smiling young", 3),
    ],
)
def test_the_smiling_column_is_found_by_its_name(root: Path, header: str, column: int) -> None:
    write_degrees(root, header, column)
    assert load(root).labels.tolist() == list(DEGREES)


def test_folders_as_celeba_ships_them(root: Path) -> None:
    (root / "Anno").mkdir()
    (root / "Img").mkdir()
    for name in ("combined_annotation.txt", "identity_CelebA.txt"):
        (root / name).rename(root / "Anno" / name)
    (root / "img_align_celeba").rename(root / "Img" / "img_align_celeba")
    assert load(root).labels.tolist() == list(DEGREES)


def test_without_degrees_the_binary_attribute_is_flagged(root: Path) -> None:
    (root / "combined_annotation.txt").unlink()
    faces = load(root)
    assert faces.labels.tolist() == [1, 0, 1, 1]
    assert has_binary_labels(faces)


def test_without_identities_each_image_is_a_person_of_its_own(root: Path) -> None:
    (root / "identity_CelebA.txt").unlink()
    faces = load(root)
    assert len(np.unique(faces.people)) == 4
    assert "each image counts as a person" in faces.label_origin


def test_a_damaged_picture_takes_its_label_and_person_with_it(root: Path) -> None:
    (root / "img_align_celeba" / NAMES[1]).write_text("not a picture")
    faces = load(root, max_bad_share=0.25)
    assert faces.skipped == (NAMES[1],)
    assert faces.labels.tolist() == [3, 5, 1]
    assert faces.people.tolist() == [2880, 2880, 7]
    np.testing.assert_allclose(faces.images.mean(axis=(1, 2, 3)), [0, 100, 150], atol=2)


def test_pictures_that_are_not_aligned_are_named(root: Path) -> None:
    for name in NAMES:
        Image.new("RGB", (409, 687)).save(root / "img_align_celeba" / name)
    with pytest.raises(DataError, match=r"000001\.jpg is 409x687 .* 178x218 or 89x109"):
        load(root)


def test_limit_takes_the_first_pictures(root: Path) -> None:
    assert load(root, limit=2).labels.tolist() == [3, 0]


def test_fingerprint_follows_labels_and_people_though_the_images_are_cached(root: Path) -> None:
    first = load(root)
    assert load(root).fingerprint == first.fingerprint
    write(root / "identity_CelebA.txt", *(f"{name} 1" for name in NAMES))
    second = load(root)
    write(root / "combined_annotation.txt", "file Smiling", *(f"{name} 2" for name in NAMES))
    third = load(root)
    assert len({first.fingerprint, second.fingerprint, third.fingerprint}) == 3
    assert third.labels.tolist() == [2, 2, 2, 2]


def test_missing_pictures_are_named(root: Path) -> None:
    (root / "img_align_celeba").rename(root / "pictures")
    with pytest.raises(DataError, match=r"no folder img_align_celeba in .*celeba"):
        load(root)


def test_missing_annotations_are_named(root: Path) -> None:
    (root / "combined_annotation.txt").unlink()
    (root / "list_attr_celeba.txt").unlink()
    with pytest.raises(DataError, match=r"neither combined_annotation\.txt .* list_attr_celeba"):
        load(root)


@pytest.mark.parametrize("value", ["6", "-1", "2.5", "many"])
def test_a_value_that_is_no_degree_is_named_by_its_line(root: Path, value: str) -> None:
    write(root / "combined_annotation.txt", "file Smiling", "000001.jpg 2", f"000004.jpg {value}")
    with pytest.raises(DataError, match=r"Line 3 of .*combined_annotation\.txt"):
        smiling_degrees(root / "combined_annotation.txt")


def test_a_short_line_is_named(root: Path) -> None:
    write(root / "list_attr_celeba.txt", "2", "Bangs Smiling Young", "a.jpg -1 1 1", "b.jpg")
    with pytest.raises(DataError, match=r"Line 4 of .*list_attr_celeba\.txt"):
        smiling_attribute(root / "list_attr_celeba.txt")


def test_an_annotation_without_a_smiling_column_is_named(root: Path) -> None:
    write(root / "combined_annotation.txt", "file Bangs Young", "000001.jpg 2 1")
    with pytest.raises(DataError, match="among them Smiling; it reads 'file Bangs Young'"):
        load(root)


@pytest.mark.parametrize("lines", [(), ("file Smiling",)])
def test_an_empty_annotation_is_refused(root: Path, lines: tuple[str, ...]) -> None:
    write(root / "combined_annotation.txt", *lines)
    with pytest.raises(DataError, match=r"combined_annotation\.txt"):
        load(root)


def test_a_picture_without_identity_is_named(root: Path) -> None:
    write(root / "identity_CelebA.txt", f"{NAMES[0]} 1")
    with pytest.raises(DataError, match=r"no line for 3 of 4 .* such as 000004\.jpg"):
        load(root)


@real_faces
def test_real_degrees_are_as_documented() -> None:
    degrees = smiling_degrees(REAL_FACES / "combined_annotation.txt")
    assert Counter(degrees.values()) == {0: 12_377, 1: 2_598, 2: 1_976, 3: 6_030, 4: 805, 5: 214}


@real_faces
def test_real_degrees_agree_with_the_binary_attribute() -> None:
    """A full row of teeth (3) and more is a smile to CelebA's annotators, 0 is none."""
    degrees = smiling_degrees(REAL_FACES / "combined_annotation.txt")
    smiles = smiling_attribute(REAL_FACES / "list_attr_celeba.txt")
    agreed = [smiles[name] == (degree >= 3) for name, degree in degrees.items() if degree != 1]
    assert np.mean(agreed) > 0.8


@real_faces
def test_real_faces_fill_the_crop(tmp_path: Path) -> None:
    """The mean face is skin in the middle: redder than blue, brighter than the mean of its rim."""
    faces = celeba(REAL_FACES, cache=tmp_path, limit=200)
    mean = faces.images.mean(axis=0)
    assert faces.images.shape == (200, 3, 64, 64)
    assert mean[0, 24:56, 20:44].mean() > mean[2, 24:56, 20:44].mean() + 20
    mirrored = np.abs(mean - mean[:, :, ::-1]).mean()
    assert mirrored < np.abs(mean - mean[:, ::-1]).mean()
