"""What kind of file this is, and the reader for it."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path

from vqlso.errors import CheckpointError
from vqlso.generators.import_gan.bounds import Budget
from vqlso.generators.import_gan.found import FoundGenerator
from vqlso.generators.import_gan.nvidia import read_nvidia
from vqlso.generators.import_gan.recorded import Module
from vqlso.generators.import_gan.refusal import RefusedError, names_shown, shown
from vqlso.generators.import_gan.restricted_pickle import load
from vqlso.generators.import_gan.rosinality import read_rosinality
from vqlso.generators.import_gan.tensorflow import is_tensorflow, read_tensorflow
from vqlso.generators.import_gan.torch_storage import is_legacy, read_archive, read_legacy
from vqlso.generators.import_gan.vocabulary import checkpoint_vocabulary, network_vocabulary
from vqlso.generators.import_gan.zip_archive import ZipArchive
from vqlso.generators.import_gan.zoo import is_zoo, read_zoo

SUPPORTED = (
    "Supported are NVIDIA's network pickles of StyleGAN2-ADA and StyleGAN3 (with G_ema), its "
    "TensorFlow pickles of StyleGAN2 (version 4 or later), rosinality's StyleGAN2 .pt files (with "
    "g_ema), and pytorch_GAN_zoo's PGANs (with avgG or netG), all with float32 weights."
)
# Text and copied weights may take this much beside the file.
SLACK = 2**20
HEAD = 512

SIGNATURES = {
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"BZh": "a bzip2 archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"\xfd7zXZ": "an xz archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"\x89HDF": "an HDF5 file",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x93NUMPY": "a NumPy array",
    b"version https://git-lfs": "a pointer of Git LFS; fetch the file itself with 'git lfs pull'",
}


def read_gan(path: Path, classes: tuple[int, ...] | None = None) -> FoundGenerator:
    """The generator of a stranger's checkpoint; nothing in the file is executed.

    Args:
        path: a file of any supported kind.
        classes: how many classes each group of a PGAN has; None takes them from the file.

    Raises:
        CheckpointError: no such file, or one that is damaged, hostile or of another kind; the
            message names the kind found and the kinds supported.
    """
    try:
        size = path.stat().st_size if path.is_file() else -1
        if size < 0:
            raise CheckpointError(f"There is no file at {path}. Give the path of a checkpoint.")
        if size == 0:
            raise CheckpointError(f"{path} is empty: its download failed. {SUPPORTED}")
        with path.open("rb") as file:
            # The arrays that are returned are copies, so that nothing outlives the mapping.
            source = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return _found(path, source, classes)
    except RefusedError as error:
        raise CheckpointError(f"{path} cannot be imported: {error}. {SUPPORTED}") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error}).") from error


def _found(path: Path, source: memoryview, classes: tuple[int, ...] | None) -> FoundGenerator:
    head = bytes(source[:HEAD])
    budget = Budget(memory=2 * len(source) + SLACK)
    largest = len(source) + SLACK
    if head.startswith(b"PK\x03\x04"):
        archive = ZipArchive(path, source)
        if "data.pkl" not in archive:
            raise RefusedError("a zip archive, and none that torch.save wrote")
        if "constants.pkl" in archive:
            raise RefusedError("a TorchScript program, which can only be run")
        value = read_archive(archive, budget, checkpoint_vocabulary(budget))
        return _checkpoint(value, largest, path, classes)
    if is_legacy(source):
        value = read_legacy(source, budget, checkpoint_vocabulary(budget))
        return _checkpoint(value, largest, path, classes)
    if head[:1] == b"\x80":
        value, _ = load(source, 0, budget, network_vocabulary(budget))
        return _networks(value, largest)
    raise RefusedError(_foreign(head, len(source)))


def _networks(value: object, largest: int) -> FoundGenerator:
    if is_tensorflow(value):
        assert isinstance(value, tuple | list)
        return read_tensorflow(value, largest)
    if isinstance(value, Module):
        value = {"D" if value.class_name == "Discriminator" else "G_ema": value}
    if not isinstance(value, dict):
        raise RefusedError("a pickle of something else than networks")
    if isinstance(value.get("G_ema"), Module):
        return read_nvidia(value["G_ema"], largest)
    raise RefusedError(_without_generator(value, "D", "G_ema"))


def _checkpoint(
    value: object, largest: int, path: Path, classes: tuple[int, ...] | None
) -> FoundGenerator:
    if not isinstance(value, dict):
        raise RefusedError("a checkpoint of torch.save that is no dictionary")
    if isinstance(value.get("g_ema"), dict):
        return read_rosinality(value, largest)
    if is_zoo(value):
        return read_zoo(value, largest, path, classes)
    raise RefusedError(_without_generator(value, "d", "g_ema"))


def _without_generator(value: Mapping[object, object], discriminator: str, wanted: str) -> str:
    if discriminator in value:
        return f"a discriminator without the generator's running mean ({wanted})"
    keys = [str(key) for key in list(value)[:20]]
    return f"a dictionary without {wanted}; its keys are {names_shown(keys)}"


def _foreign(head: bytes, size: int) -> str:
    """A file of another kind, in words."""
    for signature, kind in SIGNATURES.items():
        if head.startswith(signature):
            return kind
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return "a web page, saved where the download itself was meant"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size:
        return "a safetensors file, which needs no import if this program wrote it"
    return f"a file of an unknown kind, which starts with the bytes {shown(head[:8].hex(' '))}"
