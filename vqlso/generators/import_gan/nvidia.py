"""NVIDIA's pickled PyTorch networks: StyleGAN2-ADA and StyleGAN3, as their `G_ema` was written.

A module is its attributes, recorded, with the Python source of its class beside them; that source
is never run. Layout version 6 is the only one that was published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite

from vqlso.generators.import_gan.architecture import stylegan2_settings
from vqlso.generators.import_gan.found import FoundGenerator, copied
from vqlso.generators.import_gan.mean_latent import LEARNING_RATE, with_mean_latent
from vqlso.generators.import_gan.recorded import MOST_ENTRIES, Module
from vqlso.generators.import_gan.refusal import RefusedError, expect, shown
from vqlso.generators.import_gan.stylegan3_architecture import stylegan3_settings
from vqlso.generators.import_gan.torch_storage import StoredTensor

LAYOUT_VERSION = 6
MOST_MODULES = 256
DEEPEST = 8
# The flattened arguments of StyleGAN3's repository have this default, StyleGAN2-ADA's have none.
FLATTENED_CLAMP = 256.0
# Some layer of the synthesis network, where the bound on activations shows.
STYLEGAN2_LAYER = "synthesis.b4.conv1"
STYLEGAN3_LAYER = "synthesis.L0_"


def read_nvidia(generator: Module, largest: int) -> FoundGenerator:
    """The generator that a recorded module describes.

    Args:
        generator: the module, from `G_ema` of the pickle.
        largest: bytes that the copied weights may take.

    Raises:
        RefusedError: another layout, or no StyleGAN2 or StyleGAN3.
    """
    modules = dict(_modules(generator))
    state = copied(_tensors(modules), largest)
    _require_known_behaviour(modules)
    state, notes = with_mean_latent(state)
    arguments = generator.mapping("_init_kwargs")
    if "synthesis.input.freqs" in state:
        clamp = _conv_clamp(modules, STYLEGAN3_LAYER, arguments)
        kind, settings = stylegan3_settings(state, arguments, clamp)
        return FoundGenerator(kind, settings, state, notes)
    if "synthesis.b4.const" in state:
        clamp = _conv_clamp(modules, STYLEGAN2_LAYER, arguments)
        return FoundGenerator("stylegan2", stylegan2_settings(state, clamp), state, notes)
    raise RefusedError(
        f"a network of class {shown(generator.class_name)}, whose tensors are neither StyleGAN2's "
        "nor StyleGAN3's"
    )


def _modules(root: Module) -> Iterator[tuple[str, Module]]:
    """Every module under its path; "" for the root."""
    # A module may contain itself, or share children so that paths grow without end.
    waiting = [("", root)]
    for found in range(MOST_MODULES):
        if not waiting:
            return
        path, module = waiting.pop()
        if module.version != LAYOUT_VERSION:
            raise RefusedError(
                f"a module in version {module.version} of NVIDIA's layout; "
                f"known is {LAYOUT_VERSION}"
            )
        if path.count(".") >= DEEPEST:
            break
        yield path, module
        for name, child in module.mapping("_modules").items():
            child_path = f"{path}.{name}" if found else name
            waiting.append((child_path, expect(child, Module, f"the module {shown(child_path)}")))
    raise RefusedError(f"a network of more than {MOST_MODULES} modules, or nested too deep")


def _tensors(modules: Mapping[str, Module]) -> Iterator[tuple[str, StoredTensor]]:
    for path, module in modules.items():
        passing = _passing(module)
        for attribute in ("_parameters", "_buffers"):
            for name, value in module.mapping(attribute).items():
                full = f"{path}.{name}" if path else name
                if value is None or name in passing:
                    continue
                yield full, expect(value, StoredTensor, f"the tensor {shown(full)}")


def _passing(module: Module) -> set[str]:
    """Buffers that are not part of a state dict."""
    names = expect(module.state.get("_non_persistent_buffers_set", []), list, "a set of buffers")
    return {name for name in names[:MOST_ENTRIES] if isinstance(name, str)}


def _require_known_behaviour(modules: Mapping[str, Module]) -> None:
    """What shapes do not show: the mapping's learning rate, and the activation of every layer."""
    for path, module in modules.items():
        if path.startswith("mapping.fc"):
            gain = module.state.get("bias_gain", LEARNING_RATE)
            if not isinstance(gain, float) or abs(gain - LEARNING_RATE) > 1e-6:
                raise RefusedError("a mapping network with another learning rate than 0.01")
        if module.state.get("activation", "lrelu") not in ("lrelu", "linear"):
            raise RefusedError(f"a generator whose {shown(path)} is no leaky ReLU")


def _conv_clamp(
    modules: Mapping[str, Module], layer: str, arguments: Mapping[str, object]
) -> float | None:
    """The bound on activations: from a layer, else from the arguments, else the default.

    Training writes 256 for the sake of half precision, and the bound holds in float32 too.
    """
    flattened = "synthesis_kwargs" not in arguments
    nested = expect(arguments.get("synthesis_kwargs", {}), dict, "synthesis_kwargs")
    clamp = (arguments if flattened else nested).get("conv_clamp", FLATTENED_CLAMP * flattened)
    for path, module in modules.items():
        if path.startswith(layer) and "conv_clamp" in module.state:
            clamp = module.state["conv_clamp"]
    if clamp is None:
        return None
    if not isinstance(clamp, int | float) or not isfinite(clamp) or clamp < 0:
        raise RefusedError("a conv_clamp that is no positive number")
    return float(clamp) or None
