"""Images a second and peak memory of every GAN against resolution, in float32 and in bf16.

Seconds are of the processor, on one core: what else runs on the machine takes none of them.

    make bench-decoding [ARGS="--largest 256"]

Each measurement is a process of its own, so that no peak is another's. Up to 64 pixels it is the
packaged network; larger ones have random weights in the shape of the published ones, on which
neither time nor memory depends.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from time import process_time
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.recording import RESULTS, machine, write_result
from benchmarks.resident import mebibytes
from benchmarks.tables import markdown
from pipeline.runs.shelf import PACKAGED
from vqlso.generators import load_generator
from vqlso.generators.pgan.generator import PGAN
from vqlso.generators.pgan.network import PGANNetwork
from vqlso.generators.pgan.settings import PGANSettings
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.generators.stylegan3.generator import StyleGAN3
from vqlso.generators.stylegan3.network import StyleGAN3Network
from vqlso.generators.stylegan3.settings import StyleGAN3Settings
from vqlso.spaces import RealVectors

COMMAND = "make bench-decoding"
FOLDER = RESULTS / "generators"
RESOLUTIONS = (128, 256, 512, 1024)
PACKAGED_AT = 64
PACKAGED_FILES = {
    "StyleGAN2": "stylegan2-faces.safetensors",
    "PGAN": "pgan-textures.safetensors",
}
# At least so long, and at least two chunks: the first one, which is not counted, and another.
SECONDS = 4.0


class Decodes(Protocol):
    """What is measured."""

    chunk: int
    space: RealVectors

    def decode(self, z: NDArray[np.float64], space: str) -> Tensor:
        """(n, *shape) latents -> images."""


@dataclass(frozen=True)
class Measured:
    """One network at one resolution.

    Attributes:
        network: its name.
        resolution: H = W in pixels.
        weights: how many there are.
        dtype: of the convolutions.
        chunk: images that are made at once.
        images_a_second: of processor time, without the first chunk.
        loaded_mib: memory of the process before the first image: Python, torch and the weights.
        peak_mib: the most that it held resident, everything included.
    """

    network: str
    resolution: int
    weights: int
    dtype: str
    chunk: int
    images_a_second: float
    loaded_mib: float
    peak_mib: float


def _pgan(resolution: int, bf16: bool) -> PGAN:
    """Karras et al. 2018, table 2: 512 channels up to 32 pixels, then half at each doubling."""
    levels = resolution.bit_length() - 2
    channels = tuple(min(512, 16384 // (4 << level)) for level in range(levels))
    network = PGANNetwork(PGANSettings(channels=channels))
    return PGAN(network, mixed_precision=bf16)


def _stylegan2(resolution: int, bf16: bool) -> StyleGAN2:
    network = StyleGAN2Network(StyleGAN2Settings(resolution=resolution))
    return StyleGAN2(network, mixed_precision=bf16)


def _stylegan3_t(resolution: int, bf16: bool) -> StyleGAN3:
    network = StyleGAN3Network(StyleGAN3Settings(resolution=resolution))
    return StyleGAN3(network, mixed_precision=bf16)


def _stylegan3_r(resolution: int, bf16: bool) -> StyleGAN3:
    """Karras et al. 2021, appendix F: twice the channels, and convolutions of one pixel."""
    settings = StyleGAN3Settings(
        resolution=resolution,
        channel_base=65536,
        channel_max=1024,
        conv_kernel=1,
        radial_filters=True,
    )
    return StyleGAN3(StyleGAN3Network(settings), mixed_precision=bf16)


NETWORKS: dict[str, Callable[[int, bool], Any]] = {
    "StyleGAN2": _stylegan2,
    "StyleGAN3-t": _stylegan3_t,
    "StyleGAN3-r": _stylegan3_r,
    "PGAN": _pgan,
}


def built(name: str, resolution: int, bf16: bool) -> Any:
    """The packaged network where there is one of this resolution, else one of random weights."""
    if resolution == PACKAGED_AT:
        return load_generator(PACKAGED / PACKAGED_FILES[name], mixed_precision=bf16)
    torch.manual_seed(0)
    return NETWORKS[name](resolution, bf16)


def measured(name: str, resolution: int, bf16: bool) -> Measured:
    """One measurement, in this process and with one thread.

    The first chunk is not counted, unless it takes so long alone that nothing else matters.
    """
    torch.set_num_threads(1)
    generator = built(name, resolution, bf16)
    latents = generator.space.sample
    loaded, rng = mebibytes("VmRSS"), np.random.default_rng(0)
    images, seconds = 0, 0.0
    first = _timed(generator, latents(generator.chunk, rng))
    if first > SECONDS:
        images, seconds = generator.chunk, first
    while seconds < SECONDS:
        seconds += _timed(generator, latents(generator.chunk, rng))
        images += generator.chunk
    return Measured(
        network=name,
        resolution=resolution,
        weights=sum(weight.numel() for weight in generator.network.parameters()),
        dtype=str(generator.dtype).removeprefix("torch."),
        chunk=generator.chunk,
        images_a_second=images / seconds,
        loaded_mib=loaded,
        peak_mib=mebibytes("VmHWM"),
    )


def _timed(generator: Decodes, z: NDArray[np.float64]) -> float:
    began = process_time()
    generator.decode(z, generator.space.name)
    return process_time() - began


def cases(largest: int) -> Iterator[tuple[str, int, bool]]:
    """All measurements: network, resolution, whether in bf16."""
    for name in NETWORKS:
        own = (PACKAGED_AT,) if name in PACKAGED_FILES else ()
        for resolution in (*own, *RESOLUTIONS):
            if resolution <= largest:
                yield from ((name, resolution, bf16) for bf16 in (False, True))


def in_a_process(name: str, resolution: int, bf16: bool) -> Measured:
    """One measurement in a process of its own."""
    case = json.dumps([name, resolution, bf16])
    command = [sys.executable, "-m", "benchmarks.decoding", "--one", case]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Measured(**json.loads(done.stdout))


def table(record: Mapping[str, Any]) -> str:
    """The record as Markdown, both precisions in one row."""
    heads = [
        "network", "pixels", "weights", "at once", "images a second, fp32", "bf16",
        "peak MiB, fp32", "bf16", "of these before decoding",
    ]  # fmt: skip
    found = [Measured(**values) for values in record["measured"]]
    exact = [each for each in found if each.dtype == "float32"]
    reduced = {(each.network, each.resolution): each for each in found if each not in exact}
    rows = [_row(each, reduced.get((each.network, each.resolution))) for each in exact]
    return markdown(heads, rows)


def _row(exact: Measured, reduced: Measured | None) -> list[str]:
    rates, peaks = zip(
        *((_rate(each.images_a_second), f"{each.peak_mib:,.0f}") if each else ("–", "–")
          for each in (exact, reduced)),
        strict=True,
    )  # fmt: skip
    weights = f"{exact.weights / 1e6:.2f} M"
    before = f"{exact.loaded_mib:,.0f}"
    head = [exact.network, str(exact.resolution), weights, str(exact.chunk)]
    return [*head, *rates, *peaks, before]


def _rate(images_a_second: float) -> str:
    return f"{images_a_second:.0f}" if images_a_second >= 10 else f"{images_a_second:.2g}"


def main() -> None:
    """Measure everything, write the record and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=RESOLUTIONS[-1], help="pixels")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(asdict(measured(*json.loads(given.one)))))
        return
    load, found = os.getloadavg(), []
    for case in cases(given.largest):
        found.append(in_a_process(*case))
        print(found[-1], flush=True)
    record = {
        "command": COMMAND,
        "date": date.today().isoformat(),
        "machine": machine(("torch",)),
        "load": {"before": load, "after": os.getloadavg()},
        "measured": [asdict(each) for each in found],
    }
    path = write_result("decoding", record, FOLDER)
    print(f"{table(record)}\n\nWritten to {path}.")


if __name__ == "__main__":
    main()
