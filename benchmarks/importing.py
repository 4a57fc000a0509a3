"""Seconds and peak memory of `vqlso import-gan` on a checkpoint of the size of the published ones.

    make bench-importing

The file is in NVIDIA's layout for PyTorch, with random weights: generator, discriminator and the
generator's running mean of a StyleGAN2 of 1024 pixels. Importing is a process of its own.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import types
from collections import OrderedDict
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks.decoding import FOLDER
from benchmarks.recording import machine, write_result
from vqlso.generators.stylegan2.discriminator import Discriminator
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings

COMMAND = "make bench-importing"
RESOLUTION = 1024
RUNS = 3
# What NVIDIA's modules are rebuilt by, and its layout's version.
REBUILD = ("torch_utils.persistence", "_reconstruct_persistent_obj")
LAYOUT = 6


class Persistent:
    """A module as NVIDIA's persistence pickles it.

    Args:
        module: whose parameters, buffers and submodules are pickled.
        class_name: as the file says it.
        arguments: with which it says it was made.
    """

    def __init__(
        self, module: nn.Module, class_name: str = "Layer", arguments: dict[str, Any] | None = None
    ) -> None:
        children = ((name, Persistent(each)) for name, each in module.named_children())
        self.meta = {
            "type": "class",
            "version": LAYOUT,
            "module_src": "",
            "class_name": class_name,
            "state": {
                "_parameters": OrderedDict(module.named_parameters(recurse=False)),
                "_buffers": OrderedDict(module.named_buffers(recurse=False)),
                "_modules": OrderedDict(children),
                "_init_args": (),
                "_init_kwargs": arguments or {},
            },
        }

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuilding, (self.meta,)


def _rebuilding(meta: dict[str, Any]) -> None:
    """Stands for NVIDIA's function, whose name alone is written."""


def write_checkpoint(path: Path) -> None:
    """A file as NVIDIA's training leaves it."""
    settings = StyleGAN2Settings(resolution=RESOLUTION)
    arguments = {"z_dim": 512, "c_dim": 0, "w_dim": 512, "img_resolution": RESOLUTION}
    content = {
        name: Persistent(StyleGAN2Network(settings), "Generator", arguments)
        for name in ("G", "G_ema")
    }
    content["D"] = Persistent(Discriminator(settings), "Discriminator")
    stand_in = types.ModuleType(REBUILD[0])
    _rebuilding.__module__, _rebuilding.__qualname__ = REBUILD
    setattr(stand_in, REBUILD[1], _rebuilding)
    sys.modules |= {"torch_utils": types.ModuleType("torch_utils"), REBUILD[0]: stand_in}
    path.write_bytes(pickle.dumps(content))


def main() -> None:
    """Measure, write the record and print it."""
    load, found = os.getloadavg(), []
    with tempfile.TemporaryDirectory() as folder:
        source, destination = Path(folder) / "g.pkl", Path(folder) / "g.safetensors"
        write_checkpoint(source)
        for _ in range(RUNS):
            command = [sys.executable, "-m", "benchmarks.importing_worker"]
            command += [str(source), str(destination)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found.append(json.loads(done.stdout))
            print(found[-1], flush=True)
        size = source.stat().st_size / 2**20
    record = {
        "command": COMMAND,
        "date": date.today().isoformat(),
        "machine": machine(("torch", "numpy")),
        "load": {"before": load, "after": os.getloadavg()},
        "file_mib": size,
        "measured": found,
    }
    print(f"Written to {write_result('importing', record, FOLDER)}.")


if __name__ == "__main__":
    main()
