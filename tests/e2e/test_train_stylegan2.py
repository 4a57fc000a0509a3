"""A GAN's training as an experiment: what it leaves, and that an interruption changes nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import vqlso

from pipeline.commands.terminal import INTERRUPTED
from pipeline.report.gan_page import looks_of, sample_file
from pipeline.runs.folder import RunFolder
from pipeline.tasks import gan_training
from vqlso.generators import load_discriminator, load_generator

TINY = ("size=tiny", "threads=1", "data.size=16", "data.count=120", "gan.kimg=0.2")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("gan")
    result = vqlso("run", "train_stylegan2", *TINY, f"out={folder / 'run'}", f"cache={folder}")
    assert result.exit_code == 0, result.output
    assert "Parameters" in result.output
    return RunFolder.existing(folder / "run")


def test_it_leaves_a_generator_and_grids_of_samples(trained: RunFolder) -> None:
    generator = load_generator(trained.path / gan_training.GENERATOR)
    assert generator.image_shape == (3, 16, 16)
    looks = looks_of(trained)
    assert [look["kimg"] for look in looks] == pytest.approx([0.1, 0.2])
    for look in looks:
        assert (trained.path / sample_file(look["kimg"])).read_bytes().startswith(b"\x89PNG")
    summary = trained.read_json("summary.json")
    assert summary["frechet_samples"] == looks[-1]["frechet"] > 0
    assert summary["parameters"] == sum(
        each.numel()
        for each in generator.network.parameters()  # type: ignore[attr-defined]
    )


def test_the_page_shows_samples_and_course(trained: RunFolder) -> None:
    page = trained.report.read_text()
    assert page.count('class="sheet"') == 2
    assert "After 0.1 thousand images" in page
    for section in ("figures", "samples", "course", "reproduce"):
        assert f'id="{section}"' in page


def test_an_interrupted_training_ends_as_if_it_had_not_been(
    trained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, seen = gan_training.Watcher.look, []

    def interrupting(self: gan_training.Watcher, now: object) -> None:
        look(self, now)  # type: ignore[arg-type]
        if not seen:
            seen.append(now)
            raise KeyboardInterrupt

    monkeypatch.setattr(gan_training.Watcher, "look", interrupting)
    monkeypatch.setattr(gan_training, "SAVED_EVERY", 10)
    out = tmp_path / "run"
    stopped = vqlso("run", "train_stylegan2", *TINY, f"out={out}", f"cache={tmp_path}")
    assert stopped.exit_code == INTERRUPTED
    assert "vqlso resume" in stopped.output
    assert vqlso("resume", out).exit_code == 0
    first, second = (load_generator(each / gan_training.GENERATOR) for each in (trained.path, out))
    assert first.version == second.version
    judges = [load_discriminator(r / gan_training.DISCRIMINATOR) for r in (trained.path, out)]
    assert judges[0].version == judges[1].version
    z = np.zeros((1, 8))
    torch.testing.assert_close(first.decode(z, "w"), second.decode(z, "w"), atol=1e-5, rtol=0)
    assert [e["frechet"] for e in looks_of(trained)] == [
        e["frechet"] for e in looks_of(RunFolder.existing(out))
    ]


def test_too_few_images_to_compare_with(tmp_path: Path) -> None:
    result = vqlso("run", "train_stylegan2", *TINY, "gan.samples=500", f"out={tmp_path / 'run'}")
    assert result.exit_code != 0
    assert "gan.samples=120" in result.output


def test_settings_that_only_a_search_reads(tmp_path: Path) -> None:
    result = vqlso("run", "train_stylegan2", "solver.step=0.2", f"out={tmp_path / 'run'}")
    assert result.exit_code != 0
    assert "only trains" in " ".join(result.output.split())
