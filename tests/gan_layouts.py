"""Tiny generators in the layouts of the public checkpoints."""

import sys
import types

import numpy as np
import pytest
from gan_pickles import Code, call, code, name, parameter, tensor

BUFFERS = (
    "w_avg",
    "noise_const",
    "resample_filter",
    "transform",
    "freqs",
    "phases",
    "magnitude_ema",
    "up_filter",
    "down_filter",
)
Weights = dict[str, np.ndarray]


def module(
    class_name: str,
    weights: Weights,
    *,
    source: str = "",
    arguments: dict[str, object] | None = None,
    clamp: object = ...,
    version: int = 6,
    write=tensor,
) -> Code:
    """A module in the layout of NVIDIA's persistence; dots in the names make submodules.

    Args:
        class_name: of the outermost module.
        weights: by the names of a state dict.
        source: of the class, embedded in every module.
        arguments: with which the outermost was made.
        clamp: an attribute `conv_clamp` of every submodule with a style.
        version: of the layout.
        write: the opcodes of a tensor.
    """
    own = {key: array for key, array in weights.items() if "." not in key}
    children = {key.partition(".")[0]: {} for key in weights if "." in key}
    for key, array in weights.items():
        if "." in key:
            child, _, rest = key.partition(".")
            children[child][rest] = array
    state: dict[str, object] = {
        "training": False,
        "_parameters": {k: parameter(a) for k, a in own.items() if k not in BUFFERS},
        "_buffers": {k: write(a) for k, a in own.items() if k in BUFFERS} | {"absent": None},
        "_non_persistent_buffers_set": call(name("builtins", "set"), ["passing"]),
        "_modules": {
            key: module("Layer", inner, source=source, clamp=clamp, version=version, write=write)
            for key, inner in children.items()
        },
        "_init_args": (),
        "_init_kwargs": Code(
            name("dnnlib.util", "EasyDict") + b")\x81" + code(arguments or {})[1:]
        ),
    }
    if clamp is not ... and "affine" in children:
        state["conv_clamp"] = clamp
    meta = {
        "type": "class",
        "version": version,
        "module_src": source,
        "class_name": class_name,
        "state": state,
    }
    return call(name("torch_utils.persistence", "_reconstruct_persistent_obj"), meta)


def random_state(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> Weights:
    rng = np.random.default_rng(seed)
    return {key: rng.standard_normal(shape).astype(np.float32) for key, shape in shapes.items()}


# Rosinality's name of a layer's part for each of NVIDIA's.
ROSINALITY_PARTS = {
    "weight": "conv.weight",
    "affine.weight": "conv.modulation.weight",
    "affine.bias": "conv.modulation.bias",
    "bias": "activate.bias",
    "noise_strength": "noise.weight",
}


def rosinality_state(weights: Weights) -> Weights:
    """A state dict of rosinality's generator from one of NVIDIA's, without `mapping.w_avg`."""
    renamed: Weights = {}
    fir = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 16
    for key, array in weights.items():
        parts = key.split(".")
        if parts[0] == "mapping" and parts[1] != "w_avg":
            renamed[f"style.{int(parts[1][2:]) + 1}.{parts[2]}"] = array
        elif parts[-1] == "const":
            renamed["input.input"] = array[None]
        elif parts[0] == "synthesis" and parts[-1] != "resample_filter":
            level = int(parts[1][1:]).bit_length() - 1
            rest = ".".join(parts[3:])
            if parts[2] == "torgb":
                prefix = "to_rgb1" if level == 2 else f"to_rgbs.{level - 3}"
                part = "bias" if rest == "bias" else ROSINALITY_PARTS[rest]
                if rest == "bias":
                    array = array.reshape(1, 3, 1, 1)
                if level > 2:
                    renamed[f"{prefix}.upsample.kernel"] = fir
            else:
                index = 2 * (level - 3) + int(parts[2][4:])
                prefix = "conv1" if level == 2 else f"convs.{index}"
                if rest == "noise_const":
                    renamed[f"noises.noise_{index + 1}"] = array[None, None]
                    continue
                part = ROSINALITY_PARTS[rest]
                if parts[2] == "conv0":
                    renamed[f"{prefix}.conv.blur.kernel"] = fir
            if rest == "weight":
                array = array[None]
            renamed[f"{prefix}.{part}"] = array.reshape(1) if array.ndim == 0 else array
    return renamed


def tensorflow_variables(weights: Weights) -> dict[str, list[tuple[str, np.ndarray]]]:
    """Variables of NVIDIA's TensorFlow networks: "" for Gs, and its two components."""
    variables: dict[str, list[tuple[str, np.ndarray]]] = {"": [], "mapping": [], "synthesis": []}
    for key, array in weights.items():
        parts = key.split(".")
        if key == "mapping.w_avg":
            variables[""].append(("dlatent_avg", array))
        elif parts[0] == "mapping":
            variables["mapping"].append((f"Dense{parts[1][2:]}/{parts[2]}", array.T))
        elif parts[-1] == "const":
            variables["synthesis"].append(("4x4/Const/const", array[None]))
        elif parts[-1] == "noise_const":
            level = int(parts[1][1:]).bit_length() - 1
            index = 2 * level - (5 if parts[2] == "conv0" else 4)
            variables["synthesis"].append((f"noise{index}", array[None, None]))
        elif parts[-1] != "resample_filter":
            side = parts[1][1:]
            layer = {"conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB"}[parts[2]]
            layer = "Conv" if (side, parts[2]) == ("4", "conv1") else layer
            rest = ".".join(parts[3:]).replace("affine.", "mod_")
            if rest == "weight":
                array = array.transpose(2, 3, 1, 0)
                array = array[::-1, ::-1] if parts[2] == "conv0" else array
            elif rest == "mod_weight":
                array = array.T
            elif rest == "mod_bias":
                array = array - np.float32(1)
            variables["synthesis"].append((f"{side}x{side}/{layer}/{rest}", array))
    return variables


class Network:
    """Pickles as a network of NVIDIA's TensorFlow library does."""

    def __init__(self, **state: object) -> None:
        self.__dict__.update(state)


Network.__module__ = "dnnlib.tflib.network"


def name_tensorflow_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pickle find `Network` under its name."""
    fake = types.ModuleType("dnnlib.tflib.network")
    fake.Network = Network
    for parent in ("dnnlib", "dnnlib.tflib"):
        monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
    monkeypatch.setitem(sys.modules, "dnnlib.tflib.network", fake)
