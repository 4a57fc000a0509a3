"""pytorch_GAN_zoo's PGANs: whole checkpoints, and state dicts of a generator alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from vqlso.generators.import_gan.found import FoundGenerator, copied
from vqlso.generators.import_gan.recorded import Recorded
from vqlso.generators.import_gan.refusal import expect
from vqlso.generators.import_gan.torch_storage import StoredTensor
from vqlso.generators.pgan.zoo_names import FIRST_LAYER, NETWORKS


def is_zoo(checkpoint: Mapping[str, object]) -> bool:
    """Whether it has a generator's network as the project names it, or is one."""
    names = [str(name) for name in checkpoint]
    return any(name in NETWORKS or name.startswith(f"{FIRST_LAYER}.") for name in names)


def read_zoo(
    checkpoint: Mapping[str, object], largest: int, path: Path, classes: tuple[int, ...] | None
) -> FoundGenerator:
    """The generator's running mean where there is one, else the generator, in this project's names.

    Args:
        checkpoint: what `torch.save` wrote.
        largest: bytes that the copied weights may take.
        path: of the file, for messages.
        classes: how many classes each group has; None takes them from the file's options.

    Raises:
        RefusedError, CheckpointError: it is another network.
    """
    # Of all kinds only this one is translated by PyTorch: the others need not wait for it.
    import torch

    from vqlso.generators.pgan.zoo import generator_of, zoo_network

    found = expect(generator_of(checkpoint), dict, "the generator's state")
    tensors = [(str(name), each) for name, each in found.items() if isinstance(each, StoredTensor)]
    weights = copied(tensors, largest)
    options = checkpoint.get("config")
    values = options.state if isinstance(options, Recorded) else options
    network = zoo_network(
        {name: torch.from_numpy(array) for name, array in weights.items()},
        values if isinstance(values, Mapping) else {},
        path,
        classes,
    )
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    notes = () if network.settings.classes else (_WITHOUT_CLASSES,)
    return FoundGenerator("pgan", asdict(network.settings), state, notes)


_WITHOUT_CLASSES = (
    "No classes are known: all of the latent is z. If it was trained with classes, import it again "
    "with --classes N for each group."
)
