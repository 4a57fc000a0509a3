"""`vqlso apply-edit`: photos and samples, one direction, several at once and in turn, mistakes."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_runs import said, vqlso

from pipeline.configuration.composition import as_yaml, composed
from pipeline.editing.applying import Directions, inverted
from pipeline.editing.files import LATENTS
from pipeline.editing.record import DIRECTION, KIND, STRIP, EditDirection
from solvers.inversion import Inversion, invert
from vqlso.errors import ConfigError, DataError, LatentSpaceError
from vqlso.generators import load_generator
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.images import to_bytes
from vqlso.objectives.face_attributes import FaceAttributes
from vqlso.objectives.factor_network import FactorNetwork

ENTRIES = 4


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with a configuration and a direction, as a run leaves them, and their networks."""
    folder = tmp_path_factory.mktemp("runs")
    with torch.random.fork_rng():
        for seed, name in enumerate(("gan", "other")):
            torch.manual_seed(seed)
            settings = StyleGAN2Settings(16, ENTRIES, ENTRIES, 0, 1, 64, 8)
            StyleGAN2(StyleGAN2Network(settings)).save(folder / f"{name}.safetensors")
        attributes = FaceAttributes(FactorNetwork(2), ["smile", "age"], 16)
    attributes.save(folder / "attributes.safetensors")
    version = load_generator(folder / "gan.safetensors").version
    made = {"smile": ("smile", "w"), "age": ("age", "w"), "layers": ("smile", "w+")}
    for place, (name, (attribute, space)) in enumerate(made.items()):
        (folder / name).mkdir()
        shape = load_generator(folder / "gan.safetensors").spaces[space].shape
        d = np.random.default_rng(place).standard_normal(shape)
        direction = EditDirection(d, attribute, space, version)
        (folder / name / DIRECTION).write_bytes(direction.content)
        config = composed(
            "edit_smile",
            [
                f"generator.checkpoint={folder / 'gan.safetensors'}",
                f"edit.regressor={folder / 'attributes.safetensors'}",
            ],
        )
        (folder / name / "config.yaml").write_text(as_yaml(config))
    return folder


def applied(out: Path, *arguments: Any) -> dict[str, Any]:
    result = vqlso("apply-edit", *arguments, "--out", out, "--threads", "1", "--json")
    assert result.exit_code == 0, result.output
    facts: dict[str, Any] = json.loads(result.stdout)
    return facts


def latents(out: Path) -> tuple[np.ndarray, np.ndarray]:
    with safe_open(out / LATENTS, framework="np") as file:
        return file.get_tensor("original"), file.get_tensor("edited")


def vector(runs: Path, name: str) -> np.ndarray:
    return EditDirection.read(runs / name).d


def test_samples_by_every_strength(runs: Path, tmp_path: Path) -> None:
    facts = applied(tmp_path, runs / "smile", "--samples", 3, "-s", -1, "-s", 0.5)
    original, edited = latents(tmp_path)
    assert original.shape == (3, ENTRIES)
    for column, strength in enumerate((-1, 0.5)):
        expected = original + strength * vector(runs, "smile")
        np.testing.assert_allclose(edited[:, column], expected)
    assert len(facts["edited"]) == 6
    generator = load_generator(runs / "gan.safetensors")
    shown = to_bytes(generator.decode(edited[2, 1][None], "w"))[0].transpose(1, 2, 0)
    with Image.open(facts["edited"][-1]) as picture, Image.open(tmp_path / STRIP) as strip:
        np.testing.assert_array_equal(np.asarray(picture), shown)
        assert strip.width == strip.height  # three samples; original and two edits
    again = applied(tmp_path / "again", runs / "smile", "--samples", 3)
    assert again["strengths"] == [1.0]
    np.testing.assert_array_equal(latents(tmp_path / "again")[0], original)


def test_a_photo_is_inverted_first(runs: Path, tmp_path: Path) -> None:
    generator = load_generator(runs / "gan.safetensors")
    w = generator.spaces["w"].sample(1, np.random.default_rng(8))
    picture = to_bytes(generator.decode(w, "w"))[0].transpose(1, 2, 0)
    Image.fromarray(picture).save(tmp_path / "photo.png")
    facts = applied(
        tmp_path / "out", runs / "smile", "--image", tmp_path / "photo.png", "--evaluations", 60
    )
    original, edited = latents(tmp_path / "out")
    np.testing.assert_allclose(edited[0, 0] - original[0], vector(runs, "smile"))
    assert [Path(each).name for each in facts["edited"]] == ["edited.png"]
    with Image.open(tmp_path / "out" / STRIP) as strip:
        assert strip.width == pytest.approx(3 * strip.height, rel=0.05)
    fewer = applied(
        tmp_path / "fewer", runs / "smile", "--image", tmp_path / "photo.png", "--evaluations", 17
    )
    assert 0 <= facts["criterion"] < fewer["criterion"]


@pytest.mark.parametrize("space", ["z", "w", "w+", "s"])
def test_a_photo_is_sought_among_what_z_leads_to(
    space: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = load_generator(runs / "gan.safetensors")
    d = np.zeros(generator.spaces[space].shape)
    (tmp_path / DIRECTION).write_bytes(EditDirection(d, "smile", space, generator.version).content)
    Image.new("RGB", (20, 20), "brown").save(tmp_path / "photo.png")
    found = []

    def kept(*given: Any, **more: Any) -> Inversion:
        found.append(invert(*given, **more))
        return found[-1]

    monkeypatch.setattr("pipeline.editing.applying.invert", kept)
    directions = Directions.read([tmp_path / DIRECTION], runs / "gan.safetensors")
    subject = inverted(tmp_path / "photo.png", directions, evaluations=20)
    assert subject.latents.shape == (1, *generator.spaces[space].shape)
    np.testing.assert_allclose(
        generator.decode(subject.latents, space), generator.decode(found[0].z, "z"), atol=1e-5
    )


def test_several_directions_at_once(runs: Path, tmp_path: Path) -> None:
    both = (runs / "smile", runs / "age" / DIRECTION)
    facts = applied(tmp_path, *both, "--samples", 2, "-s", 1, "-s", -2)
    original, edited = latents(tmp_path)
    expected = original + vector(runs, "smile") - 2 * vector(runs, "age")
    np.testing.assert_allclose(edited, expected[:, None])
    assert facts["attributes"] == ["smile", "age"]


def test_in_turn_each_starts_from_what_the_one_before_has_left(runs: Path, tmp_path: Path) -> None:
    applied(
        tmp_path, runs / "smile", runs / "age", "--samples", 2, "-s", 0.9, "-s", 0.1, "--in-turn"
    )
    original, edited = latents(tmp_path)
    attributes = FaceAttributes.load(runs / "attributes.safetensors")
    generator = load_generator(runs / "gan.safetensors")
    before = original
    for stage, (name, level) in enumerate((("smile", 0.9), ("age", 0.1))):
        own = attributes.attribute(name)(generator.decode(before, "w"))
        before = before + np.outer(level - own, vector(runs, name))
        np.testing.assert_allclose(edited[:, stage], before, rtol=1e-5, atol=1e-7)


def test_a_file_alone_takes_the_generator_that_is_given(runs: Path, tmp_path: Path) -> None:
    file = tmp_path / "alone.safetensors"
    file.write_bytes((runs / "layers" / DIRECTION).read_bytes())
    given = ("--generator", runs / "gan.safetensors", "--samples", 1)
    applied(tmp_path / "out", file, *given)
    assert latents(tmp_path / "out")[1].shape == (1, 1, *vector(runs, "layers").shape)
    said(vqlso("apply-edit", file, "--samples", "1", "--out", tmp_path / "no"), "found for")


FUNCTION = "handed_over:bright"


@pytest.fixture
def handed_over(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A direction alone whose header names a function, and the function where it is found."""
    (tmp_path / "handed_over.py").write_text("bright = lambda images: images.mean((1, 2, 3))")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "handed_over", raising=False)
    known = EditDirection.read(runs / "smile")
    (tmp_path / "run").mkdir()
    made = tmp_path / "run" / DIRECTION
    made.write_bytes(replace(known, attribute=FUNCTION).content)
    return made


def settled(runs: Path, file: Path, *edit: str) -> None:
    config = composed("edit_smile", [f"generator.checkpoint={runs / 'gan.safetensors'}", *edit])
    file.write_text(as_yaml(config))


@pytest.mark.parametrize("configured", [False, True])
def test_a_function_that_only_a_header_names_is_not_imported(
    configured: bool, runs: Path, handed_over: Path, tmp_path: Path
) -> None:
    if configured:
        settled(runs, handed_over.parent / "config.yaml", "edit.attribute=handed_over:dark")
    given = ("--generator", runs / "gan.safetensors", "--samples", 1, "--in-turn")
    result = vqlso("apply-edit", handed_over, *given, "--out", tmp_path / "out")
    assert result.exit_code == ConfigError.exit_code
    said(result, FUNCTION, "edit.attribute or edit.keep", "leave --in-turn out")
    assert "handed_over" not in sys.modules


@pytest.mark.parametrize("kept", [False, True])
def test_a_function_that_the_run_names_is_imported(
    kept: bool, runs: Path, handed_over: Path, tmp_path: Path
) -> None:
    config = handed_over.parent / "config.yaml"
    settled(runs, config, f"edit.keep=[{FUNCTION}]" if kept else f"edit.attribute={FUNCTION}")
    given = handed_over
    if kept:
        given = handed_over.parent / "keep" / FUNCTION.replace(":", ".") / DIRECTION
        given.parent.mkdir(parents=True)
        handed_over.rename(given)
    generator = ("--generator", runs / "gan.safetensors")
    applied(tmp_path / "out", given, *generator, "--samples", 2, "-s", 0.9, "--in-turn")
    original, edited = latents(tmp_path / "out")
    levels = load_generator(runs / "gan.safetensors").decode(original, "w").mean((1, 2, 3))
    expected = original + np.outer(0.9 - levels.numpy(), EditDirection.read(given).d)
    np.testing.assert_allclose(edited[:, 0], expected, rtol=1e-5, atol=1e-6)


def test_earlier_results_are_never_overwritten(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = {}
    for strength in ("1", "2"):
        given = ("--samples", "1", "-s", strength, "--threads", "1", "--json")
        result = vqlso("apply-edit", runs / "smile", *given)
        assert result.exit_code == 0, result.output
        folder = Path(json.loads(result.stdout)["strip"]).parent
        made[folder.name] = latents(folder)[1]
    assert list(made) == ["edited", "edited-2"]
    np.testing.assert_array_equal(latents(Path("edited"))[1], made["edited"])
    result = vqlso("apply-edit", runs / "smile", "--samples", "1", "--out", "edited")
    assert result.exit_code == DataError.exit_code
    said(result, "edited holds the results", "choose another --out")


@pytest.mark.parametrize(
    ("d", "words"),
    [
        (torch.ones(ENTRIES, dtype=torch.bfloat16), "type BF16"),
        (torch.ones(ENTRIES, dtype=torch.int64), "type I64"),
        (torch.tensor(1.0), "shape ()"),
        (torch.ones(0), "shape (0,)"),
        (torch.tensor([0.0, torch.nan]), "not finite"),
        (torch.tensor([0.0, -torch.inf]), "not finite"),
        (torch.tensor([1e200, 1e200], dtype=torch.float64), "too large"),
        (torch.tensor([3e38, 3e38]), "too large"),
    ],
)
def test_a_vector_that_cannot_be_added(d: torch.Tensor, words: str, tmp_path: Path) -> None:
    header = {"kind": KIND, "attribute": "smile", "space": "w", "generator": "0"}
    save_file({"d": d}, tmp_path / DIRECTION, header)
    with pytest.raises(DataError) as error:
        EditDirection.read(tmp_path)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["{smile}"], ConfigError, ["--image PHOTO or --samples N"]),
        (["{smile}", "--samples", "1", "--image", "x.png"], ConfigError, ["either"]),
        (["{here}", "--samples", "1"], DataError, ["no edit direction at", "edit_smile"]),
        (["{gan}", "--samples", "1"], DataError, ["holds no edit direction"]),
        (["{text}", "--samples", "1"], DataError, ["not a readable edit direction"]),
        (["{smile}", "--image", "none.png"], DataError, ["none.png", "path of the photo"]),
        (["{smile}", "--image", "{text}"], DataError, ["The photo", "cannot be read as"]),
        (
            ["{smile}", "--samples", "1", "--generator", "{other}"],
            LatentSpaceError,
            ["'smile'", "found for generator"],
        ),
        (["{smile}", "{layers}", "--samples", "1"], LatentSpaceError, ["'w+'", "'w'"]),
        (["{smile}", "{age}", "--samples", "1", "-s", "1"], ConfigError, ["2 directions", "got 1"]),
        (
            ["{smile}", "--samples", "1", "-s", "0", "-s", "1", "--in-turn"],
            ConfigError,
            ["With --in-turn", "level from 0 to 1", "2 for 1 direction:", "leave --in-turn out"],
        ),
        (
            ["{smile}", "--image", "{photo}", "--evaluations", "9"],
            ConfigError,
            ["more than the 16"],
        ),
    ],
)
def test_what_cannot_be_edited(
    arguments: list[str], error: Any, words: list[str], runs: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("no picture, no direction")
    Image.new("RGB", (20, 20)).save(tmp_path / "photo.png")
    paths = {name: runs / name for name in ("smile", "age", "layers")}
    paths |= {name: runs / f"{name}.safetensors" for name in ("gan", "other")}
    paths |= {"here": tmp_path, "text": tmp_path / "notes.txt", "photo": tmp_path / "photo.png"}
    given = [each.format_map(paths) for each in arguments]
    result = vqlso("apply-edit", *given, "--out", tmp_path / "out")
    assert result.exit_code == error.exit_code, result.output
    said(result, *words)
    assert not (tmp_path / "out").exists()
