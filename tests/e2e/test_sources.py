"""Runs on pictures of one's own and on CelebA's layout, with damage, degrees and without them."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_runs import run_tiny, said, tiny, vqlso

from vqlso.data.faces import procedural_faces
from vqlso.data.image_set import ImageSet

PEOPLE = 120


@pytest.fixture(scope="module")
def faces() -> ImageSet:
    return procedural_faces(PEOPLE, seed=1, size=112)


def picture(faces: ImageSet, row: int) -> Image.Image:
    return Image.fromarray(faces.images[row].transpose(1, 2, 0))


@pytest.fixture
def celeba(faces: ImageSet, tmp_path: Path) -> Path:
    """Faces in CelebA's layout: 89x109 pictures, degrees, attributes and identities."""
    folder = tmp_path / "celeba" / "img_align_celeba"
    folder.mkdir(parents=True)
    degrees, attributes, people = ["file Bangs Smiling"], [str(PEOPLE), "Bangs Smiling"], []
    for row in range(PEOPLE):
        name = f"{row:06d}.jpg"
        picture(faces, row).resize((89, 109)).save(folder / name)
        degree = round(float(faces.labels[row]))
        degrees.append(f"{name} 0 {degree}")
        attributes.append(f"{name} -1 {1 if degree >= 3 else -1}")
        people.append(f"{name} {row // 2}")
    for name, lines in (
        ("combined_annotation.txt", degrees),
        ("list_attr_celeba.txt", attributes),
        ("identity_CelebA.txt", people),
    ):
        (folder.parent / name).write_text("\n".join(lines) + "\n")
    return folder.parent


SHORT = ("queries=2", "generator.epochs=1", "objective.epochs=1")


def test_pictures_of_ones_own(faces: ImageSet, tmp_path: Path) -> None:
    """Scores on a scale of their own, cut at their median, and one damaged picture among many."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    lines = ["photo,charm"]
    for row in range(PEOPLE):
        picture(faces, row).save(folder / f"{row}.jpg", quality=95)
        lines.append(f"{row}.jpg,{10 * faces.labels[row] - 20:.3f}")
    damaged = folder / "7.jpg"
    damaged.write_bytes(damaged.read_bytes()[:500])
    (tmp_path / "scores.csv").write_text("\n".join(lines) + "\n")

    done = run_tiny(
        tmp_path / "run",
        tmp_path / "cache",
        *SHORT,
        "data=folder",
        f"data.root={folder}",
        f"data.scores={tmp_path / 'scores.csv'}",
        "data.score_column=charm",
    )

    data = done.read_json("preparation.json")["data"]
    labels = np.delete(np.array([float(line.split(",")[1]) for line in lines[1:]]), 7)
    assert data["name"] == "pictures"
    assert data["skipped"] == ["7.jpg"]
    assert data["images"] == PEOPLE - 1
    assert data["restrict"] == np.median(labels)
    assert data["restrict_reason"] == "the median of all labels"
    assert data["training"] == (labels <= np.median(labels)).sum()
    assert data["target"] == (labels > np.median(labels)).sum()
    assert "column charm of scores.csv" in data["label_origin"]
    summary = done.read_json("summary.json")
    assert summary["train_best"] == pytest.approx(labels[labels <= np.median(labels)].max())
    assert labels.min() <= summary["query_mean"] <= labels.max()
    report = done.report.read_text()
    assert "7.jpg" in report
    assert "(the median of all labels)" in report
    assert "smil" not in report.split("How to reproduce it")[0].replace("smile_shift", "")


def test_celeba_with_degrees(celeba: Path, tmp_path: Path) -> None:
    wanted = ("data=celeba", f"data.root={celeba}", "data.limit=100")
    done = run_tiny(tmp_path / "run", tmp_path / "cache", *SHORT, *wanted)
    data = done.read_json("preparation.json")["data"]
    assert data["images"] == 100
    assert data["label_origin"] == "CelebA-Dialog smiling degree"
    assert not (done.path / "networks" / "labeller.safetensors").exists()


def test_celeba_with_the_binary_attribute_only(celeba: Path, tmp_path: Path) -> None:
    """A calibrated scorer makes degrees of it, and the report says so.

    So short a training tells nothing apart: the first attempt names the range of its degrees.
    """
    (celeba / "combined_annotation.txt").unlink()
    wanted = (*SHORT, "data=celeba", f"data.root={celeba}")
    first = vqlso("run", *tiny(tmp_path / "first", tmp_path / "cache", *wanted, "data.restrict=5"))
    said(first, "data.restrict=5.0 leaves every image")
    lowest, highest = map(float, re.findall(r"run from (\S+) to (\S+)\.", first.stderr)[0])
    assert 0 <= lowest < highest <= 5

    restrict = f"data.restrict={(lowest + highest) / 2}"
    done = run_tiny(tmp_path / "run", tmp_path / "cache", *wanted, restrict)
    data = done.read_json("preparation.json")["data"]
    origin = "5 x calibrated probability of a scorer trained on the binary Smiling attribute"
    assert data["label_origin"] == origin
    assert 0 < data["training"] < PEOPLE
    assert (done.path / "networks" / "labeller.safetensors").is_file()
    assert origin in done.report.read_text()
