"""Files in pytorch_GAN_zoo's layout against an independent pass in NumPy; hostile ones refused."""

import pickle
import sys
import types
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vqlso.errors import CheckpointError
from vqlso.generators import load_generator
from vqlso.generators.import_gan import import_gan
from vqlso.generators.pgan.zoo import load_zoo

CHANNELS = (5, 4, 3)
LATENT = 9
GROUPS = {
    "fabric": {"order": 1, "values": ["silk", "wool", "linen"]},
    "shape": {"order": 0, "values": ["shirt", "skirt"]},
}


def zoo_weights(seed: int = 0, inner: str = ".module") -> dict[str, torch.Tensor]:
    """A random generator; biases of the size that training gives them."""
    random = torch.Generator().manual_seed(seed)
    shapes = {"formatLayer": (16 * CHANNELS[0], LATENT)}
    shapes["groupScale0.0"] = (CHANNELS[0], CHANNELS[0], 3, 3)
    for level, (before, after) in enumerate(pairwise(CHANNELS)):
        shapes[f"scaleLayers.{level}.0"] = (after, before, 3, 3)
        shapes[f"scaleLayers.{level}.1"] = (after, after, 3, 3)
    for level, channels in enumerate(CHANNELS):
        shapes[f"toRGBLayers.{level}"] = (3, channels, 1, 1)
    weights = {}
    for name, shape in shapes.items():
        weights[f"{name}{inner}.weight"] = torch.randn(shape, generator=random)
        weights[f"{name}{inner}.bias"] = torch.randn(shape[0], generator=random)
    return weights


def numpy_images(weights: dict[str, torch.Tensor], latent: np.ndarray) -> np.ndarray:
    """The network of pytorch_GAN_zoo with loops over taps, in float64."""
    w = {name.replace(".module", ""): value.double().numpy() for name, value in weights.items()}

    def layer(x: np.ndarray, name: str) -> np.ndarray:
        kernel, bias = w[f"{name}.weight"], w[f"{name}.bias"]
        gain = np.sqrt(2 / np.prod(kernel.shape[1:]))
        if kernel.ndim == 2:
            return (x @ kernel.T + bias) * gain
        margin = kernel.shape[2] // 2
        side = x.shape[2]
        padded = np.pad(x, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
        total = np.zeros((len(x), len(kernel), side, side)) + bias[:, None, None]
        for i in range(kernel.shape[2]):
            for j in range(kernel.shape[3]):
                window = padded[:, :, i : i + side, j : j + side]
                total += np.einsum("oc,nchw->nohw", kernel[:, :, i, j], window)
        return total * gain

    def norm(x: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-8)

    def activated(x: np.ndarray, name: str) -> np.ndarray:
        y = layer(x, name)
        if y.ndim == 2:
            y = y.reshape(len(y), -1, 4, 4)
        return norm(np.where(y > 0, y, 0.2 * y))

    x = activated(norm(latent), "formatLayer")
    x = activated(x, "groupScale0.0")
    for level in range(len(CHANNELS) - 1):
        x = x.repeat(2, axis=2).repeat(2, axis=3)
        x = activated(activated(x, f"scaleLayers.{level}.0"), f"scaleLayers.{level}.1")
    pixels = layer(x, f"toRGBLayers.{len(CHANNELS) - 1}")
    return np.clip((pixels + 1) / 2, 0, 1)


@pytest.fixture
def zoo_options(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An object of the class that the project's files keep their options in."""
    module = types.ModuleType("models.utils.config")
    options = type("BaseConfig", (), {"__module__": module.__name__})
    module.BaseConfig = options  # type: ignore[attr-defined]
    for name in ("models", "models.utils"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    made = options()
    made.attribKeysOrder = GROUPS
    made.alpha = 0
    made.lossCriterion = "WGANGP"
    made.leakyReluLeak = 0.2
    return made


def latents(classes: int) -> np.ndarray:
    rng = np.random.default_rng(2)
    z = rng.standard_normal((3, LATENT))
    if classes:
        z[:, 4:] = [[1, 0, 0, 1, 0], [0, 1, 1, 0, 0], [0, 1, 0, 0, 1]]
    return z


@pytest.mark.parametrize("inner", [".module", ""])
def test_a_state_dict_makes_the_images_of_an_independent_pass(inner: str, tmp_path: Path) -> None:
    weights = zoo_weights(inner=inner)
    torch.save(weights, tmp_path / "g.pth")
    pgan = load_zoo(tmp_path / "g.pth")
    assert pgan.settings.channels == CHANNELS
    assert list(pgan.spaces) == ["z"]
    images, expected = pgan.decode(latents(0)), numpy_images(weights, latents(0))
    assert ((expected > 0) & (expected < 1)).mean() > 0.2
    np.testing.assert_allclose(images, expected, atol=1e-4)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_whole_checkpoint_tells_its_classes(
    zipped: bool, zoo_options: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {"config": zoo_options, "netG": zoo_weights(1), "avgG": zoo_weights(0), "netD": {}}
    torch.save(content, tmp_path / "full.pth", _use_new_zipfile_serialization=zipped)
    # Where it is read, the project is not installed.
    monkeypatch.delitem(sys.modules, "models.utils.config")
    pgan = load_zoo(tmp_path / "full.pth", held=(1, 2))
    assert pgan.settings.classes == (2, 3)
    assert pgan.settings.z_dim == 4
    z = latents(2)
    np.testing.assert_allclose(
        pgan.decode(z, "z x class"), numpy_images(zoo_weights(0), z), atol=1e-4
    )
    np.testing.assert_array_equal(pgan.decode(z[2:, :4]), pgan.decode(z[2:], "z x class"))


@pytest.mark.parametrize("zipped", [True, False])
def test_import_gan_reads_the_same_without_pytorch_loading_it(
    zipped: bool, zoo_options: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {"config": zoo_options, "netG": zoo_weights(1), "avgG": zoo_weights(0), "netD": {}}
    torch.save(content, tmp_path / "full.pth", _use_new_zipfile_serialization=zipped)
    monkeypatch.delitem(sys.modules, "models.utils.config")
    expected = load_zoo(tmp_path / "full.pth")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("torch.load was called"))
    found = import_gan(tmp_path / "full.pth", tmp_path / "g.safetensors")
    assert (found.kind, found.notes) == ("pgan", ())
    imported = load_generator(tmp_path / "g.safetensors")
    assert imported.version == expected.version
    z = latents(2)
    torch.testing.assert_close(
        imported.decode(z, "z x class"), expected.decode(z, "z x class"), atol=1e-5, rtol=0
    )


def test_import_gan_says_that_classes_may_be_missing(tmp_path: Path) -> None:
    torch.save(zoo_weights(), tmp_path / "g.pth")
    found = import_gan(tmp_path / "g.pth", tmp_path / "without.safetensors")
    assert "--classes" in found.notes[0]
    found = import_gan(tmp_path / "g.pth", tmp_path / "with.safetensors", (5,))
    assert found.settings["classes"] == (5,)
    half = {name: value.half() for name, value in zoo_weights().items()}
    torch.save(half, tmp_path / "half.pth")
    with pytest.raises(CheckpointError, match="half precision"):
        import_gan(tmp_path / "half.pth", tmp_path / "half.safetensors")
    assert not (tmp_path / "half.safetensors").exists()


def test_classes_may_be_given_where_the_file_has_none(tmp_path: Path) -> None:
    torch.save({"netG": zoo_weights()}, tmp_path / "g.pth")
    pgan = load_zoo(tmp_path / "g.pth", classes=(5,))
    assert (pgan.settings.z_dim, pgan.settings.classes) == (4, (5,))
    z = latents(2)
    z[:, 4:] = np.eye(5)[:3]
    np.testing.assert_allclose(pgan.decode(z), numpy_images(zoo_weights(), z), atol=1e-4)


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('code of the file was run')",))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("within_options", [True, False])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_files_that_would_run_code_are_refused(
    zipped: bool, within_options: bool, zoo_options: Any, tmp_path: Path
) -> None:
    zoo_options.attribKeysOrder = Hostile()
    content = {**zoo_weights(), "config": zoo_options if within_options else Hostile()}
    torch.save(content, tmp_path / "bad.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="refused"):
        load_zoo(tmp_path / "bad.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(content))
    with pytest.raises(CheckpointError, match="refused"):
        load_zoo(tmp_path / "plain.pth")


@pytest.mark.parametrize(
    "content",
    [
        {},
        [1, 2],
        {"avgG": 3},
        {"avgG": {}},
        {"netG": {"other.weight": torch.zeros(3)}},
        {**zoo_weights(), "extra.weight": torch.zeros(3)},
        {k: v for k, v in zoo_weights().items() if not k.startswith("groupScale0")},
        {k: v for k, v in zoo_weights().items() if not k.startswith("formatLayer")},
        {**zoo_weights(), "scaleLayers.1.0.module.weight": torch.zeros(3, 4, 5, 5)},
        {**zoo_weights(), "toRGBLayers.1.module.weight": torch.zeros(3)},
        {**zoo_weights(), "formatLayer.module.weight": torch.zeros(())},
        {"netG": zoo_weights(), "config": {"attribKeysOrder": {"shape": {"order": 0}}}},
        {"netG": zoo_weights(), "config": {"attribKeysOrder": [3]}},
        {"netG": zoo_weights(), "config": {"alpha": 0.5}},
        {"netG": zoo_weights(), "config": {"perChannelNormalization": False}},
        {"netG": zoo_weights(), "config": {"lossCriterion": "DCGAN"}},
    ],
)
def test_other_files_are_refused_by_name(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=r"odd\.pth"):
        load_zoo(tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=r"odd\.pth"):
        import_gan(tmp_path / "odd.pth", tmp_path / "g.safetensors")
    assert not (tmp_path / "g.safetensors").exists()


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_zoo(tmp_path / "none.pth")
    torch.save(zoo_weights(), tmp_path / "cut.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "cut.pth").read_bytes()[:700])
    with pytest.raises(CheckpointError, match="refused"):
        load_zoo(tmp_path / "cut.pth")
