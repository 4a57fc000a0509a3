"""What only some tasks read: each has its own group of typed fields."""

from __future__ import annotations

from dataclasses import dataclass, field


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
class PGANConfig:
    """A PGAN that is trained; see `PGANSettings` and `PGANTraining`.

    Attributes:
        dimension: length of z.
        channels: of the blocks at 4, 8, ... pixels.
        kimg: thousands of images shown at each of these resolutions.
        fading: of these, while a resolution is faded in.
        batch_size: real images a step, and generated ones.
        learning_rate: of both networks.
        penalty: weight of the penalty on the discriminator's gradient.
        conditional: whether the labels are classes that images are made of.
        class_weight: of the classification in the discriminator's loss.
        generator_class_weight: and in the generator's.
        average_kimg: half-life of the running mean of weights.
        look_kimg: thousands of images between two looks at samples.
        samples: images that are compared with as many real ones at each look.
        seed: of the training.
    """

    dimension: int = 32
    channels: list[int] = field(default_factory=lambda: [96, 96, 64, 32, 16])
    kimg: list[float] = field(default_factory=lambda: [5.0, 10.0, 30.0, 40.0, 60.0])
    fading: float = 4.0
    batch_size: int = 16
    learning_rate: float = 4e-3
    penalty: float = 10.0
    conditional: bool = True
    class_weight: float = 1.0
    generator_class_weight: float = 0.5
    average_kimg: float = 1.0
    look_kimg: float = 5.0
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
        realism: weight of the discriminator's verdict; null takes the paper's, which is 1 but for
            "l2", where a discriminator is known.
        discriminator: its file; null takes the packaged one for the packaged generator, and none
            for others.
        tolerance: a target is reached where the criterion is at most this; the search ends when
            all are. null takes 0, and none with realism, which has no least value.
        starts: latents that are scored first for each target, at most queries - 1.
    """

    target: str | None = None
    samples: int = 4
    criterion: str = "l2+features"
    norm_weight: float | None = None
    features: str = "random"
    realism: float | None = None
    discriminator: str | None = None
    tolerance: float | None = None
    starts: int = 16


@dataclass
class EvolveConfig:
    """A person's session; see `pipeline.evolution.settings`.

    Attributes:
        start: "random", or "photo" for the latent that is nearest to one.
        population: images a generation.
        picks: clicks that a person is asked for.
    """

    start: str = "random"
    population: int = 28
    picks: int = 5


@dataclass
class EditConfig:
    """What an edit direction is found for (Meißner et al. 2022); see `vqlso.problems.direction`.

    Attributes:
        attribute: a name that the regressor knows, or "module:function" for any function of
            images.
        regressor: a file of face attributes; null takes the packaged ones.
        identity: a file of a face embedding; null takes the packaged one where it fits.
        longest: L, the largest length of the vector.
        anchors: latents that a candidate is scored on, the paper's batch size.
        keep: what is to stay: names of attributes, or directions found before (run folders or
            files).
        judges: latents that the effect is measured on.
        originals: latents that the quality is measured on; 1000 in the paper.
        faces: rows of the strip.
        strengths: columns of the strip, factors of the vector.
    """

    attribute: str = "smile"
    regressor: str | None = None
    identity: str | None = None
    longest: float = 3.0
    anchors: int = 8
    keep: list[str] = field(default_factory=list)
    judges: int = 500
    originals: int = 100
    faces: int = 6
    strengths: list[float] = field(default_factory=lambda: [-1.0, 0.0, 1.0])


@dataclass
class AscentConfig:
    """How a score is climbed; `configs/method/` has a choice of these for each way.

    Attributes:
        method: "search", "finetune", "reinforce", "conditional" or "super_resolution".
        score: "objective" (that of the group), "discriminator" or "text".
        starts: samples that are scored first and count as queries, at most queries - 1.
        prior: of gradient methods, the weight of the penalty on the length of z.
        learning_rate: Adam's, of a generator that is fine-tuned; a StyleGAN's mapping network
            takes a hundredth of it.
        anchor: weight of the distance from what the original generator makes of the same z: of
            images for finetune, of w for reinforce.
        noise: of reinforce, the policy's standard deviation around the mapping, in those of w.
        asked: of conditional, the score that is asked for; null asks for the best known.
        refit: of conditional, answers between two fits.
        discriminator: the network's file; null takes the packaged one.
        text: the wish.
        model: an image-text model, a path or "module:function".
        picture: of super_resolution, a small picture or one to be made small; null takes a sample.
        factor: of super_resolution, how many times smaller than the images it is.
    """

    method: str = "search"
    score: str = "objective"
    starts: int = 40
    prior: float = 0.0
    learning_rate: float = 1e-3
    anchor: float = 100.0
    noise: float = 0.7
    asked: float | None = None
    refit: int = 100
    discriminator: str | None = None
    text: str | None = None
    model: str | None = None
    picture: str | None = None
    factor: int = 8
