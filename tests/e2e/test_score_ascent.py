"""Score ascent as an experiment: every method, what it leaves, resuming, scores and mistakes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_runs import events, figures, said, vqlso
from torch import Tensor, nn

from pipeline.ascent.measures import CHANGED
from pipeline.ascent.record import asked_in, latents_in
from pipeline.ascent.super_resolution import LATENT, RESULT, STRIP
from pipeline.commands.terminal import INTERRUPTED
from pipeline.loop import Loop
from pipeline.runs.folder import RunFolder
from vqlso.generators import load_generator
from vqlso.generators.stylegan2.discriminator import Discriminator, StyleGAN2Discriminator
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings

SETTINGS = StyleGAN2Settings(8, 4, 4, 0, 1, 64, 8)
SMALL = ("threads=1", "queries=24", "batch=4", "ascent.starts=8")
METHODS = {
    "gradient": ("solver.chains=2",),
    "sphere": ("solver.chains=2",),
    "finetune": (),
    "reinforce": (),
    "conditional": ("ascent.refit=8",),
    "surrogate": ("solver.samples=200", "surrogate.epochs=1"),
    "super_resolution": ("ascent.factor=4", "solver.chains=2"),
}
CHANGES = ("finetune", "reinforce")
CLIMBS = ("gradient", "sphere")


class Brightness(nn.Module):
    """Stands in for an image-text model: it likes any text bright."""

    def forward(self, images: Tensor, text: str) -> Tensor:
        return images.mean(dim=(1, 2, 3))


class Darkness(nn.Module):
    """The opposite."""

    def forward(self, images: Tensor, text: str) -> Tensor:
        return -images.mean(dim=(1, 2, 3))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained generator of 8 pixels, its discriminator, and a stand-in of a text model."""
    folder = tmp_path_factory.mktemp("files")
    torch.manual_seed(0)
    StyleGAN2(StyleGAN2Network(SETTINGS)).save(folder / "generator.safetensors")
    StyleGAN2Discriminator(Discriminator(SETTINGS)).save(folder / "discriminator.safetensors")
    VQVAE(VQVAENetwork(VQVAESettings(32, 2, 8, 4, 1))).save(folder / "codes.safetensors")
    with pytest.warns(DeprecationWarning, match="jit"):
        torch.jit.script(Brightness()).save(str(folder / "text.pt"))
    return folder


def arguments(out: Path, files: Path, method: str, *more: str) -> list[str]:
    """A text score by a script: it has gradients, and needs neither data nor training."""
    keys = {each.partition("=")[0] for each in more}
    own = [
        each for each in (*SMALL, *METHODS.get(method, ())) if each.partition("=")[0] not in keys
    ]
    score = ["ascent.score=text", "ascent.text=bright", f"ascent.model={files / 'text.pt'}"]
    if method == "super_resolution" or "ascent.score" in keys:
        score = []
    checkpoint = f"generator.checkpoint={files / 'generator.safetensors'}"
    return [
        "run",
        "score_ascent",
        f"method={method}",
        checkpoint,
        *score,
        *own,
        *more,
        f"out={out}",
    ]


def climbed(out: Path, files: Path, method: str, *more: str) -> RunFolder:
    result = vqlso(*arguments(out, files, method, *more))
    assert result.exit_code == 0, result.output
    return RunFolder.existing(out)


@pytest.fixture(scope="module")
def finished(files: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    """A finished run of every method. Not to be changed."""
    folder = tmp_path_factory.mktemp("runs")
    return {method: climbed(folder / method, files, method) for method in METHODS}


def counted_once(folder: RunFolder) -> np.ndarray:
    """Which scored images are no latent again; chains begin at starts, whose scores are known."""
    seen: list[np.ndarray] = []
    once = []
    for z in latents_in(folder):
        once.append(not any(np.allclose(z, other, rtol=0, atol=1e-5) for other in seen))
        seen.append(z)
    return np.array(once)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_spends_the_same_budget(finished: dict[str, RunFolder], method: str) -> None:
    folder = finished[method]
    summary, asked = folder.read_json("summary.json"), asked_in(folder)
    assert summary["queries"] == len(asked.scores) == len(asked.images) == 24
    assert summary["starts"] == asked.starts == 8
    queries = folder.journal.events("query")
    assert len(queries) == 16
    assert all(event["controls"] == {} for event in queries)
    page = folder.report.read_text()
    for section in ("figures", "course", "reproduce"):
        assert f'id="{section}"' in page
    assert 'id="unfinished"' not in page
    assert ('id="strip"' in page) == (method == "super_resolution")
    assert ('id="groups"' in page) == (method != "super_resolution")
    assert ("Best start" in page and "starts are left out" in page) == (
        method != "super_resolution"
    )
    assert ("counted once among the best" in page) == (method in CLIMBS)
    assert ("2 × 2 pixels (a sample of the generator" in page) == (method == "super_resolution")


@pytest.mark.parametrize("method", [each for each in METHODS if each != "super_resolution"])
def test_figures_are_those_of_the_images(finished: dict[str, RunFolder], method: str) -> None:
    folder = finished[method]
    summary, asked = folder.read_json("summary.json"), asked_in(folder)
    brightness = asked.images.mean(axis=(1, 2, 3)) / 255
    np.testing.assert_allclose(asked.scores, brightness, atol=1e-6)
    assert summary["best"] == asked.scores.max() == asked.course[-1]
    assert summary["best_start"] == asked.scores[:8].max()
    once = counted_once(folder)
    assert once.sum() == summary["distinct"] == (22 if method in CLIMBS else 24)
    assert summary["top10"] == np.sort(asked.scores[once])[-10]
    assert summary["top50"] is None
    assert summary["query_mean"] == pytest.approx(asked.scores[8:].mean())
    assert summary["judge"] is None
    groups = summary["groups"]
    assert groups["best_of_all"]["images"] == once.sum()
    assert groups["best_of_all"]["score"] == pytest.approx(asked.scores[once].mean(), abs=1e-9)
    assert groups["best_of_all"]["frechet"] is None
    assert (folder.path / "pictures" / "before.png").is_file()
    assert ("after" in groups) == (method in CHANGES)


@pytest.mark.parametrize("method", CLIMBS)
def test_those_with_gradients_climb(finished: dict[str, RunFolder], method: str) -> None:
    asked = asked_in(finished[method])
    assert asked.scores[-4:].mean() > asked.scores[8:12].mean()


@pytest.mark.parametrize("method", CHANGES)
def test_a_changed_generator_is_kept(
    finished: dict[str, RunFolder], files: Path, method: str
) -> None:
    folder = finished[method]
    original = load_generator(files / "generator.safetensors")
    changed = load_generator(folder.path / CHANGED)
    assert changed.version != original.version
    if method == "reinforce":
        w = original.spaces["w"].sample(3, np.random.default_rng(0))
        np.testing.assert_array_equal(changed.decode(w, "w"), original.decode(w, "w"))
    else:
        groups = folder.read_json("summary.json")["groups"]
        assert groups["after"]["score"] > groups["before"]["score"]


def test_a_super_resolution_shrinks_to_its_picture(
    finished: dict[str, RunFolder], files: Path, tmp_path: Path
) -> None:
    folder = finished["super_resolution"]
    summary = folder.read_json("summary.json")
    assert summary["criterion_mean"] < summary["criterion_starts"]
    assert summary["to_truth"] > 0
    for name in (RESULT, STRIP, LATENT):
        assert (folder.path / name).is_file()
    with Image.open(folder.path / RESULT) as result:
        assert result.size == (8, 8)
    Image.new("RGB", (40, 30), (200, 60, 60)).save(tmp_path / "red.png")
    more = f"ascent.picture={tmp_path / 'red.png'}"
    red = climbed(tmp_path / "run", files, "super_resolution", more)
    given = red.read_json("summary.json")
    assert given["to_truth"] is None
    assert given["picture_edge"] == summary["picture_edge"] == 2
    assert "the middle square of the given one, shrunk" in red.report.read_text()


@pytest.mark.parametrize("method", [*CHANGES, "super_resolution"])
def test_an_interrupted_ascent_ends_like_one_that_was_not(
    finished: dict[str, RunFolder],
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    propose, asked = Loop.propose, 0

    def interrupted(self: Loop) -> Any:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise KeyboardInterrupt
        return propose(self)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "propose", interrupted)
        result = vqlso(*arguments(tmp_path / "run", files, method))
    assert result.exit_code == INTERRUPTED
    assert vqlso("report", tmp_path / "run").exit_code == 0
    assert 'id="unfinished"' in RunFolder.existing(tmp_path / "run").report.read_text()
    result = vqlso("resume", tmp_path / "run")
    assert result.exit_code == 0, result.output
    folder = RunFolder.existing(tmp_path / "run")
    assert events(folder) == events(finished[method])
    assert figures(folder) == figures(finished[method])


def test_the_discriminator_can_be_the_score(files: Path, tmp_path: Path) -> None:
    network = f"ascent.discriminator={files / 'discriminator.safetensors'}"
    folder = climbed(tmp_path / "run", files, "gradient", "ascent.score=discriminator", network)
    summary = folder.read_json("summary.json")
    assert summary["score"] == "realness by the discriminator"
    discriminator = StyleGAN2Discriminator.load(files / "discriminator.safetensors")
    asked = asked_in(folder)
    pixels = torch.from_numpy(asked.images).float().div(127.5).sub(1)
    np.testing.assert_allclose(asked.scores, discriminator(pixels), rtol=1e-3, atol=1e-4)


def test_a_score_without_gradients_is_climbed_by_what_needs_none(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bright_wishes.py").write_text(
        "def bright(images, text):\n    return images.mean((1, 2, 3))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    wish = ("ascent.score=text", "ascent.text=bright", "ascent.model=bright_wishes:bright")
    folder = climbed(tmp_path / "text", files, "text", *wish, "solver.pairs=2")
    assert folder.read_json("summary.json")["queries"] == 24
    for method in ("gradient", "finetune"):
        result = vqlso(*arguments(tmp_path / method, files, method, *wish))
        said(result, "bright_wishes:bright", "method=reinforce")


def test_starts_that_fail_do_not_end_the_run(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shy_wishes.py").write_text(
        "import numpy as np\n"
        "asked = 0\n"
        "def shy(images, text):\n"
        "    global asked\n"
        "    asked += 1\n"
        "    return images.mean((1, 2, 3)) if asked in (2, 5, 6) or asked > 8 else [np.nan]\n"
        "def mute(images, text):\n"
        "    raise RuntimeError('no word')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    wish = ("ascent.score=text", "ascent.text=bright")
    own = (*wish, "ascent.model=shy_wishes:shy", "solver.pairs=2")
    folder = climbed(tmp_path / "run", files, "text", *own)
    summary, asked = folder.read_json("summary.json"), asked_in(folder)
    assert np.flatnonzero(np.isfinite(asked.scores[:8])).tolist() == [1, 4, 5]
    assert (summary["queries"], summary["starts"], summary["failures"]) == (24, 8, 5)
    assert summary["best_start"] == np.nanmax(asked.scores[:8])
    said(
        vqlso(*arguments(tmp_path / "mute", files, "text", *wish, "ascent.model=shy_wishes:mute")),
        "None of 8 starts",
        "no word",
    )


@pytest.mark.parametrize("subject", ["ascent.picture", "ascent.model", "ascent.discriminator"])
def test_another_content_of_what_decides_the_score_is_refused(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subject: str
) -> None:
    given = tmp_path / "given.png"
    if subject == "ascent.picture":
        Image.new("RGB", (8, 8), (200, 60, 60)).save(given)
        method, own = "super_resolution", (f"{subject}={given}",)
    elif subject == "ascent.model":
        given.write_bytes((files / "text.pt").read_bytes())
        own = ("ascent.score=text", "ascent.text=bright", f"{subject}={given}")
        method = "gradient"
    else:
        given.write_bytes((files / "discriminator.safetensors").read_bytes())
        method, own = "gradient", ("ascent.score=discriminator", f"{subject}={given}")

    def interrupted(_: Loop) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "propose", interrupted)
        result = vqlso(*arguments(tmp_path / "run", files, method, *own))
    assert result.exit_code == INTERRUPTED
    before = given.read_bytes()
    _change(given, subject)
    said(vqlso("resume", tmp_path / "run"), subject, "another content", "out=DIR")
    given.write_bytes(before)
    result = vqlso("resume", tmp_path / "run")
    assert result.exit_code == 0, result.output


def _change(file: Path, subject: str) -> None:
    """Another file of the same kind in its place."""
    torch.manual_seed(1)
    if subject == "ascent.picture":
        Image.new("RGB", (8, 8), (60, 60, 200)).save(file)
    elif subject == "ascent.model":
        with pytest.warns(DeprecationWarning, match="jit"):
            torch.jit.script(Darkness()).save(str(file))
    else:
        StyleGAN2Discriminator(Discriminator(SETTINGS)).save(file)


@pytest.mark.parametrize(
    ("method", "more", "words"),
    [
        ("gradient", ("ascent.starts=24",), ("ascent.starts=24", "queries=24")),
        ("conditional", ("ascent.starts=7",), ("ascent.starts=7", "ascent.starts=8")),
        ("gradient", ("ascent.score=beauty",), ("ascent.score", "'beauty'", "text")),
        ("gradient", ("ascent.score=discriminator",), ("ascent.discriminator=FILE",)),
        ("text", ("ascent.score=text",), ("ascent.text", "ascent.model")),
        ("gradient", ("generator.space=w",), ("ascent.prior", "generator.space=z")),
        ("reinforce", ("generator.space=z",), ("generator.space=w",)),
        ("super_resolution", ("ascent.factor=9",), ("ascent.factor=9",)),
        ("super_resolution", ("ascent.picture=none.png",), ("ascent.picture=none.png",)),
        ("gradient", ("ascent.noise=0.5",), ("ascent.noise", "method=reinforce")),
        ("finetune", ("solver.chains=3",), ("solver.chains", "ascent.method=finetune")),
        ("surrogate", ("ascent.starts=4",), ("ascent.starts=5", "4 dimensions")),
        ("sphere", ("ascent.score=objective",), ("8 pixels", "data.size=8")),
    ],
)
def test_mistakes_are_named_before_anything_is_made(
    files: Path, tmp_path: Path, method: str, more: tuple[str, ...], words: tuple[str, ...]
) -> None:
    said(vqlso(*arguments(tmp_path / "run", files, method, *more)), *words)
    assert not (tmp_path / "run").exists()


def test_codes_and_other_experiments_are_refused(files: Path, tmp_path: Path) -> None:
    codes = f"generator.checkpoint={files / 'codes.safetensors'}"
    run = ("run", "score_ascent", "generator=vqvae", codes, f"out={tmp_path / 'run'}")
    score = ("method=random", "ascent.score=text", "ascent.text=bright")
    said(vqlso(*run, *score, f"ascent.model={files / 'text.pt'}"), "real latents")
    said(vqlso("run", "demo", "ascent.starts=3", f"out={tmp_path / 'run'}"), "run score_ascent")
