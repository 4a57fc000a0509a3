"""NVIDIA's TensorFlow networks: StyleGAN2 and StyleGAN2-ADA before PyTorch.

The pickle is a tuple (G, D, Gs) of recorded networks; Gs, the running mean, is the generator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vqlso.generators.import_gan.architecture import FIR_TAPS, resample_filters, stylegan2_settings
from vqlso.generators.import_gan.found import MOST_TENSORS, FoundGenerator, State
from vqlso.generators.import_gan.mean_latent import LEARNING_RATE, with_mean_latent
from vqlso.generators.import_gan.numpy_arrays import PickledArray
from vqlso.generators.import_gan.recorded import NETWORK_CLASS, Recorded
from vqlso.generators.import_gan.refusal import RefusedError, expect, shown

VERSIONS = range(4, 7)

Array = NDArray[np.float32]

# TensorFlow's name of a layer in a block -> PyTorch's.
LAYERS = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb"}
DENSE = re.compile(r"mapping/Dense(\d{1,3})/(weight|bias)")
LABEL = re.compile(r"mapping/LabelEmbed/(weight|bias)")
NOISE = re.compile(r"synthesis/noise(\d{1,2})")
LAYER = re.compile(
    r"synthesis/(\d{1,5})x\1/(Conv|Conv0_up|Conv1|ToRGB)/"
    r"(weight|bias|noise_strength|mod_weight|mod_bias)"
)


def is_tensorflow(value: object) -> bool:
    """Whether this is a tuple of networks of NVIDIA's TensorFlow library."""
    return (
        isinstance(value, tuple | list)
        and len(value) == 3
        and all(isinstance(item, Recorded) and item.name == NETWORK_CLASS for item in value)
    )


def read_tensorflow(networks: Sequence[object], largest: int) -> FoundGenerator:
    """The running mean of a TensorFlow generator, under the names and axes of PyTorch.

    Args:
        networks: G, D and Gs.
        largest: bytes that the copied weights may take.

    Raises:
        RefusedError: a version before StyleGAN2, or another architecture.
    """
    generator = expect(networks[2], Recorded, "Gs")
    version = generator.state.get("version")
    if version not in VERSIONS:
        raise RefusedError(
            "a TensorFlow network in a version that is not 4 to 6: before 4 it is a StyleGAN or a "
            "progressive GAN"
        )
    arguments = expect(generator.state.get("static_kwargs"), dict, "static_kwargs")
    _require_known_behaviour(arguments)
    state: State = {}
    for name, array in _variables(generator):
        largest -= array.nbytes
        if largest < 0 or len(state) >= MOST_TENSORS:
            raise RefusedError("a network whose variables unfold to more than the file's size")
        for new_name, new_array in _renamed(name, array):
            state[new_name] = np.array(new_array, dtype=np.float32, order="C")
    if not all(np.isfinite(array).all() for array in state.values()):
        raise RefusedError("a generator whose weights are not finite: its training failed")
    state, notes = with_mean_latent(state | resample_filters(state))
    clamp = arguments.get("conv_clamp")
    if clamp is not None and not (isinstance(clamp, int | float) and 0 < clamp < 1e9):
        raise RefusedError("a conv_clamp that is no positive number")
    settings = stylegan2_settings(state, None if clamp is None else float(clamp))
    return FoundGenerator("stylegan2", settings, state, notes)


def _require_known_behaviour(arguments: Mapping[str, object]) -> None:
    """What shapes do not show: the filter and the mapping's learning rate."""
    if arguments.get("resample_kernel") not in (None, FIR_TAPS):
        raise RefusedError("a generator with another resampling filter than [1, 3, 3, 1]")
    if arguments.get("mapping_lrmul", LEARNING_RATE) != LEARNING_RATE:
        raise RefusedError("a mapping network with another learning rate than 0.01")


def _variables(generator: Recorded) -> Iterator[tuple[str, Array]]:
    """Own variables under their names, those of a component under its name and theirs."""
    components = expect(generator.state.get("components"), dict, "the components of Gs")
    if components.keys() != {"mapping", "synthesis"}:
        raise RefusedError("a TensorFlow network whose components are not mapping and synthesis")
    for prefix, network in (("", generator), *((f"{key}/", components[key]) for key in components)):
        state = expect(network, Recorded, "a component of Gs").state
        variables = expect(state.get("variables"), list, "the variables of a network")
        for variable in variables[:MOST_TENSORS]:
            if not isinstance(variable, tuple | list) or len(variable) != 2:
                raise RefusedError("a variable that is no pair of name and array")
            name = prefix + expect(variable[0], str, "the name of a variable")
            array = variable[1]
            if isinstance(array, PickledArray) and array.array().dtype == np.float32:
                yield name, array.array().view(np.float32)


def _renamed(name: str, array: Array) -> Iterator[tuple[str, Array]]:
    """The variable under PyTorch's name; nothing for what PyTorch's network does not have."""
    if name == "dlatent_avg":
        yield "mapping.w_avg", array
    elif name == "synthesis/4x4/Const/const":
        yield "synthesis.b4.const", _axes(array, 4, name)[0]
    elif found := DENSE.fullmatch(name):
        yield f"mapping.fc{int(found[1])}.{found[2]}", array.T
    elif found := LABEL.fullmatch(name):
        yield f"mapping.embed.{found[1]}", array.T
    elif found := NOISE.fullmatch(name):
        # noise0 is for the 4 x 4 block, then two for each block.
        index = int(found[1])
        block, layer = 4 << (index + 1) // 2, "conv0" if index % 2 else "conv1"
        yield f"synthesis.b{block}.{layer}.noise_const", _axes(array, 4, name)[0, 0]
    elif found := LAYER.fullmatch(name):
        yield _layer(int(found[1]), found[2], found[3], array)
    elif name.startswith("mapping/LabelConcat"):
        raise RefusedError(
            "a conditional StyleGAN2 of TensorFlow, which no PyTorch network matches"
        )


def _layer(resolution: int, layer: str, variable: str, array: Array) -> tuple[str, Array]:
    prefix = f"synthesis.b{resolution}.{LAYERS[layer]}"
    if variable == "weight":
        kernel = _axes(array, 4, f"{prefix}.weight")
        if layer == "Conv0_up":
            kernel = kernel[::-1, ::-1]
        return f"{prefix}.weight", kernel.transpose(3, 2, 0, 1)
    if variable == "mod_weight":
        return f"{prefix}.affine.weight", array.T
    if variable == "mod_bias":
        return f"{prefix}.affine.bias", array + np.float32(1)
    return f"{prefix}.{variable}", array


def _axes(array: Array, axes: int, name: str) -> Array:
    if array.ndim != axes or 0 in array.shape:
        raise RefusedError(f"a variable {shown(name)} of shape {array.shape}")
    return array
