from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vqlso.data.folder import image_folder
from vqlso.data.image_set import ImageSet
from vqlso.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three uniform pictures of different shapes and formats, one of them in a subfolder."""
    root = tmp_path / "cats"
    (root / "more").mkdir(parents=True)
    Image.new("RGB", (40, 20), (10, 20, 30)).save(root / "a.png")
    Image.new("RGB", (16, 16), (90, 90, 90)).save(root / "b.bmp")
    Image.new("L", (17, 50), 200).save(root / "more" / "c.png")
    return root


def load(
    root: Path,
    text: str | bytes,
    *,
    max_bad_share: float = 0.0,
    score_column: str | None = None,
    size: int = 16,
) -> ImageSet:
    table = root.parent / "scores.csv"
    table.write_bytes(text.encode() if isinstance(text, str) else text)
    return image_folder(
        root,
        table,
        size=size,
        cache=root.parent / "cache",
        max_bad_share=max_bad_share,
        score_column=score_column,
    )


def test_pictures_scores_and_people_belong_together(root: Path) -> None:
    cats = load(root, "person,score,file\ntom,1.5,more/c.png\nkit,-2,a.png\ntom,3e-1,b.bmp\n")
    assert cats.name == "cats"
    assert cats.labels.tolist() == [1.5, -2, 0.3]
    assert cats.images[:, :, 8, 8].tolist() == [[200] * 3, [10, 20, 30], [90] * 3]
    assert cats.people[0] == cats.people[2] != cats.people[1]
    assert cats.label_origin == "column score of scores.csv"


def test_without_people_each_image_is_a_person_of_its_own(root: Path) -> None:
    cats = load(root, "file,score\na.png,1\nb.bmp,2\n")
    assert cats.people.tolist() == [0, 1]
    assert "each image counts as a person" in cats.label_origin


def test_other_columns_byte_order_mark_and_blank_lines_are_no_trouble(root: Path) -> None:
    cats = load(root, "\ufefffile,note,charm\na.png,,1\n\nb.bmp,x,2\n\n", score_column="charm")
    assert cats.labels.tolist() == [1, 2]


@pytest.mark.parametrize(
    "header", ["Image,Rating", "filename,label", "path, score", "file,score,value"]
)
def test_columns_are_found_by_their_usual_names(root: Path, header: str) -> None:
    more = ",7" * (header.count(",") - 1)
    cats = load(root, f"{header}\na.png,1{more}\nb.bmp,2{more}\n")
    assert cats.labels.tolist() == [1, 2]
    assert cats.label_origin.startswith(f"column {header.split(',')[1]} of scores.csv")


def test_a_column_that_was_named_must_be_there(root: Path) -> None:
    with pytest.raises(DataError, match=r"no column charm; its columns are file, score\. Correct"):
        load(root, "file,score\na.png,1\n", score_column="charm")


def test_pictures_smaller_than_the_size_are_named(root: Path) -> None:
    text = "file,score\na.png,1\nb.bmp,2\nmore/c.png,3\n"
    with pytest.raises(DataError, match=r"b\.bmp offers a square of 16 pixels, fewer than the 17"):
        load(root, text, size=17)
    cats = load(root, text, size=17, max_bad_share=0.34)
    assert cats.skipped == ("b.bmp",)
    assert cats.labels.tolist() == [1, 3]


def test_no_usable_picture_is_an_empty_data_set(root: Path) -> None:
    with pytest.raises(DataError, match="'cats' is empty"):
        load(root, "file,score\ngone.png,1\n", max_bad_share=1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column called one of file, .*; its columns are none"),
        ("cat,score\na.png,1\n", r"of file, .*; its columns are cat, score.*data\.file_column="),
        ("file,charm\na.png,1\n", r"of score, .*; its columns are file, charm.*data\.score_col"),
        ("path,image,score\na.png,b,1\n", r"several columns called.*data\.file_column=COLUMN"),
        ("file,score\n", "lists no picture"),
        ("file,score\na.png,1\nb.bmp\n", "Line 3 of .* has 1 cells under a header of 2"),
        ("file,score\na.png,good\n", "Line 2 of .* has the score 'good', not a finite number"),
        ("file,score\n\na.png,nan\n", "Line 3 of .* has the score 'nan'"),
        ("file,score\na.png,1\na.png,2\n", r"lists a\.png more than once"),
        ("file,score,person\na.png,1,\n", "Line 2 of .* names no person"),
        ("file,score\né.png,1\n".encode("latin-1"), r"cannot be read from .*scores\.csv"),
    ],
)
def test_what_is_wrong_with_the_table_is_named(root: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(root, text)


def test_missing_files_are_named(root: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read from .*none\.csv"):
        image_folder(root, root / "none.csv", cache=root.parent / "cache")
    with pytest.raises(DataError, match=r"no folder of pictures at .*dogs"):
        image_folder(root.parent / "dogs", root / "none.csv", cache=root.parent / "cache")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    with pytest.raises(DataError, match="cats is empty"):
        load(tmp_path / "cats", "file,score\na.png,1\n", max_bad_share=1.0)


def test_fingerprint_follows_the_scores(root: Path) -> None:
    first = load(root, "file,score\na.png,1\n").fingerprint
    assert load(root, "file,score\na.png,1\n").fingerprint == first
    assert load(root, "file,score\na.png,2\n").fingerprint != first
    np.testing.assert_array_equal(load(root, "file,score\na.png,2\n").labels, [2.0])
