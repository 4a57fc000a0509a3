"""A GAN's training that leaves the finite numbers: back to where it was kept, with half the steps.

Trainings of ten steps, saved every third and looked at every second one.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import vqlso
from torch import Tensor

from pipeline.runs.folder import RunFolder
from vqlso.errors import TrainingError
from vqlso.generators.pgan.settings import PGANSettings
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.training.adversarial import StyleGAN2Training, train_stylegan2
from vqlso.training.alternating import AlternatingSteps
from vqlso.training.fitting import MOST_HALVINGS, Checkpointing
from vqlso.training.pgan import PGANTraining, train_pgan
from vqlso.training.watching import Observer, Snapshot

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
STYLEGAN2 = StyleGAN2Settings(8, 4, 4, mapping_layers=1, channel_base=32, channel_max=4)
PGAN = PGANSettings(z_dim=4, channels=(6, 4))
KINDS = ("StyleGAN2", "PGAN")
Look = Callable[[Snapshot[Any]], None]


class InterruptError(Exception):
    """Stands for a kill."""


def trained(kind: str, state: Path | None = None, look: Look | None = None) -> tuple[Any, Any]:
    """A generator and the measures of its training."""
    how: dict[str, Any] = {
        "seed": 1,
        "checkpointing": Checkpointing(state, every=3) if state else None,
        "observer": Observer(look, 0.008) if look else None,
    }
    if kind == "PGAN":
        growing = PGANTraining(kimg=(0.016, 0.024), batch_size=4, fading=0.012)
        made, report = train_pgan(IMAGES, None, PGAN, growing, **how)
        return made, report.measures
    lazy = StyleGAN2Training(kimg=0.04, batch_size=4, r1_interval=3, path_weight=2.0)
    generator, report = train_stylegan2(IMAGES, STYLEGAN2, lazy, **how)
    return generator, report.measures


def ailing(patch: pytest.MonkeyPatch, step: int, halvings: int) -> None:
    """The losses of a step are NaN until the step sizes were halved so often."""
    sound = AlternatingSteps._finite

    def spoilt(self: Any, value: Tensor) -> float:
        state = self._state
        fails = state.done == step and state.halvings < halvings
        return sound(self, value * math.nan if fails else value)

    patch.setattr(AlternatingSteps, "_finite", spoilt)


def killed_after(steps: int) -> Look:
    def look(now: Snapshot[Any]) -> None:
        if round(now.kimg * 1000) == 4 * steps:
            raise InterruptError

    return look


@pytest.mark.parametrize(("kind", "times"), [("StyleGAN2", 1), ("PGAN", 2)])
def test_it_goes_on_from_what_was_kept_with_smaller_steps(
    kind: str, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a training whose saved state was given the smaller steps by hand."""
    saved = tmp_path / "by hand"
    with pytest.raises(InterruptError):
        trained(kind, saved, killed_after(6))
    state = torch.load(saved, weights_only=True)
    assert state["done"] == 6
    for network in ("generator", "discriminator"):
        for group in state[f"{network}'s optimiser"]["param_groups"]:
            group["lr"] *= 0.5**times
    torch.save(state, saved)
    expected, measures = trained(kind, saved)
    ailing(monkeypatch, step=7, halvings=times)
    with pytest.warns(
        UserWarning, match=rf"{kind} diverged: a loss was nan at step 8 of 10\."
    ) as w:
        found, reported = trained(kind, tmp_path / "state")
    assert [str(each.message).split(". ")[1] for each in w] == [
        "It goes on from step 6 with half the step sizes."
    ] * times
    assert found.version == expected.version
    assert reported == measures | {"halvings": times}


@pytest.mark.filterwarnings("ignore:Training the")
@pytest.mark.parametrize(("kind", "killed"), [("StyleGAN2", 8), ("PGAN", 4), ("PGAN", 10)])
def test_a_kill_before_or_after_changes_nothing(
    kind: str, killed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ailing(monkeypatch, step=7, halvings=1)
    seen: list[float] = []
    whole, measures = trained(kind, tmp_path / "whole", lambda now: seen.append(now.kimg))
    with pytest.raises(InterruptError):
        trained(kind, tmp_path / "state", killed_after(killed))
    found, reported = trained(kind, tmp_path / "state", lambda now: None)
    assert found.version == whole.version
    assert reported == measures
    assert seen == [0.008, 0.016, 0.024, 0.032, 0.04]  # none twice: what was shown was kept


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_no_numbers_are_neither_shown_nor_the_result(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The losses of the last step are fine, and what its gradients leave is not."""
    steps, sound = iter(range(1000)), AlternatingSteps._descend
    last = 2 * 10 + (4 + 3 if kind == "StyleGAN2" else 0) - 1  # both networks, and the penalties

    def spoilt(self: Any, loss: Tensor, optimiser: Any) -> None:
        fails = next(steps) == last
        sound(self, loss + 0 * (loss - loss.detach()).sqrt() if fails else loss, optimiser)

    monkeypatch.setattr(AlternatingSteps, "_descend", spoilt)
    seen: list[Any] = []
    with pytest.warns(UserWarning, match="a weight was no number at step 10 of 10.*from step 8"):
        made, measures = trained(kind, look=seen.append)
    assert measures["halvings"] == 1
    assert [round(each.kimg * 1000) for each in seen] == [8, 16, 24, 32, 40]
    for generator in (made, *(each.generator for each in seen)):
        assert all(torch.isfinite(value).all() for value in generator.network.state_dict().values())


@pytest.mark.filterwarnings("ignore:Training the")
def test_it_gives_up_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    ailing(monkeypatch, step=2, halvings=MOST_HALVINGS + 1)
    with pytest.raises(TrainingError, match=r"at step 3 of 10, though .* halved 3 times\. Lower"):
        trained("PGAN")


@pytest.mark.filterwarnings("ignore:Training the")
def test_the_journal_the_summary_and_the_page_tell_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ailing(monkeypatch, step=2, halvings=1)
    grown = ("pgan.channels=[4,4,4]", "pgan.kimg=[0.016,0.016,0.032]", "pgan.fading=0.016")
    few = ("size=tiny", "threads=1", "data.size=16", "data.count=40", "pgan.samples=20")
    plain = ("pgan.conditional=false", "pgan.look_kimg=0.032", f"cache={tmp_path / 'cache'}")
    result = vqlso("run", "train_pgan", *few, *grown, *plain, f"out={tmp_path / 'run'}")
    assert result.exit_code == 0, result.output
    folder = RunFolder(tmp_path / "run")
    assert folder.journal.events("end")[0]["halvings"] == 1
    assert folder.journal.events("look")[-1]["measures"]["halvings"] == 1
    assert folder.read_json("summary.json")["halvings"] == 1
    assert "The training diverged once" in folder.report.read_text()
