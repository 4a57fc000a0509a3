"""Edit directions as an experiment: every solver, what it leaves, resuming, keeping, mistakes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_runs import events, figures, said, vqlso

from pipeline.commands.terminal import INTERRUPTED
from pipeline.editing.record import COURSE, DIRECTION, FOUND, STRIP, EditDirection
from pipeline.parts.direction_solvers import DIRECTION_SOLVERS
from pipeline.runs.folder import RunFolder
from vqlso.errors import ConfigError, DataError, LatentSpaceError, ObjectiveError
from vqlso.generators import load_generator
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings
from vqlso.objectives.face_attributes import FaceAttributes
from vqlso.objectives.face_identity import ProceduralIdentity
from vqlso.objectives.factor_network import FactorNetwork
from vqlso.problems.direction import Direction

SMALL = (
    "threads=1",
    "queries=96",
    "edit.anchors=2",
    "edit.longest=1",
    "edit.judges=10",
    "edit.originals=4",
    "edit.faces=2",
)
SAMPLED = "solver.samples=20"
CALLABLES = """
import numpy as np

calls = 0

def blue(images):
    return images[:, 2].mean((1, 2))

def contrast(images):
    return 100 * images.std((1, 2, 3))

def broken(images):
    raise RuntimeError("no answer")
"""


def stylegan(seed: int) -> StyleGAN2:
    torch.manual_seed(seed)
    return StyleGAN2(StyleGAN2Network(StyleGAN2Settings(16, 4, 4, 0, 1, 64, 8)))


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of untrained networks for 16 pixels."""
    folder = tmp_path_factory.mktemp("networks")
    with torch.random.fork_rng():
        made: dict[str, Any] = {"gan": stylegan(0), "other": stylegan(1)}
        made["codes"] = VQVAE(VQVAENetwork(VQVAESettings(16, 2, 8, 4, 1)))
        names = ("smile", "glasses", "age")
        made["attributes"] = FaceAttributes(FactorNetwork(len(names)), names, 16)
        made["wide"] = FaceAttributes(FactorNetwork(1), ["smile"], 32)
        made["identity"] = ProceduralIdentity(FactorNetwork(5), 5, 16)
    for name, network in made.items():
        network.save(folder / f"{name}.safetensors")
    return {name: folder / f"{name}.safetensors" for name in made}


@pytest.fixture(autouse=True)
def callables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_attributes.py").write_text(CALLABLES)
    monkeypatch.syspath_prepend(str(tmp_path))


def arguments(out: Path, networks: dict[str, Path], *more: str) -> Sequence[str]:
    given = {
        "generator.checkpoint": networks["gan"],
        "edit.regressor": networks["attributes"],
        "edit.identity": networks["identity"],
    }
    keys = {each.partition("=")[0] for each in more}
    files = [f"{key}={path}" for key, path in given.items() if key not in keys]
    kept = [each for each in SMALL if each.partition("=")[0] not in keys]
    return ["run", "edit_smile", *files, *kept, *more, f"out={out}"]


def found(out: Path, networks: dict[str, Path], *more: str) -> RunFolder:
    result = vqlso(*arguments(out, networks, *more))
    assert result.exit_code == 0, result.output
    return RunFolder.existing(out)


@pytest.fixture(scope="module")
def smile(networks: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run. Not to be changed."""
    return found(tmp_path_factory.mktemp("smile") / "run", networks)


def configured(kind: str) -> list[str]:
    part = DIRECTION_SOLVERS[kind]
    if part.needs:
        pytest.importorskip(part.needs)
    if kind in ("interfacegan", "mean_difference", "linear_fit"):
        return [f"solver={kind}", SAMPLED]
    return [f"solver={kind}", *(["queries=500"] if kind == "enjoy_editing" else [])]


@pytest.mark.parametrize("solver", DIRECTION_SOLVERS)
def test_every_solver_runs(solver: str, networks: dict[str, Path], tmp_path: Path) -> None:
    folder = found(tmp_path / "run", networks, *configured(solver))
    summary = folder.read_json("summary.json")
    direction = EditDirection.read(folder.path)
    assert 0 < direction.length <= 1 + 1e-9
    assert summary["length"] == pytest.approx(direction.length)
    assert summary["queries"] <= (500 if solver == "enjoy_editing" else 96)
    assert summary["failures"] == 0
    course = folder.read_arrays(COURSE)
    assert (np.diff(course["images"]) >= 0).all()
    assert course["images"][-1] == summary["queries"]


def test_what_it_leaves(smile: RunFolder, networks: dict[str, Path]) -> None:
    generator = load_generator(networks["gan"], truncation_psi=0.7)
    attributes = FaceAttributes.load(networks["attributes"])
    direction = EditDirection.read(smile.path / DIRECTION)
    assert (direction.space, direction.attribute) == ("w", "smile")
    assert direction.version == generator.version
    problem = Direction(generator, attributes.attribute("smile"), longest=1.0)
    effect = problem.effect(direction.d, anchors=10, seed=0)
    summary = smile.read_json("summary.json")
    assert summary["effect"] == pytest.approx(effect.change, rel=1e-5)
    assert summary["raised"] == pytest.approx(effect.raised, rel=1e-5)
    assert [each["attribute"] for each in summary["changes"]] == ["smile", "glasses", "age"]
    assert summary["quality"]["edits"] == 4 * 10
    assert summary["identity"] <= 1
    with Image.open(smile.path / STRIP) as strip:
        assert 3 * strip.height == pytest.approx(2 * strip.width, rel=0.02)  # 2 faces, 3 strengths
    page = smile.report.read_text()
    for section in ("strip", "figures", "charts", "quality", "reproduce"):
        assert f'id="{section}"' in page
    assert 'id="kept"' not in page


@pytest.mark.parametrize(
    ("more", "at"),
    [(("solver=interfacegan", SAMPLED), 3), (("edit.keep=[age]",), 26)],
)
def test_an_interrupted_search_ends_as_if_it_had_not_been(
    more: tuple[str, ...],
    at: int,
    networks: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.editing.search.LINE", 16)
    whole = found(tmp_path / "whole", networks, *more)
    calls, interrupted = [], Direction.evaluate
    effect = Direction.effect

    def evaluate(self: Direction, *given: Any) -> Any:
        calls.append(self)
        if len(calls) == at:
            raise KeyboardInterrupt
        return interrupted(self, *given)

    def measure(self: Direction, *given: Any, **more: Any) -> Any:
        if len(calls) < at:
            raise KeyboardInterrupt
        return effect(self, *given, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Direction, "evaluate", evaluate)
        patched.setattr(Direction, "effect", measure)
        stopped = vqlso(*arguments(tmp_path / "run", networks, *more))
    assert stopped.exit_code == INTERRUPTED
    assert vqlso("report", tmp_path / "run").exit_code == 0
    assert 'id="unfinished"' in (tmp_path / "run" / "report.html").read_text()
    resumed = vqlso("resume", tmp_path / "run")
    assert resumed.exit_code == 0, resumed.output
    folder = RunFolder.existing(tmp_path / "run")
    assert events(folder) == events(whole)
    assert figures(folder) == figures(whole)
    for name in (STRIP, COURSE):
        assert (folder.path / name).read_bytes() == (whole.path / name).read_bytes(), name
    ends = [EditDirection.read(each.path).d for each in (folder, whole)]
    np.testing.assert_array_equal(*ends)


def test_what_is_kept_is_at_a_right_angle(networks: dict[str, Path], tmp_path: Path) -> None:
    before = found(tmp_path / "age", networks, "edit.attribute=age")
    keep = f"edit.keep=[glasses,{before.path}]"
    folder = found(tmp_path / "run", networks, keep)
    own = EditDirection.read(folder.path / "keep" / "glasses")
    assert own.attribute == "glasses"
    conditional = EditDirection.read(folder.path).d
    for kept in (own.d, EditDirection.read(before.path).d):
        assert conditional @ kept == pytest.approx(0, abs=1e-9)
        assert abs(EditDirection.read(folder.path / FOUND).d @ kept) > 1e-6
    summary = folder.read_json("summary.json")
    assert [each["attribute"] for each in summary["kept"]] == ["glasses", "age"]
    assert summary["queries"] == 2 * 96
    assert 'id="kept"' in folder.report.read_text()


def test_a_function_without_gradients(networks: dict[str, Path], tmp_path: Path) -> None:
    folder = found(tmp_path / "run", networks, "edit.attribute=own_attributes:blue")
    summary = folder.read_json("summary.json")
    assert summary["attribute"] == "own_attributes:blue"
    assert summary["effect"] > 0
    names = [each["attribute"] for each in summary["changes"]]
    assert names == ["own_attributes:blue", "smile", "glasses", "age"]
    assert summary["changes"][0]["directed"] > 0
    assert summary["quality"]["edits"] == 40


def test_levels_of_another_scale_have_no_buckets(networks: dict[str, Path], tmp_path: Path) -> None:
    folder = found(tmp_path / "run", networks, "edit.attribute=own_attributes:contrast")
    summary = folder.read_json("summary.json")
    assert summary["quality"] is None
    assert "levels from 0 to 1" in folder.report.read_text()


def test_a_function_that_always_fails_ends_the_run(
    networks: dict[str, Path], tmp_path: Path
) -> None:
    result = vqlso(*arguments(tmp_path / "run", networks, "edit.attribute=own_attributes:broken"))
    assert result.exit_code == ObjectiveError.exit_code
    said(result, "failed 20 times in a row", "no answer")


def test_a_resumed_run_has_the_same_attribute(networks: dict[str, Path], tmp_path: Path) -> None:
    folder = found(tmp_path / "run", networks)
    folder.summary.unlink()
    folder.write_json("edit.json", folder.read_json("edit.json") | {"source": "another"})
    said(vqlso("resume", folder.path), "another source", "out=DIR")


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        (["edit.attribute=smirk"], ConfigError, ["smirk", "smile, glasses, age"]),
        (["edit.attribute=nowhere:function"], ConfigError, ["nowhere"]),
        (["edit.regressor={wide}"], DataError, ["32 x 32", "16 x 16"]),
        (["edit.regressor={gan}"], Exception, ["face attributes"]),
        (["edit.regressor=none.safetensors"], ConfigError, ["edit.regressor"]),
        (["edit.keep=[hats]"], ConfigError, ["hats"]),
        (["edit.keep=[{gan}]"], DataError, ["no edit direction"]),
        (["edit.keep=[age,glasses,age]"], ConfigError, ["edit.keep", "'age' twice"]),
        (["edit.keep=[age,smile]"], ConfigError, ["edit.keep", "'smile'", "what is edited"]),
        (["solver=lbfgs"], ConfigError, ["finds no edit direction", "direction_search"]),
        (["solver=interfacegan", "batch=3"], ConfigError, ["batch=3", "leave batch out"]),
        (["solver=interfacegan"], ConfigError, ["1002 images", "solver.samples or edit.anchors"]),
        (["queries=3"], ConfigError, ["do not pay for one proposal", "or fewer edit.anchors"]),
        (["solver=direction_search", SAMPLED], ConfigError, ["solver.samples", "interfacegan"]),
        (["solver.loss=squared_error"], ConfigError, ["solver.loss", "enjoy_editing"]),
        (
            ["solver=enjoy_editing", "queries=500", "edit.attribute=own_attributes:blue"],
            ConfigError,
            ["needs gradients", "local search"],
        ),
        (
            ["solver=enjoy_editing", "queries=500", "solver.content=none.pth"],
            ConfigError,
            ["none.pth", "vgg19"],
        ),
        (["data.size=32"], ConfigError, ["data.size", "edit_smile"]),
        (["edit.longest=0"], ConfigError, ["edit.longest must be above 0"]),
        (["generator=vqvae", "generator.checkpoint={codes}"], ConfigError, ["codes", "stylegan2"]),
        (["invert.samples=2"], ConfigError, ["invert.samples", "run invert"]),
    ],
)
def test_what_cannot_be_found(
    more: list[str],
    error: type[Any],
    words: list[str],
    networks: dict[str, Path],
    tmp_path: Path,
) -> None:
    given = [each.format_map(networks) for each in more]
    result = vqlso(*arguments(tmp_path / "run", networks, *given))
    if error is not Exception:
        assert result.exit_code == error.exit_code, result.output
    said(result, *words)
    assert not (tmp_path / "run").exists()


def test_settings_of_an_edit_in_a_search(tmp_path: Path) -> None:
    result = vqlso("run", "smile_shift", "edit.longest=1", f"out={tmp_path / 'run'}")
    said(result, "edit.longest", "run edit_smile")


def test_a_direction_of_another_generator(
    smile: RunFolder, networks: dict[str, Path], tmp_path: Path
) -> None:
    more = (f"generator.checkpoint={networks['other']}", f"edit.keep=[{smile.path}]")
    result = vqlso(*arguments(tmp_path / "run", networks, *more))
    assert result.exit_code == LatentSpaceError.exit_code
    said(result, "'smile'", load_generator(networks["gan"]).version)
