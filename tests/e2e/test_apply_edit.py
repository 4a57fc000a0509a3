"""`vqlso apply-edit`: photos and samples, one direction, several at once and in turn, mistakes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from tiny_runs import said, vqlso

from pipeline.applying import LATENTS
from pipeline.configuration import as_yaml, composed
from pipeline.tasks.editing_record import DIRECTION, STRIP, EditDirection
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


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["{smile}"], ConfigError, ["--image PHOTO or --samples N"]),
        (["{smile}", "--samples", "1", "--image", "x.png"], ConfigError, ["either"]),
        (["{here}", "--samples", "1"], DataError, ["no edit direction at", "edit_smile"]),
        (["{gan}", "--samples", "1"], DataError, ["holds no edit direction"]),
        (["{text}", "--samples", "1"], DataError, ["not a readable edit direction"]),
        (["{smile}", "--image", "none.png"], DataError, ["none.png"]),
        (["{smile}", "--image", "{text}"], DataError, ["cannot be read as a picture"]),
        (
            ["{smile}", "--samples", "1", "--generator", "{other}"],
            LatentSpaceError,
            ["'smile'", "found for generator"],
        ),
        (["{smile}", "{layers}", "--samples", "1"], LatentSpaceError, ["'w+'", "'w'"]),
        (["{smile}", "{age}", "--samples", "1", "-s", "1"], ConfigError, ["2 directions", "got 1"]),
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
