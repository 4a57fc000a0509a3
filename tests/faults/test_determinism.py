"""The same seed on the same machine tells the same story: the tasks that no other test repeats.

The search is repeated in other processes by tests/resume, and a study by tests/sweep. Networks
are untrained, of 8 or 16 pixels.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import vqlso

from benchmarks.faults.kills import difference
from benchmarks.faults.subjects import SUBJECTS, Subject
from pipeline.evolution.session import EvolutionSession, EvolutionSettings
from pipeline.runs.folder import RunFolder
from pipeline.runs.journal import without_time
from vqlso.generators.stylegan2.discriminator import Discriminator, StyleGAN2Discriminator
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.objectives.face_attributes import FaceAttributes
from vqlso.objectives.face_identity import ProceduralIdentity
from vqlso.objectives.factor_network import FactorNetwork
from vqlso.problems.simulated_person import SimulatedPerson

SETTINGS = StyleGAN2Settings(16, 4, 4, 0, 1, 64, 8)
EDIT = ("queries=24", "edit.anchors=2", "edit.longest=1", "edit.judges=2", "edit.originals=2")
ASCENT = ("ascent.score=discriminator", "queries=12", "batch=4", "ascent.starts=4")
CLIMBS = ("gradient", "finetune")
PGAN = ("size=tiny", "data.size=16", "data.count=60", "pgan.channels=[4,4,4]", "pgan.samples=20")
GROWN = ("pgan.kimg=[0.016,0.016,0.032]", "pgan.fading=0.016", "pgan.look_kimg=0.032")


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of untrained networks for 16 pixels."""
    folder = tmp_path_factory.mktemp("networks")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made: dict[str, Any] = {
            "gan": StyleGAN2(StyleGAN2Network(SETTINGS)),
            "discriminator": StyleGAN2Discriminator(Discriminator(SETTINGS)),
            "attributes": FaceAttributes(FactorNetwork(1), ("smile",), 16),
            "identity": ProceduralIdentity(FactorNetwork(5), 5, 16),
        }
    for name, network in made.items():
        network.save(folder / f"{name}.safetensors")
    return {name: folder / f"{name}.safetensors" for name in made}


def command(task: str, networks: dict[str, Path], out: Path) -> list[str]:
    """A run of a task, or of a method of the score ascent."""
    places = ["threads=1", f"out={out}", f"cache={out.parent / 'cache'}"]
    generator = f"generator.checkpoint={networks['gan']}"
    if task == "train_pgan":
        return ["run", "train_pgan", *PGAN, *GROWN, *places]
    if task == "edit":
        files = [
            f"edit.regressor={networks['attributes']}",
            f"edit.identity={networks['identity']}",
        ]
        return ["run", "edit_smile", generator, *files, *EDIT, "edit.faces=2", *places]
    score = f"ascent.discriminator={networks['discriminator']}"
    return ["run", "score_ascent", f"method={task}", generator, score, *ASCENT, *places]


def disturb() -> None:
    """Nothing that was drawn elsewhere may matter."""
    torch.rand(7)
    np.random.shuffle(np.arange(7))  # noqa: NPY002 - the global stream is what must not matter


@pytest.mark.parametrize("task", ["invert", "train_gan", "train_pgan", *CLIMBS, "edit"])
def test_a_task_repeats(task: str, networks: dict[str, Path], tmp_path: Path) -> None:
    """Its journal, its summary, and the names of its files."""
    stories = []
    for _ in range(2):
        subject = Subject(task, tmp_path / task)
        own = subject.begin() if task in SUBJECTS else command(task, networks, subject.out)
        result = vqlso(*own)
        assert result.exit_code == 0, result.output
        stories.append(subject.story())
        shutil.rmtree(subject.folder)
        disturb()
    assert len(stories[0]["out journal"]) > 2
    assert not difference(*stories)


def test_a_session_of_the_same_picks_repeats(networks: dict[str, Path], tmp_path: Path) -> None:
    """The picks of a simulated person, who sees other images if anything differs; one step back."""

    def told(name: str) -> list[Any]:
        target = np.full((3, 16, 16), 200, np.uint8)
        person = SimulatedPerson(lambda images: images.flatten(1), target, picks=2, noise=0.5)
        settings = EvolutionSettings(generator=str(networks["gan"]), population=6, picks=2)
        session = EvolutionSession.create(RunFolder(tmp_path / name), settings)
        for step in range(3):
            session.pick(person(session.images, step).tolist())
            disturb()
        session.back(1)
        session.pick(person(session.images, 9).tolist())
        return without_time(session.folder.journal.events())

    first, second = told("first"), told("second")
    assert len(first) > 4 * 6
    assert first == second
