"""Public layouts of generators come back as what was put in."""

import argparse
import collections
import pickle
import sys
import types
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from gan_layouts import (
    Network,
    Weights,
    module,
    name_tensorflow_classes,
    random_state,
    rosinality_state,
    tensorflow_variables,
)
from gan_pickles import pickled
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from stylegan2_formulas import mapped

from vqlso.generators.import_gan import FoundGenerator, describe, import_gan, read_gan
from vqlso.generators.import_gan.architecture import FIR, stylegan2_settings, stylegan2_shapes
from vqlso.generators.import_gan.stylegan3_architecture import stylegan3_shapes
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.generators.stylegan3.settings import StyleGAN3Settings

TINY = StyleGAN2Settings(
    resolution=16,
    z_dim=5,
    w_dim=6,
    mapping_layers=2,
    channel_base=64,
    channel_max=8,
    conv_clamp=256.0,
)
TINY_3 = StyleGAN3Settings(
    resolution=16,
    z_dim=5,
    w_dim=6,
    c_dim=2,
    channel_base=96,
    channel_max=8,
    num_layers=4,
    margin_size=3,
)


def tiny_weights(settings: StyleGAN2Settings = TINY) -> Weights:
    """Random weights of the project's own network, filters as they are."""
    network = StyleGAN2Network(settings)
    shapes = {key: tuple(t.shape) for key, t in network.state_dict().items()}
    weights = random_state(shapes)
    return weights | {key: FIR for key in weights if key.endswith("resample_filter")}


def nvidia_file(path: Path, generator: bytes, protocol: int = 4) -> Path:
    path.write_bytes(pickled({"G": None, "D": None, "G_ema": generator}, protocol))
    return path


def assert_same(found: FoundGenerator, weights: Weights) -> None:
    assert found.state.keys() == weights.keys()
    for key, array in weights.items():
        assert found.state[key].dtype == np.float32
        np.testing.assert_array_equal(found.state[key], array, strict=True)


def test_a_stylegan2_pickle_gives_every_weight_and_number_and_runs_nothing(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    weights = tiny_weights()
    source = f"open({str(touched)!r}, 'w')\nclass Generator: pass\nclass Layer: pass\n"
    path = nvidia_file(tmp_path / "g.pkl", module("Generator", weights, source=source, clamp=256))
    found = read_gan(path)
    assert found.kind == "stylegan2"
    assert found.settings == asdict(TINY)
    assert_same(found, weights)
    assert not touched.exists()


def test_an_imported_stylegan2_is_loaded_by_the_program_itself(tmp_path: Path) -> None:
    weights = tiny_weights()
    path = nvidia_file(tmp_path / "g.pkl", module("Generator", weights, clamp=256))
    import_gan(path, tmp_path / "g.safetensors")
    loaded = StyleGAN2.load(tmp_path / "g.safetensors")
    assert loaded.settings == TINY
    for key, tensor in loaded.network.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), weights[key])


@pytest.mark.parametrize(
    ("attribute", "arguments", "expected"),
    [
        (None, {"conv_clamp": 256}, None),
        (128, {}, 128.0),
        (..., {"synthesis_kwargs": {"conv_clamp": 64.0}}, 64.0),
        (..., {"synthesis_kwargs": {}}, None),
        (..., {"conv_clamp": None}, None),
        (..., {"channel_base": 64}, 256.0),
    ],
    ids=["layer", "layer's number", "nested", "nested default", "flattened", "flattened default"],
)
def test_the_clamp_is_the_layers_own_then_the_arguments_then_the_repositorys_default(
    tmp_path: Path, attribute: object, arguments: dict[str, object], expected: float | None
) -> None:
    generator = module("Generator", tiny_weights(), arguments=arguments, clamp=attribute)
    found = read_gan(nvidia_file(tmp_path / "g.pkl", generator))
    assert found.settings["conv_clamp"] == expected


@given(
    levels=st.integers(1, 5),
    base=st.integers(1, 200),
    most=st.integers(1, 40),
    c_dim=st.integers(0, 3),
    layers=st.integers(1, 4),
)
def test_settings_inferred_from_shapes_give_these_shapes_again(
    levels: int, base: int, most: int, c_dim: int, layers: int
) -> None:
    resolution = 4 << levels
    settings = StyleGAN2Settings(resolution, 3, 2, c_dim, layers, base * resolution, most)
    shapes = stylegan2_shapes(asdict(settings))
    # Zero strides: a shape without its memory.
    state = {key: np.broadcast_to(np.float32(0), shape) for key, shape in shapes.items()}
    inferred = stylegan2_settings(state, None)
    assert stylegan2_shapes(inferred) == shapes
    assert inferred["c_dim"] == c_dim
    StyleGAN2Settings.from_dict(inferred)


@pytest.mark.parametrize("radial", [False, True], ids=["t", "r"])
def test_a_stylegan3_pickle_gives_every_weight_and_number(tmp_path: Path, radial: bool) -> None:
    changes = {"radial_filters": True, "conv_kernel": 1} if radial else {}
    settings = StyleGAN3Settings(**asdict(TINY_3) | changes)
    weights = random_state(stylegan3_shapes(settings))
    # Flattened, as StyleGAN3's repository has them; what is left out has the official default.
    arguments = {"margin_size": 3, "num_layers": 4, "channel_base": 96, "channel_max": 8}
    generator = module("Generator", weights, arguments=arguments)
    found = read_gan(nvidia_file(tmp_path / "g.pkl", generator))
    assert found.kind == ("stylegan3-r" if radial else "stylegan3-t")
    assert found.settings == asdict(settings)
    assert_same(found, weights)


def test_the_official_stylegan3_has_the_layers_of_its_published_checkpoints() -> None:
    shapes = stylegan3_shapes(StyleGAN3Settings(resolution=1024))
    names = [key.split(".")[1] for key in shapes if key.endswith("magnitude_ema")]
    # As in the names of stylegan3-t-ffhq-1024x1024.pkl.
    assert names == [
        "L0_36_512",
        "L1_36_512",
        "L2_52_512",
        "L3_52_512",
        "L4_84_512",
        "L5_148_512",
        "L6_148_512",
        "L7_276_323",
        "L8_276_203",
        "L9_532_128",
        "L10_1044_81",
        "L11_1044_51",
        "L12_1044_32",
        "L13_1024_32",
        "L14_1024_3",
    ]


class Persistent:
    """Reduces as NVIDIA's persistent modules do, once its function can be found by name."""

    def __init__(self, meta: dict[str, object]) -> None:
        self.meta = meta

    def __reduce__(self) -> tuple[object, ...]:
        return (sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (self.meta,))


def persistent(weights: dict[str, torch.Tensor]) -> Persistent:
    own = collections.OrderedDict((k, v) for k, v in weights.items() if "." not in k)
    children = collections.OrderedDict()
    for key in weights:
        child, dot, _ = key.partition(".")
        if dot and child not in children:
            inner = {
                k.partition(".")[2]: v for k, v in weights.items() if k.startswith(f"{child}.")
            }
            children[child] = persistent(inner)
    state = {
        "_parameters": {k: torch.nn.Parameter(v) for k, v in own.items() if k != "w_avg"},
        "_buffers": {k: v for k, v in own.items() if k == "w_avg"},
        "_non_persistent_buffers_set": {"passing"},
        "_modules": children,
        "_init_kwargs": {"synthesis_kwargs": {}},
        # The official layers have such attributes.
        "act_gain": np.sqrt(2),
        "size": np.broadcast_to(np.asarray(16), [2]),
        "rates": np.arange(6.0).reshape(2, 3).T,
    }
    meta = {"type": "class", "version": 6, "module_src": "", "class_name": "Generator"}
    return Persistent(meta | {"state": state})


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensors_that_torch_pickled_come_back_bit_by_bit(
    tmp_path: Path, protocol: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    persistence = types.ModuleType("torch_utils.persistence")

    def _reconstruct_persistent_obj(meta: object) -> object:
        raise AssertionError("executed")

    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    persistence._reconstruct_persistent_obj = _reconstruct_persistent_obj
    monkeypatch.setitem(sys.modules, "torch_utils", types.ModuleType("torch_utils"))
    monkeypatch.setitem(sys.modules, "torch_utils.persistence", persistence)
    weights = tiny_weights()
    tensors = {key: torch.from_numpy(array.copy()) for key, array in weights.items()}
    # Transposed in memory: strides are not those of a contiguous tensor.
    tensors["mapping.fc0.weight"] = torch.from_numpy(weights["mapping.fc0.weight"].T.copy()).T
    path = tmp_path / "g.pkl"
    path.write_bytes(pickle.dumps({"G_ema": persistent(tensors)}, protocol))
    assert_same(read_gan(path), weights)


@pytest.fixture
def _tensorflow_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    name_tensorflow_classes(monkeypatch)


def tensorflow_file(path: Path, weights: Weights, protocol: int = 4, **changes: object) -> Path:
    variables = tensorflow_variables(weights)
    components = {
        key: Network(version=4, variables=variables[key], build_module_src="raise SystemExit")
        for key in ("mapping", "synthesis")
    }
    state = {"version": 4, "static_kwargs": {"conv_clamp": 256.0}, "components": components}
    generator = Network(**(state | {"variables": variables[""]} | changes))
    path.write_bytes(pickle.dumps((generator, Network(version=4), generator), protocol))
    return path


@pytest.mark.usefixtures("_tensorflow_classes")
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_tensorflow_pickle_gives_the_same_network(tmp_path: Path, protocol: int) -> None:
    # The bias of a modulation is kept without its 1: only such sums are exact both ways.
    weights = {
        key: np.round(array * 64) / 64 if key.endswith("affine.bias") else array
        for key, array in tiny_weights().items()
    }
    found = read_gan(tensorflow_file(tmp_path / "g.pkl", weights, protocol))
    assert found.settings == asdict(TINY)
    assert_same(found, weights)


def rosinality_tensors(weights: Weights) -> collections.OrderedDict[str, torch.Tensor]:
    state = rosinality_state(weights)
    return collections.OrderedDict((k, torch.from_numpy(v.copy())) for k, v in state.items())


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_converted_checkpoint_of_rosinality_gives_the_same_network(
    tmp_path: Path, zipped: bool
) -> None:
    weights = tiny_weights()
    average = torch.from_numpy(weights["mapping.w_avg"])
    checkpoint = {"g_ema": rosinality_tensors(weights), "latent_avg": average}
    path = tmp_path / "g.pt"
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    found = read_gan(path)
    assert found.settings == asdict(TINY) | {"conv_clamp": None}
    assert found.notes == ()
    assert_same(found, weights)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_training_checkpoint_of_rosinality_has_its_mean_latent_estimated(
    tmp_path: Path, zipped: bool
) -> None:
    weights = tiny_weights()
    layer = torch.nn.Linear(2, 2)
    optimiser = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    checkpoint = {
        "g": layer.state_dict(),
        "g_ema": rosinality_tensors(weights),
        "g_optim": optimiser.state_dict(),
        "args": argparse.Namespace(size=16, lr=0.002),
        "ada_aug_p": 0.5,
    }
    path = tmp_path / "g.pt"
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    found = read_gan(path)
    assert "estimated" in found.notes[0]
    double = {key: array.astype(np.float64) for key, array in weights.items()}
    w = mapped(double, np.random.default_rng(1).standard_normal((40_000, 5)), TINY.mapping_layers)
    # Both means have standard errors; five of them.
    tolerance = 5 * np.hypot(w.std(axis=0) / 100, w.std(axis=0) / 200)
    assert (np.abs(found.state["mapping.w_avg"] - w.mean(axis=0)) < tolerance).all()
    assert_same(found, weights | {"mapping.w_avg": found.state["mapping.w_avg"]})


def test_the_written_file_holds_kind_settings_and_weights(tmp_path: Path) -> None:
    weights = tiny_weights()
    path = nvidia_file(tmp_path / "g.pkl", module("Generator", weights, clamp=None))
    found = import_gan(path, tmp_path / "new" / "g.safetensors")
    with safe_open(tmp_path / "new" / "g.safetensors", framework="np") as file:
        assert file.metadata()["kind"] == "stylegan2"
        assert set(file.keys()) == weights.keys()
    rows = dict(describe(found))
    assert rows["resolution"] == "16"
    assert rows["tensors"] == str(len(weights))


def test_the_first_network_of_a_shared_state_is_not_confused_with_the_running_mean(
    tmp_path: Path,
) -> None:
    mean, latest = tiny_weights(), random_state({k: v.shape for k, v in tiny_weights().items()}, 9)
    path = tmp_path / "g.pkl"
    networks = {"G": module("Generator", latest), "G_ema": module("Generator", mean)}
    path.write_bytes(pickled(networks))
    assert_same(read_gan(path), mean)
