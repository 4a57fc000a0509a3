"""The names that pickles of networks may use, and what calling them gives."""

from __future__ import annotations

from vqlso.generators.import_gan.bounds import Budget
from vqlso.generators.import_gan.numpy_arrays import array_vocabulary
from vqlso.generators.import_gan.recorded import (
    NAMESPACE_CLASS,
    NETWORK_CLASS,
    ZOO_OPTIONS_CLASS,
    module,
    recording,
)
from vqlso.generators.import_gan.refusal import RefusedError, expect
from vqlso.generators.import_gan.restricted_pickle import Name, Reduction
from vqlso.generators.import_gan.torch_storage import empty_dictionary, tensor_vocabulary


def network_vocabulary(budget: Budget) -> dict[Name, Reduction | None]:
    """Names in NVIDIA's pickles of PyTorch and TensorFlow networks."""
    return {
        **tensor_vocabulary(budget, nested=True),
        **dict(array_vocabulary()),
        Name("torch_utils.persistence", "_reconstruct_persistent_obj"): module,
        Name("dnnlib.util", "EasyDict"): empty_dictionary,
        Name("builtins", "set"): _set,
        Name("__builtin__", "set"): _set,  # in protocol 2
        Name("_codecs", "encode"): lambda arguments: _encoded(arguments, budget),
        NETWORK_CLASS: recording(NETWORK_CLASS),
    }


def checkpoint_vocabulary(budget: Budget) -> dict[Name, Reduction | None]:
    """Names in checkpoints of `torch.save`."""
    return {
        **tensor_vocabulary(budget, nested=False),
        **dict(array_vocabulary()),
        Name("_codecs", "encode"): lambda arguments: _encoded(arguments, budget),
        NAMESPACE_CLASS: recording(NAMESPACE_CLASS),
        ZOO_OPTIONS_CLASS: recording(ZOO_OPTIONS_CLASS),
    }


def _set(arguments: tuple[object, ...]) -> list[object]:
    """Protocols up to 3 make a set of a list; the list says all, and copies and hashes nothing."""
    if len(arguments) != 1:
        raise RefusedError("a set is made from other than one argument")
    return expect(arguments[0], list, "what a set is made from")


def _encoded(arguments: tuple[object, ...], budget: Budget) -> memoryview:
    """Bytes, which protocol 2 writes as text."""
    if len(arguments) != 2 or arguments[1] != "latin1":
        raise RefusedError("text encoded other than in Latin-1")
    text = expect(arguments[0], str, "encoded text")
    budget.allocate(len(text))
    try:
        return memoryview(text.encode("latin1"))
    except UnicodeEncodeError:
        raise RefusedError("bytes written as text beyond Latin-1") from None
