"""What only some tasks read: each has its own group of typed fields."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class GANConfig:
    """A StyleGAN2 that is trained; see `StyleGAN2Settings` and `StyleGAN2Training`.

    Attributes:
        dimension: length of z and of w.
        mapping_layers: from z to w.
        channel_base: a block at resolution r has channel_base / r channels.
        channel_max: but at most so many.
        kimg: thousands of images shown.
        batch_size: real images a step, and generated ones.
        learning_rate: of both networks.
        r1_gamma: weight of the penalty on the discriminator's gradient.
        path_weight: weight of the path length regularisation; 0 for none.
        mixing: share of images whose finer layers take another w.
        noise: "random" or "none".
        average_kimg: half-life of the running mean of weights.
        augment: whether the discriminator sees changed images, for small data sets.
        look_kimg: thousands of images between two looks at samples.
        samples: images that are compared with as many real ones at each look.
        seed: of the training.
    """

    dimension: int = 64
    mapping_layers: int = 2
    channel_base: int = 1024
    channel_max: int = 128
    kimg: float = 120.0
    batch_size: int = 16
    learning_rate: float = 2e-3
    r1_gamma: float = 1.0
    path_weight: float = 0.0
    mixing: float = 0.5
    noise: str = "none"
    average_kimg: float = 5.0
    augment: bool = False
    look_kimg: float = 10.0
    samples: int = 2000
    seed: int = 0


@dataclass
class InvertConfig:
    """What an inversion searches for (paper 001); see `vqlso.objectives.criteria`.

    Attributes:
        target: a picture, or a folder of pictures; null takes the generator's own images.
        samples: how many of these.
        criterion: "l2", "l2+features" or "features".
        norm_weight: of the latent's norm; null takes 1 where samples have unit variance ("z"),
            and 0 elsewhere.
        features: "random" for untrained convolutions, or torchvision's VGG-19 weights.
        tolerance: a target is reached where the criterion is at most this; the search ends when
            all are.
        starts: latents that are scored first for each target, at most queries - 1.
    """

    target: str | None = None
    samples: int = 4
    criterion: str = "l2+features"
    norm_weight: float | None = None
    features: str = "random"
    tolerance: float = 0.0
    starts: int = 16
