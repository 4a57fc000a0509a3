"""A PGAN's training as an experiment: what it leaves, how it grows, how it is interrupted."""

from pathlib import Path

import numpy as np
import pytest
from tiny_runs import said, vqlso

from pipeline.commands.terminal import INTERRUPTED
from pipeline.parts.generators import PACKAGED_FILES
from pipeline.report.gan_page import looks_of, sample_file
from pipeline.runs.folder import RunFolder
from pipeline.tasks import gan_watching, pgan_training
from pipeline.tasks.gan_watching import compared_rows
from vqlso.data.textures import CLASSES, procedural_textures
from vqlso.generators import load_generator
from vqlso.metrics.class_accuracy import ClassRecogniser

TINY = (
    *("size=tiny", "threads=1", "data.size=16", "data.count=120", "pgan.channels=[8,8,4]"),
    *("pgan.kimg=[0.032,0.048,0.064]", "pgan.fading=0.016", "pgan.look_kimg=0.048"),
    "pgan.samples=40",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("pgan")
    result = vqlso("run", "train_pgan", *TINY, f"out={folder / 'run'}", f"cache={folder}")
    assert result.exit_code == 0, result.output
    assert "Right class" in result.output
    return RunFolder.existing(folder / "run")


def test_it_leaves_a_conditional_generator_and_its_figures(trained: RunFolder) -> None:
    generator = load_generator(trained.path / pgan_training.GENERATOR)
    assert generator.image_shape == (3, 16, 16)
    assert generator.settings.classes == (len(CLASSES),)  # type: ignore[attr-defined]
    summary = trained.read_json("summary.json")
    assert 0 <= summary["class_accuracy"] <= 1
    data = procedural_textures(120, 0, 16)
    rows = compared_rows(data, 40, 0, "pgan.samples")
    recogniser = ClassRecogniser.load(trained.path / "networks" / "recogniser.safetensors")
    right = recogniser.accuracy(data.images[rows], data.labels[rows].astype(int))
    assert summary["class_accuracy_real"] == right
    assert summary["frechet_samples"] > summary["frechet_real"] > 0


def test_looks_and_page_go_class_by_class(trained: RunFolder) -> None:
    looks = looks_of(trained)
    assert [look["kimg"] for look in looks] == pytest.approx([0.048, 0.096, 0.144])
    for look in looks:
        assert (trained.path / sample_file(look["kimg"])).read_bytes().startswith(b"\x89PNG")
        assert 0 <= look["class_accuracy"] <= 1
    page = trained.report.read_text()
    assert "a row for each class" in page
    assert "samples of the right class" in page


def test_an_interrupted_training_ends_as_if_it_had_not_been(
    trained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, seen = gan_watching.Watcher.look, []

    def interrupting(self: object, now: object) -> None:
        look(self, now)  # type: ignore[arg-type]
        if not seen:
            seen.append(now)
            raise KeyboardInterrupt

    monkeypatch.setattr(gan_watching.Watcher, "look", interrupting)
    monkeypatch.setattr(pgan_training, "SAVED_EVERY", 1)
    out = tmp_path / "run"
    stopped = vqlso("run", "train_pgan", *TINY, f"out={out}", f"cache={tmp_path}")
    assert stopped.exit_code == INTERRUPTED
    assert vqlso("resume", out).exit_code == 0
    first, second = (load_generator(each / pgan_training.GENERATOR) for each in (trained.path, out))
    assert first.version == second.version
    accuracies = [
        [look["class_accuracy"] for look in looks_of(run)]
        for run in (trained, RunFolder.existing(out))
    ]
    assert accuracies[0] == accuracies[1]


def test_faces_have_no_classes_and_are_trained_without(tmp_path: Path) -> None:
    faces = (*TINY, "data=faces", f"out={tmp_path / 'run'}", f"cache={tmp_path}")
    said(vqlso("run", "train_pgan", *faces), "no classes", "pgan.conditional=false")
    faces = (*faces[:-2], "pgan.conditional=false", f"out={tmp_path / 'other'}", faces[-1])
    assert vqlso("run", "train_pgan", *faces).exit_code == 0
    generator = load_generator(tmp_path / "other" / pgan_training.GENERATOR)
    assert list(generator.spaces) == ["z"]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.size=32", ("pgan.channels", "data.size is 32")),
        ("pgan.kimg=[1.0]", ("pgan.kimg names 1",)),
        ("pgan.samples=500", ("pgan.samples=120",)),
        ("gan.kimg=3.0", ("train_stylegan2",)),
    ],
)
def test_what_does_not_go_together(override: str, words: tuple[str, ...], tmp_path: Path) -> None:
    key = override.partition("=")[0]
    kept = [each for each in TINY if each.partition("=")[0] != key]
    result = vqlso("run", "train_pgan", *kept, override, f"out={tmp_path / 'run'}")
    said(result, *words)


def test_the_packaged_generator_draws_every_class_in_its_own_way() -> None:
    generator = load_generator(PACKAGED_FILES["pgan"])
    space = generator.spaces["z x class"]
    z = np.tile(np.random.default_rng(0).standard_normal((1, space.z_dim)), (len(CLASSES), 1))  # type: ignore[attr-defined]
    images = generator.decode(space.joined(z, np.arange(len(CLASSES))[:, None]), space.name)  # type: ignore[attr-defined]
    differences = (images[:, None] - images[None]).abs().mean(dim=(2, 3, 4)).numpy()
    assert differences[~np.eye(len(CLASSES), dtype=bool)].min() > 0.02
