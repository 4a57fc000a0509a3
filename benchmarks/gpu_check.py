"""Does everything work on this GPU as it does on a CPU?

    make check-gpu

Trains a small VQ-VAE, runs the tiny experiment with its queries, and compares with the CPU. Exits
with 0 if all checks pass, 1 if one fails, 2 if there is no GPU.
"""

from __future__ import annotations

import copy
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.configuration.composition import composed
from pipeline.experiment import start
from vqlso.data.faces import procedural_faces
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings
from vqlso.hardware import bfloat16_pays
from vqlso.images import to_unit
from vqlso.randomness import stream
from vqlso.training.fitting import fit
from vqlso.training.vqvae import reconstruction_quality, vqvae_loss
from vqlso.training.weighting import epochs

EPOCHS = 8
# bf16 keeps 8 bits: pixels of a few layers differ by hundredths, and few codes change sides.
MOST_DIFFERENCE, LEAST_AGREEMENT = 0.05, 0.95


@dataclass(frozen=True)
class Check:
    """One thing that must hold, and what was found."""

    name: str
    passed: bool
    found: str


def checks(width: int, images: int) -> Iterator[Check]:
    """All checks, on whatever device Lightning Fabric chooses."""
    faces = procedural_faces(images, seed=0).images
    torch.manual_seed(0)
    network = VQVAENetwork(VQVAESettings(width=width))
    inside = torch.empty(0)

    def watch(_module: nn.Module, _given: object, output: Tensor) -> None:
        nonlocal inside
        inside = output.detach()

    handle = network.encoder[2].register_forward_hook(watch)
    errors = []
    for part in range(2):
        batches = epochs(len(faces), EPOCHS, 128, stream(part, "check"))
        report = fit(network, vqvae_loss, lambda rows: faces[rows], batches, seed=part)
        errors.append(reconstruction_quality(VQVAE(network), faces)["reconstruction_error"])
        network.requires_grad_(True)
    handle.remove()
    where = f"{report.rows / report.seconds:,.0f} images a second on {inside.device}"
    yield Check("training runs", all(np.isfinite(errors)), where)
    yield Check("errors fall", errors[1] < errors[0], f"{errors[0]:.4f}, then {errors[1]:.4f}")
    expected = torch.bfloat16 if bfloat16_pays() else torch.float32
    yield Check("bf16 where it pays", inside.dtype == expected, str(inside.dtype))
    last = inside.is_contiguous(memory_format=torch.channels_last)
    yield Check("channels last", last, f"strides {inside.stride()}")
    yield from same_as_on_cpu(VQVAE(network), to_unit(faces[:256]))


def same_as_on_cpu(generator: VQVAE, images: Tensor) -> Iterator[Check]:
    """Codes and decoded images of a generator beside those of its copy on the CPU."""
    on_cpu = VQVAE(copy.deepcopy(generator.network).cpu())
    codes, codes_on_cpu = generator.encode(images), on_cpu.encode(images)
    agreement = float(np.mean(codes == codes_on_cpu))
    difference = float((generator.decode(codes) - on_cpu.decode(codes)).abs().max())
    yield Check("codes as on the CPU", agreement >= LEAST_AGREEMENT, f"{agreement:.1%} agree")
    yield Check(
        "images as on the CPU",
        difference <= MOST_DIFFERENCE,
        f"largest difference {difference:.3f}",
    )


def query_check() -> Check:
    """The tiny experiment from its training to its report."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        config = composed("demo", ["size=tiny", "train_from_scratch=true", f"out={out}"])
        run = start(config, ["make", "check-gpu"])
        found = run.read_json(run.summary.name)
        return Check("queries run", run.report.is_file(), f"{found.get('queries')} queries")


def main() -> int:
    """Run and print all checks."""
    if not torch.cuda.is_available():
        print(
            "No GPU was found: torch.cuda.is_available() is False. Install a CUDA build of torch "
            "on a machine with an NVIDIA GPU; on a CPU `make test` checks the same code.",
            file=sys.stderr,
        )
        return 2
    print(torch.cuda.get_device_name())
    failed = 0
    for check in (*checks(width=64, images=2048), query_check()):
        print(f"{'ok    ' if check.passed else 'FAILED'} {check.name}: {check.found}", flush=True)
        failed += not check.passed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
