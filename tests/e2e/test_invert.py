"""Inversion as an experiment: every solver, what it leaves, resuming, folders and mistakes."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from tiny_runs import events, figures, said, vqlso

from pipeline.commands.terminal import INTERRUPTED
from pipeline.configuration.composition import composed
from pipeline.inversion.problem import inversion_problem
from pipeline.inversion.record import found_in
from pipeline.parts import SOLVERS
from pipeline.parts.target_solvers import ONLY_TARGETS, TARGET_SOLVERS
from pipeline.runs.folder import RunFolder
from pipeline.runs.shelf import PACKAGED
from pipeline.tasks import inversion as inversion_task
from vqlso.errors import CheckpointError, ConfigError, DataError
from vqlso.generators import load_discriminator, load_generator
from vqlso.generators.pgan.class_space import ClassConditional
from vqlso.generators.pgan.generator import PGAN
from vqlso.generators.pgan.network import PGANNetwork
from vqlso.generators.pgan.settings import PGANSettings
from vqlso.generators.stylegan2.discriminator import Discriminator, StyleGAN2Discriminator
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.generators.vae import VAE, VAENetwork, VAESettings
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings
from vqlso.objectives.criteria import inspirational
from vqlso.objectives.feature_networks import RandomTaps
from vqlso.problems import target_pictures

SMALL = ("threads=1", "queries=14", "invert.starts=4")
ONE_EACH = ("lbfgs", "nevergrad")  # a method that tells targets apart by itself, and one that not


@pytest.fixture(scope="module")
def generators(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of untrained generators of 16 pixels, 32 for codes, and of two discriminators."""
    folder = tmp_path_factory.mktemp("generators")
    torch.manual_seed(0)
    made: dict[str, Any] = {
        "stylegan2": StyleGAN2(StyleGAN2Network(StyleGAN2Settings(16, 4, 4, 0, 1, 64, 8))),
        "vae": VAE(VAENetwork(VAESettings(32, 2, 4))),
        "vqvae": VQVAE(VQVAENetwork(VQVAESettings(32, 2, 8, 4, 1))),
        "pgan": PGAN(PGANNetwork(PGANSettings(5, (3,), (8, 8, 4)))),
        "discriminator": StyleGAN2Discriminator(
            Discriminator(StyleGAN2Settings(16, 4, 4, 0, 1, 64, 8))
        ),
        "coarse": StyleGAN2Discriminator(Discriminator(StyleGAN2Settings(8, 4, 4, 0, 1, 64, 8))),
    }
    for name, generator in made.items():
        generator.save(folder / f"{name}.safetensors")
    # An untrained encoder gives every cell the same code.
    (trained,) = PACKAGED.glob("generator-*.safetensors")
    return {"packaged vqvae": trained} | {name: folder / f"{name}.safetensors" for name in made}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of a grey, a transparent and a coloured picture, and a text."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("L", (40, 30), 90).save(folder / "grey.png")
    Image.new("RGBA", (20, 20), (255, 0, 0, 128)).save(folder / "see through.png")
    noise = np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "noise.jpg", quality=95)
    (folder / "notes.txt").write_text("no picture")
    return folder


def arguments(out: Path, generators: dict[str, Path], *more: str, kind: str = "stylegan2") -> Any:
    checkpoint = f"generator.checkpoint={generators[kind]}"
    return "run", "invert", f"generator={kind.split()[-1]}", checkpoint, *SMALL, *more, f"out={out}"


def inverted(out: Path, generators: dict[str, Path], *more: str, kind: str = "stylegan2") -> Any:
    result = vqlso(*arguments(out, generators, *more, kind=kind))
    assert result.exit_code == 0, result.output
    return RunFolder.existing(out)


def latents(folder: RunFolder) -> tuple[np.ndarray, dict[str, str]]:
    with safe_open(folder.path / inversion_task.LATENT, framework="np") as file:
        return file.get_tensor("z"), file.metadata()


@pytest.mark.parametrize("solver", TARGET_SOLVERS)
def test_every_solver_runs(solver: str, generators: dict[str, Path], tmp_path: Path) -> None:
    kind = "stylegan2" if "vectors" in TARGET_SOLVERS[solver].latents else "vqvae"
    more = ("invert.samples=2", "invert.criterion=l2", f"solver={solver}")
    folder = inverted(tmp_path / "run", generators, *more, kind=kind)
    summary = folder.read_json("summary.json")
    assert summary["queries"] == 2 * 14
    assert summary["targets"] == len(found_in(folder)) == 2
    assert summary["reached"] == 0
    assert summary["criterion_mean"] <= summary["criterion_starts"]
    assert (summary["gradients"] > 0) == TARGET_SOLVERS[solver].climbs
    for event in folder.journal.events("query"):
        assert event["controls"] == {}


def test_what_it_leaves(generators: dict[str, Path], photos: Path, tmp_path: Path) -> None:
    target = photos / "noise.jpg"
    folder = inverted(tmp_path / "run", generators, f"invert.target={target}")
    generator = load_generator(generators["stylegan2"])
    z, header = latents(folder)
    assert (header["space"], header["generator"]) == ("w", generator.version)
    assert "L2" in header["criterion"]
    again = generator.decode(z, "w").mul(255).round().byte().numpy()[0].transpose(1, 2, 0)
    with (
        Image.open(folder.path / "result.png") as result,
        Image.open(folder.path / "strip.png") as strip,
    ):
        np.testing.assert_array_equal(np.asarray(result), again)
        assert strip.width > 2 * strip.height
    summary = folder.read_json("summary.json")
    (outcome,) = summary["results"]
    (found,) = found_in(folder)
    assert outcome["criterion"] == found.criterion == found.curve.min()
    assert len(found.curve) == outcome["images"] == 14
    best = max(folder.journal.events("query"), key=lambda event: event["score"])
    assert -best["score"] == found.criterion
    np.testing.assert_array_equal(np.array(best["z"]), z[0])
    page = folder.report.read_text()
    for section in ("figures", "strips", "course", "reproduce", "not-reached"):
        assert f'id="{section}"' in page
    assert 'id="targets"' not in page


@pytest.mark.parametrize("solver", ONE_EACH)
def test_a_folder_gives_what_its_pictures_give_alone(
    solver: str, generators: dict[str, Path], photos: Path, tmp_path: Path
) -> None:
    settings = (f"solver={solver}", "invert.criterion=l2")
    folder = inverted(tmp_path / "all", generators, *settings, f"invert.target={photos}")
    alone = inverted(
        tmp_path / "one", generators, *settings, f"invert.target={photos / 'noise.jpg'}"
    )
    names = [each.name for each in found_in(folder)]
    assert names == ["grey.png", "noise.jpg", "see through.png"]
    assert latents(folder)[0].shape[0] == 3
    for file in ("strips/000-grey.png", "strips/002-see-through.png", "results/001-noise.png"):
        assert (folder.path / file).is_file()
    # Sums over a batch are rounded in another order, which a line search may amplify.
    (found,) = found_in(alone)
    np.testing.assert_allclose(found_in(folder)[1].curve, found.curve, rtol=1e-3)
    page = folder.report.read_text()
    assert page.count("<figure>\n<img") == 3
    assert 'id="targets"' in page


@pytest.mark.parametrize("solver", ["lbfgs", "nevergrad", "zeroth_order", "cma_es"])
@pytest.mark.parametrize("at", [0, 5])
def test_an_interrupted_search_ends_as_if_it_had_not_been(
    solver: str,
    at: int,
    generators: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = (f"solver={solver}", "invert.samples=2")
    whole = inverted(tmp_path / "whole", generators, *settings)
    evaluate, calls = inversion_task.TargetImage.evaluate, []

    def interrupting(self: Any, *arguments: Any) -> Any:
        calls.append(self)
        if len(calls) == at + 2:  # the first is of the starts
            raise KeyboardInterrupt
        return evaluate(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(inversion_task.TargetImage, "evaluate", interrupting)
        stopped = vqlso(*arguments(tmp_path / "run", generators, *settings))
    assert stopped.exit_code == INTERRUPTED
    assert len(calls) == at + 2
    unfinished = vqlso("report", tmp_path / "run")
    assert unfinished.exit_code == 0, unfinished.output
    assert 'id="unfinished"' in (tmp_path / "run" / "report.html").read_text()
    assert vqlso("resume", tmp_path / "run").exit_code == 0
    folder = RunFolder.existing(tmp_path / "run")
    assert events(folder) == events(whole)
    assert figures(folder) == figures(whole)
    np.testing.assert_array_equal(latents(folder)[0], latents(whole)[0])


@pytest.mark.parametrize("kind", ["vae", "vqvae"])
def test_the_search_begins_at_what_the_encoder_makes(
    kind: str, generators: dict[str, Path], photos: Path, tmp_path: Path
) -> None:
    solver = "coordinate" if kind == "vqvae" else "adam"
    target = f"invert.target={photos / 'noise.jpg'}"
    folder = inverted(tmp_path / "run", generators, f"solver={solver}", target, kind=kind)
    wanted = target_pictures.read_target(photos / "noise.jpg")
    small = torch.nn.functional.interpolate(
        wanted[None], size=(32, 32), mode="bilinear", antialias=True
    )
    encoded = load_generator(generators[kind]).encode(small)  # type: ignore[attr-defined]
    np.testing.assert_allclose(folder.read_arrays("archive/starts.npz")["z"][:1], encoded)


def test_realism_counts_where_a_discriminator_is_given(
    generators: dict[str, Path], photos: Path, tmp_path: Path
) -> None:
    given = (f"invert.target={photos}", f"invert.discriminator={generators['discriminator']}")
    folder = inverted(tmp_path / "run", generators, *given, "invert.realism=0.5")
    summary = folder.read_json("summary.json")
    assert (summary["reached"], summary["tolerance"]) == (None, None)
    assert summary["criterion"].endswith("+ 0.5 realism")
    assert 'id="no-tolerance"' in folder.report.read_text()
    z, _ = latents(folder)
    images = load_generator(generators["stylegan2"]).decode(z, "w")
    (grey, *_), criterion = found_in(folder), summary["results"][0]["criterion"]
    assert grey.criterion == criterion
    real = load_discriminator(generators["discriminator"])(2 * images - 1)[0]
    wanted = target_pictures.read_target(photos / "grey.png")[None]
    distance = inspirational("l2+features", features=RandomTaps(), norm_weight=0)
    near = distance(images[:1], torch.zeros(1), distance.wanted(wanted, (16, 16)))
    assert criterion == pytest.approx(float(near - 0.5 * real), abs=1e-4)


def test_the_packaged_generator_brings_its_discriminator() -> None:
    def criterion(*overrides: str) -> str:
        config = composed("invert", ["invert.samples=1", *overrides])
        return inversion_problem(config).problem.criterion.name

    assert criterion().endswith("+ 1 realism")
    assert criterion("invert.realism=0.3").endswith("+ 0.3 realism")
    for without in ("invert.realism=0", "invert.criterion=l2"):
        assert "realism" not in criterion(without)


@pytest.mark.parametrize("solver", ONE_EACH)
def test_a_held_class_stays_and_a_searched_one_is_one_of_them(
    solver: str, generators: dict[str, Path], tmp_path: Path
) -> None:
    """The two strategies of paper 001, section III-C5."""
    more = (f"solver={solver}", "invert.criterion=l2", "invert.samples=2")
    held = inverted(tmp_path / "held", generators, *more, "generator.held=[2]", kind="pgan")
    z, header = latents(held)
    assert (header["space"], z.shape) == ("z", (2, 5))
    generator = cast(PGAN, load_generator(generators["pgan"]))
    one_hot = np.concatenate([z, np.tile([0.0, 0.0, 1.0], (2, 1))], axis=1)
    again = generator.decode(one_hot).mul(255).round().byte().numpy()[1].transpose(1, 2, 0)
    with Image.open(held.path / "results" / "001-sample-2.png") as result:
        np.testing.assert_array_equal(np.asarray(result), again)

    free = inverted(tmp_path / "free", generators, *more, kind="pgan")
    z, header = latents(free)
    assert (header["space"], z.shape) == ("z x class", (2, 8))
    space = cast(ClassConditional, generator.space)
    again = generator.decode(space.joined(z[:, :5], space.chosen(z)))
    again = again.mul(255).round().byte().numpy()[1].transpose(1, 2, 0)
    with Image.open(free.path / "results" / "001-sample-2.png") as result:
        np.testing.assert_array_equal(np.asarray(result), again)


def test_the_exact_search_learns_from_what_the_target_is_encoded_as(
    generators: dict[str, Path], photos: Path, tmp_path: Path
) -> None:
    given = ("solver=surrogate_based", f"invert.target={photos / 'noise.jpg'}", "batch=2")
    folder = inverted(
        tmp_path / "run",
        generators,
        *given,
        "solver.t=4",
        "surrogate.trees=20",
        "invert.starts=40",
        "queries=46",
        kind="packaged vqvae",
    )
    starts = folder.read_arrays("archive/starts.npz")["z"]
    assert len(np.unique(starts, axis=0)) > 1
    for event in folder.journal.events("query"):
        assert event["status"] == "optimal"
        assert event["acquisition"] <= event["bound"] + 1e-9
    assert folder.read_json("summary.json")["queries"] == 46


def test_it_ends_when_all_targets_are_reached(generators: dict[str, Path], tmp_path: Path) -> None:
    folder = inverted(tmp_path / "run", generators, "invert.samples=2", "invert.tolerance=1e9")
    summary = folder.read_json("summary.json")
    assert (summary["reached"], summary["queries"]) == (2, 8)
    assert folder.journal.events("query") == []
    assert 'id="reached"' in folder.report.read_text()


def test_a_resumed_run_has_the_same_targets(
    generators: dict[str, Path], photos: Path, tmp_path: Path
) -> None:
    target = photos / "grey.png"
    folder = inverted(tmp_path / "run", generators, f"invert.target={target}")
    folder.summary.unlink()
    Image.new("L", (40, 30), 200).save(target)
    result = vqlso("resume", folder.path)
    assert result.exit_code == DataError.exit_code
    said(result, "other targets", "out=DIR")


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        (["invert.target=none.png"], DataError, ["none.png", "no picture"]),
        (["invert.target={photos}/notes.txt"], DataError, ["notes.txt", "PNG or JPEG"]),
        (["invert.target={photos}/.."], DataError, ["no picture in invert.target"]),
        (["solver=nevergrad", "solver.optimizer=TwoPointDE"], ConfigError, ["TwoPointsDE"]),
        (["solver=surrogate_based"], ConfigError, ["searches codes", "use one of"]),
        (["solver=slsqp"], ConfigError, ["scored training set", "lbfgs"]),
        (["solver=slsqp", "surrogate.trees=3"], ConfigError, ["surrogate.trees", "no effect"]),
        (["solver=coordinate"], ConfigError, ["searches codes", "use one of"]),
        (["solver=adam", "solver.pairs=3"], ConfigError, ["solver.pairs", "no effect"]),
        (["solver=adam", "solver.step=3"], ConfigError, ["solver.step", "no effect"]),
        (["solver=adam", "solver.steps=[-1]"], ConfigError, ["positive steps"]),
        (["solver=adam", "solver.start=worst"], ConfigError, ["solver.start", "prior"]),
        (["solver.t=3"], ConfigError, ["solver.t", "no effect", "invert"]),
        (["objective=callable", "objective.target=a:b"], ConfigError, ["objective.target"]),
        (["invert.criterion=l3"], ConfigError, ["invert.criterion", "did you mean 'l2'"]),
        (["invert.criterion=l2", "invert.features=x"], ConfigError, ["compares pixels only"]),
        (["invert.features=none.pth"], ConfigError, ["none.pth", "vgg19"]),
        (["invert.tolerance=-1"], ConfigError, ["invert.tolerance must be at least 0"]),
        (["queries=4"], ConfigError, ["invert.starts=4", "fewer starts"]),
        (["invert.realism=1"], ConfigError, ["invert.discriminator=FILE", "train_stylegan2"]),
        (["invert.realism=-1"], ConfigError, ["invert.realism must be at least 0"]),
        (["invert.discriminator=none.safetensors"], ConfigError, ["invert.discriminator=none"]),
        (
            ["invert.discriminator={discriminator}", "invert.criterion=l2"],
            ConfigError,
            ["a criterion without realism", "invert.realism=1"],
        ),
        (
            ["invert.discriminator={discriminator}", "invert.tolerance=1"],
            ConfigError,
            ["no least value", "invert.realism=0"],
        ),
        (["invert.discriminator={coarse}"], ConfigError, ["8 pixels", "images of 16"]),
        (["invert.discriminator={stylegan2}"], CheckpointError, ["which is no discriminator"]),
        (["invert.features={photos}/notes.txt"], CheckpointError, ["notes.txt", "state dict"]),
        (["invert.features={other}"], CheckpointError, ["VGG-19", "missing: features.0.weight"]),
    ],
)
def test_what_cannot_be_inverted(
    more: list[str],
    error: type[Exception],
    words: list[str],
    generators: dict[str, Path],
    photos: Path,
    tmp_path: Path,
) -> None:
    (photos / "empty").mkdir()
    given = [each.replace("{photos}/..", f"{photos}/empty") for each in more]
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    files = {**generators, "photos": photos, "other": tmp_path / "other.pth"}
    for name, path in files.items():
        given = [each.replace(f"{{{name}}}", str(path)) for each in given]
    result = vqlso(*arguments(tmp_path / "run", generators, *given))
    assert result.exit_code == error.exit_code  # type: ignore[attr-defined]
    said(result, *words)
    assert not (tmp_path / "run").exists()


def test_a_picture_larger_than_memory(
    generators: dict[str, Path], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_pictures, "MOST_PIXELS", 1000)
    target = f"invert.target={photos / 'grey.png'}"
    said(vqlso(*arguments(tmp_path / "run", generators, target)), "40 x 30 pixels", "shrink it")


def test_no_generator_is_trained(tmp_path: Path) -> None:
    result = vqlso("run", "invert", "generator=vae", f"out={tmp_path / 'run'}")
    said(result, "trains no generator=vae", "generator.checkpoint=FILE", "generator=stylegan2")


def test_codes_have_no_length(generators: dict[str, Path], tmp_path: Path) -> None:
    more = ("solver=coordinate", "invert.norm_weight=1")
    result = vqlso(*arguments(tmp_path / "run", generators, *more, kind="vqvae"))
    said(result, "invert.norm_weight=1", "codes have no length")


@pytest.mark.parametrize("solver", ONLY_TARGETS)
def test_a_search_for_scores_refuses_what_only_inverts(solver: str, tmp_path: Path) -> None:
    result = vqlso("run", "smile_shift", f"solver={solver}", f"out={tmp_path / 'run'}")
    assert result.exit_code == ConfigError.exit_code
    said(result, f"solver={solver}", "vqlso run invert")
    assert solver not in SOLVERS


def test_settings_of_an_inversion_in_a_search(tmp_path: Path) -> None:
    result = vqlso("run", "smile_shift", "invert.tolerance=1", f"out={tmp_path / 'run'}")
    said(result, "invert.tolerance", "run invert")
