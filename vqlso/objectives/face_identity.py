"""Who is shown: an embedding of faces, compared by the cosine of the angle between two."""

from __future__ import annotations

import copy
from importlib import import_module
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from vqlso.checkpoints import load_state, read_checkpoint, save_checkpoint
from vqlso.errors import ConfigError, DataError, MissingExtraError
from vqlso.objectives.factor_network import FactorNetwork
from vqlso.objectives.feature_networks import resized
from vqlso.pretrained import load_weights

KIND = "face identity"
VGGFACE2_PEOPLE = 8631
FACENET_SIZE = 160


class FaceEmbedding(Protocol):
    """Images of faces -> unit vectors; those of one person are near each other."""

    @property
    def name(self) -> str:
        """A name for tables."""

    def __call__(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) float in [0, 1] -> (n, d) float32 of length 1."""


class ProceduralIdentity:
    """The factors of a procedural face that its person keeps, standardised, as a unit vector.

    They are those that neither expression, pose, light and background nor clothes, glasses, beard
    and hairdo change (vqlso/training/face_attributes.py).

    Args:
        network: trained on these factors; it is put into evaluation mode.
        factors: how many there are.
        image_size: H = W of the images that it was trained on.
        batch_size: images per forward pass.
    """

    name = "identity factors of procedural faces"

    def __init__(
        self, network: FactorNetwork, factors: int, image_size: int, batch_size: int = 256
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.factors = factors
        self.image_size = image_size
        self.batch_size = batch_size

    def __call__(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) float in [0, 1] -> (n, factors) float32 of length 1.

        Raises:
            DataError: images of another size than those it was trained on.
        """
        return F.normalize(self.estimates(images), dim=1)

    @torch.inference_mode()
    def estimates(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) float in [0, 1] -> (n, factors) float32, each of mean 0 and deviation 1.

        Raises:
            DataError: as above.
        """
        size = self.image_size
        if tuple(images.shape[1:]) != (3, size, size):
            raise DataError(
                f"The embedding was trained on images of 3 x {size} x {size}, but those here are "
                f"{' x '.join(map(str, images.shape[1:]))}. Give an embedding for this size."
            )
        device = self.network.head.weight.device
        parts = [
            self.network(part.to(device).mul(2).sub(1)).cpu()
            for part in torch.split(images, self.batch_size)
        ]
        return torch.cat(parts)

    def save(self, path: Path) -> None:
        """Write the weights, as float16: what is loaded has been rounded."""
        settings = {"factors": self.factors, "image_size": self.image_size}
        save_checkpoint(path, KIND, settings, copy.deepcopy(self.network).half())

    @classmethod
    def load(cls, path: Path) -> ProceduralIdentity:
        """An embedding from its file.

        Raises:
            CheckpointError: the file is missing, damaged or of another architecture.
        """
        (factors, size), state = read_checkpoint(
            path, KIND, lambda values: (int(values["factors"]), int(values["image_size"]))
        )
        with torch.device("meta"):
            network = FactorNetwork(factors)
        load_state(network, state, str(path), "an embedding of so many factors", assign=True)
        return cls(network.float(), factors, size)


def same_person(first: Tensor, second: Tensor) -> Tensor:
    """(n, d) and (n, d) unit vectors -> (n,) cosines in [-1, 1]."""
    return (first * second).sum(1)


class FacenetIdentity:
    """facenet's embedding of photographed faces, trained on VGGFace2, from a local file.

    Pictures are cut to the square that the face fills, resized to 160 pixels and scaled as the
    network was trained: raw bytes would put every face near every other.

    Args:
        checkpoint: facenet-pytorch's "20180402-114759-vggface2.pt", or a file of the same form.
        share: of the picture's sides, around its centre, that the face fills, in (0, 1].
        batch_size: images per forward pass.

    Raises:
        MissingExtraError: facenet-pytorch is not installed.
        CheckpointError: the file is missing, damaged or of another network.
        ConfigError: another share.
    """

    name = "facenet on VGGFace2"

    def __init__(self, checkpoint: Path, *, share: float = 1.0, batch_size: int = 64) -> None:
        if not 0 < share <= 1:
            raise ConfigError(f"A face fills a share of the picture in (0, 1]; got {share}.")
        try:
            library = import_module("facenet_pytorch")
        # A torchvision of another build than torch raises RuntimeError while it is imported.
        except (ImportError, RuntimeError) as error:
            raise MissingExtraError(
                f"The embedding of photographed faces needs facenet-pytorch, which cannot be used "
                f"({error}): `pip install '.[detector]'` in the project's clone, and a "
                "torchvision of the same build as torch."
            ) from error
        with torch.device("meta"):
            network = library.InceptionResnetV1(classify=True, num_classes=VGGFACE2_PEOPLE)
        load_weights(network, checkpoint, "facenet's InceptionResnetV1 for VGGFace2")
        network.classify = False  # the layer before the people
        self.network = network.eval().requires_grad_(False)
        self.share = share
        self.batch_size = batch_size

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) float in [0, 1] -> (n, 512) float32 of length 1."""
        return torch.cat([self._embedded(part) for part in torch.split(images, self.batch_size)])

    def _embedded(self, images: Tensor) -> Tensor:
        height, width = (round(self.share * side) for side in images.shape[2:])
        top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
        face = images[:, :, top : top + height, left : left + width]
        pixels = (255 * resized(face, (FACENET_SIZE, FACENET_SIZE)) - 127.5) / 128
        return F.normalize(self.network(pixels), dim=1).float().cpu()
