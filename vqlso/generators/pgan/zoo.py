"""Generators of the paper's own code, pytorch_GAN_zoo, from files that `torch.save` wrote.

Its layers differ in one thing: the bias is scaled together with the weights. Its networks have
`formatLayer`, `groupScale0.0`, `scaleLayers.{l}.{0, 1}` and `toRGBLayers.{l}`; each holds its
tensors under `module` or, in older files, directly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vqlso.checkpoints import load_state
from vqlso.errors import CheckpointError, ConfigError
from vqlso.generators.pgan.generator import PGAN
from vqlso.generators.pgan.network import PGANNetwork
from vqlso.generators.pgan.settings import COARSEST, PGANSettings
from vqlso.generators.pgan.zoo_names import FIRST_LAYER, NETWORKS
from vqlso.generators.stylegan2.layers import GAIN, LEAK, fir_filter

# The class that its files keep their options in.
OPTIONS = "models.utils.config.BaseConfig"
LARGEST = 16384
# What a file's options must say, where they say anything: the architecture that is read here. With
# another loss images go through a tanh; alpha is the share of the coarser image, here 0.
READ = {
    "perChannelNormalization": ("True",),
    "equalizedlR": ("True",),
    "leakyReluLeak": (str(LEAK),),
    "lossCriterion": ("WGANGP", "Logistic"),
    "alpha": ("0", "0.0"),
}


class _Options:
    """Stands for `OPTIONS`: plain values, and nothing that could run."""


def load_zoo(path: Path, *, classes: tuple[int, ...] | None = None, **options: Any) -> PGAN:
    """The generator in a file of pytorch_GAN_zoo; no code of the file is run.

    Args:
        path: a checkpoint with `avgG` or `netG`, or the state dict of a generator alone.
        classes: how many classes each group has; None takes them from the file's options, or none
            where it has no options.
        options: keywords of `PGAN`, such as `held`.

    Raises:
        CheckpointError: the file is missing, damaged, contains more than tensors and options, or
            holds another network.
        ConfigError: as in `PGAN`.
    """
    content = _read(path)
    found = generator_of(content)
    if not isinstance(found, Mapping):
        raise CheckpointError(f"{path} holds a {type(found).__name__} instead of a state dict.")
    network = zoo_network(found, _options(content), path, classes)
    return PGAN(network, **options)


def generator_of(content: Mapping[str, Any]) -> Any:
    """The state dict of the generator in a checkpoint, which may be nothing else."""
    return next((content[name] for name in NETWORKS if name in content), content)


def zoo_network(
    state_dict: Mapping[str, Any],
    values: Mapping[str, Any],
    path: Path,
    classes: tuple[int, ...] | None,
) -> PGANNetwork:
    """The network of a state dict in pytorch_GAN_zoo's names.

    Args:
        state_dict: of a generator; what is no tensor is passed by.
        values: the file's options; empty where it has none.
        path: of the file, for messages.
        classes: as in `load_zoo`.

    Raises:
        CheckpointError: it is another network.
    """
    _require_read(values, path)
    groups = _groups(values, path) if classes is None else classes
    weights = _plain_names(state_dict)
    settings = _settings(weights, groups, path)
    with torch.device("meta"):
        network = PGANNetwork(settings)
    # Low-pass filters are in our layers only, and fixed.
    filters = {name: fir_filter() for name, _ in network.named_buffers()}
    state = _translated(weights, settings.levels) | filters
    load_state(network, state, str(path), "a PGAN of pytorch_GAN_zoo", assign=True)
    return network


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint at {path}. Give the path of a .pth file.")
    try:
        with torch.serialization.safe_globals([(_Options, OPTIONS)]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile pickle can raise nearly anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint of pytorch_GAN_zoo ({reason}). It is damaged, "
            "not a PyTorch file, or contains objects whose loading would run code, which is "
            "refused."
        ) from error
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f"{path} holds no state dict (names and tensors).")
    return content


def _options(content: Mapping[str, Any]) -> Mapping[str, Any]:
    options = content.get("config", {})
    return options if isinstance(options, Mapping) else getattr(options, "__dict__", {})


def _require_read(values: Mapping[str, Any], path: Path) -> None:
    for name, allowed in READ.items():
        if name in values and str(values[name]) not in allowed:
            raise CheckpointError(
                f"{path} holds a network with {name} = {values[name]}; only those with "
                f"{' or '.join(allowed)} are read."
            )


def _groups(values: Mapping[str, Any], path: Path) -> tuple[int, ...]:
    """Classes of each group, in the order of the columns, from the options' `attribKeysOrder`."""
    named = values.get("attribKeysOrder") or {}
    try:
        groups = sorted(named.values(), key=lambda group: int(group["order"]))
        return tuple(len(group["values"]) for group in groups)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"The classes in {path} cannot be understood ({type(error).__name__}: {error}). Give "
            "them: classes=(47,)."
        ) from error


def _plain_names(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    return {
        str(name).replace(".module.", "."): value.detach().float()
        for name, value in weights.items()
        if isinstance(value, Tensor)
    }


def _settings(weights: Mapping[str, Tensor], classes: tuple[int, ...], path: Path) -> PGANSettings:
    levels = sum(name.startswith("toRGBLayers.") and name.endswith(".weight") for name in weights)
    try:
        colours = [weights[f"toRGBLayers.{level}.weight"] for level in range(levels)]
        latent_dim = weights[f"{FIRST_LAYER}.weight"].shape[1]
        if COARSEST * 2 ** (levels - 1) > LARGEST:
            raise ConfigError(f"it has {levels} resolutions")
        return PGANSettings(
            z_dim=latent_dim - sum(classes),
            classes=classes,
            channels=tuple(weight.shape[1] for weight in colours),
            image_channels=colours[0].shape[0],
        )
    except (KeyError, IndexError, ConfigError) as error:
        raise CheckpointError(
            f"{path} does not hold the generator of a PGAN as pytorch_GAN_zoo writes it "
            f"({type(error).__name__}: {error}). Give a file with the names formatLayer, "
            "groupScale0, scaleLayers and toRGBLayers, and the classes it was trained with."
        ) from error


def _translated(weights: Mapping[str, Tensor], levels: int) -> dict[str, Tensor]:
    """The same network in this project's names; of unknown names, none is left out."""
    names = {FIRST_LAYER: "format", "groupScale0.0": "conv"}
    for level in range(levels):
        names[f"toRGBLayers.{level}"] = f"torgb.{level}"
        for conv in range(2):
            names[f"scaleLayers.{level}.{conv}"] = f"blocks.{level}.conv{conv}"
    state = {}
    for name, value in weights.items():
        layer, _, kind = name.rpartition(".")
        if kind in ("weight", "bias") and f"{layer}.weight" in weights:
            value = value * _factor(kind, layer, weights[f"{layer}.weight"])
        state[f"{names.get(layer, layer)}.{kind}"] = value
    return state


def _factor(kind: str, layer: str, weight: Tensor) -> float:
    """What makes y = gain (W x + b), gain = sqrt(2 / inputs), of this project's layers.

    They have y = sqrt(2) leaky((W x / sqrt(inputs)) + b) where an activation follows, and
    y = W x / sqrt(inputs) + b where none does.
    """
    colours = GAIN if layer.startswith("toRGBLayers.") else 1.0
    return colours if kind == "weight" else colours / math.sqrt(weight[0].numel())
