"""Everything that a configuration can set, as typed fields; the groups under configs/ fill them."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from pipeline.configuration.task_settings import (
    AscentConfig,
    EditConfig,
    EvolveConfig,
    GANConfig,
    InvertConfig,
    PGANConfig,
)


@dataclass
class DataConfig:
    """Which images, and which of them the generator may see.

    Attributes:
        kind: "faces", "textures", "celeba" or "folder", chosen as data=NAME.
        size: H = W of the images in pixels, a multiple of 8.
        restrict: the training set holds labels up to this (paper 003: degree <= 2). null takes
            2 for degrees on 0..5, and the median of labels on any other scale.
        count: how many procedural faces or textures are drawn.
        seed: of the procedural images.
        wanted: the class of textures whose label is 5, where all others have 0; null labels each
            with the number of its class.
        root: folder of the data set.
        scores: CSV of scores of an image folder.
        file_column: its column of paths; null finds it by its name.
        score_column: its column of scores; null finds it by its name.
        crop: "centre", or "detector" (MTCNN, an extra).
        max_bad_share: share of unreadable images above which loading fails.
        limit: only the first so many images of CelebA.
    """

    kind: str = MISSING
    size: int = 64
    restrict: float | None = None
    count: int = 10_000
    seed: int = 0
    root: str | None = None
    scores: str | None = None
    file_column: str | None = None
    score_column: str | None = None
    crop: str = "centre"
    max_bad_share: float = 0.01
    limit: int | None = None
    wanted: str | None = None


@dataclass
class CodebookConfig:
    """How a VQ-VAE's codebook learns; see `vqlso.generators.quantizer.CodebookSettings`.

    Attributes:
        update: "ema" for running means of what each code stands for, or "gradient".
        data_init: whether the codes start at k-means centres of the first batch.
        revival: whether codes that are hardly used are replaced.
    """

    update: str = "ema"
    data_init: bool = True
    revival: bool = True


@dataclass
class GeneratorConfig:
    """The generator and its training; see `VQVAESettings` and `VQVAETraining`.

    Attributes:
        kind: one of `vqlso list`, chosen as generator=NAME.
        width: filters of the first stage; each other of a VQ-VAE is twice as wide as the one
            before.
        categories: K, number of codes of a VQ-VAE.
        dimension: of a VQ-VAE D, length of a code's vector; of a VAE the length of the latent.
        residual_blocks: of a VQ-VAE, in the encoder and in the decoder.
        downsampling: side of a VQ-VAE's cell in pixels.
        epochs: passes over the training set.
        batch_size: images a step.
        learning_rate: Adam's.
        decay: "none", or "cosine" to let the learning rate fall to zero.
        checkpoint: weights to use instead of training.
        samples: latents that a search starts from where the generator cannot encode images.
        space: the latent space that is searched: "z", "w", "w+" or "s" of a GAN, "coarse" or "z"
            of a diffusion model.
        truncation: psi of the samples of "w", "w+" and "s"; 1 leaves them as they are.
        held: of a PGAN the class in each group that is held, counted from 0, while z is searched;
            null searches both.
        class_values: what is decoded of a PGAN's searched classes: the "nearest" class, or any
            mixture of them as it is ("free").
        sampling_steps: evaluations of a diffusion model's network for an image.
        seed: of the training.
    """

    kind: str = "vqvae"
    width: int = 64
    categories: int = 256
    dimension: int = 64
    residual_blocks: int = 2
    downsampling: int = 8
    codebook: CodebookConfig = field(default_factory=CodebookConfig)
    epochs: int = 70
    batch_size: int = 128
    learning_rate: float = 1e-3
    decay: str = "none"
    checkpoint: str | None = None
    samples: int = 2000
    space: str | None = None
    truncation: float = 0.7
    held: list[int] | None = None
    class_values: str = "nearest"
    sampling_steps: int = 20
    seed: int = 0


@dataclass
class ObjectiveConfig:
    """The black box and its judge.

    Attributes:
        kind: "classifier" (trained on the data in use), "celeba_dialog" or "callable", chosen as
            objective=NAME.
        checkpoint: CelebA-Dialog's predictor.
        attribute: which of its heads.
        target: "module:function" of a Python callable.
        isolate: whether it runs in a process of its own, where it may hang or die.
        timeout: seconds for an image there; null waits for ever.
        retries: how often an image is asked for again that it raised, hung or died on.
        failures_count: whether an image that it could not score counts as one of `queries`.
        epochs: passes over its people's images when a classifier is trained.
        seed: of that training and of the split of people.
    """

    kind: str = "classifier"
    checkpoint: str | None = None
    attribute: str = "Smiling"
    target: str | None = None
    isolate: bool = False
    timeout: float | None = 600.0
    retries: int = 0
    failures_count: bool = True
    epochs: int = 16
    seed: int = 0


@dataclass
class SurrogateConfig:
    """Boosted trees on codes (paper 003, appendix A.1), or a model with an uncertainty.

    Attributes:
        kind: one of `vqlso list`, chosen as surrogate=NAME.
        trees: how many are grown.
        depth: levels of splits of a tree, at most.
        leaves: of a tree, at most.
        min_samples_leaf: fewest samples of a leaf.
        hidden: units of each layer of DNGO's network.
        inducing: points of the sparse Gaussian process.
        epochs: passes over the archive of DNGO and of the Gaussian process.
        batch_size: of theirs, latents a step.
        learning_rate: of whatever learns by steps.
    """

    kind: str = "lightgbm"
    trees: int = 800
    depth: int = 2
    leaves: int = 5
    min_samples_leaf: int = 20
    learning_rate: float = 0.03
    hidden: list[int] = field(default_factory=lambda: [50, 50, 50])
    inducing: int = 500
    epochs: int = 50
    batch_size: int = 10


@dataclass
class SolverConfig:
    """The search; each solver reads what concerns it.

    Attributes:
        kind: one of `vqlso list`, chosen as solver=NAME.
        t: cells of the grid that a proposal may change; the others keep the reference's codes.
        importance: by which cells are freed: "gain", "split", "permutation" or "shap".
        cells: row-major indices of the cells to free instead of the most important.
        references: how the grids to start from are drawn from the training images:
            "uniform", or "weighted" by the rank of their scores.
        backend: the engine that solves for the best grid, one of `vqlso list`.
        node_limit: of one solve; without one every solve is proven optimal.
        time_limit: seconds of one solve; makes runs unrepeatable.
        density: share of the training latents that the bound on their density leaves outside.
        samples: latents drawn as starting points for each proposal.
        successes: local searches for each proposal.
        min_distance: between two latents of one proposal.
        confidence: standard deviations that are added to the prediction of what is proposed; null
            for expected improvement.
        exploration: score per cell of distance to the nearest known grid; below 0 it stays near.
        plausibility: score given up per nat of the codes' log-probability beside their neighbours.
        least_seen: how often codes, and pairs of neighbours, must have occurred in the training
            set; 0 allows all.
        optima: distinct best grids around each reference.
        population: grids that may have children, or answers of a generation of CMA-ES; null for 100
            and for 4 + 3 ln(dimensions).
        mutation: of a genetic search, the chance of each cell to change; null for one cell a child.
        step: standard deviation of a local search's steps; step size of a zeroth-order search.
        adapts: whether the steps grow with success and shrink with failure.
        steps: base steps that a gradient method tries side by side.
        chains: from how many starts it climbs side by side.
        start: where gradient and zeroth-order methods begin: at the "best" of the starts, or at
            samples of the space ("prior").
        pairs: of a zeroth-order search, behind each estimate of the gradient.
        spread: of these pairs around the centre, a standard deviation.
        optimizer: of Nevergrad, such as "DiscreteOnePlusOne" or paper 001's "DOPO".
        restart_after: proposals after which a local search for an edit direction begins anew.
        share: of the scored samples at each end that an edit direction is learnt from.
        loss: of Enjoy Your Editing, how levels are compared: "cross_entropy",
            "clamped_cross_entropy" or "squared_error".
        content: of Enjoy Your Editing, features that edits are to keep: "random" for untrained
            convolutions, or torchvision's VGG-19 weights; null leaves the term out.
        discriminator: of Enjoy Your Editing, a file that judges realism; null leaves the term out.
    """

    kind: str = "surrogate_based"
    t: int = 8
    importance: str = "gain"
    cells: list[int] | None = None
    references: str = "uniform"
    backend: str = "auto"
    node_limit: int | None = None
    time_limit: float | None = None
    density: float = 0.05
    samples: int = 100_000
    successes: int = 10
    min_distance: float = 0.01
    confidence: float | None = None
    exploration: float = 0.0
    plausibility: float = 0.0
    least_seen: int = 0
    optima: int = 1
    population: int | None = None
    mutation: float | None = None
    step: float = 0.1
    adapts: bool = False
    steps: list[float] = field(default_factory=lambda: [1.0])
    chains: int = 1
    start: str = "best"
    pairs: int = 8
    spread: float = 0.1
    optimizer: str = "DOPO"
    restart_after: int | None = None
    share: float = 0.1
    loss: str = "clamped_cross_entropy"
    content: str | None = None
    discriminator: str | None = None


@dataclass
class RetrainerConfig:
    """Weighted retraining (Tripp et al. 2020); see `pipeline.retraining`.

    Attributes:
        kind: one of `vqlso list`, chosen as retrainer=NAME.
        k: spread of the rank weights; smaller is greedier.
        every: r, queries between two retrainings.
        initial_epochs: passes over as many weighted samples before the first query.
        epochs: passes at each later retraining.
        batch_size: images a step.
        learning_rate: of a fresh Adam each time.
    """

    kind: str = "weighted"
    k: float = 1e-3
    every: int = 5
    initial_epochs: float = 1.0
    epochs: float = 0.1
    batch_size: int = 128
    learning_rate: float = 1e-4


@dataclass
class ShiftConfig:
    """How the generator's distribution is measured after each round.

    Attributes:
        samples: images that are drawn each round; 0 measures nothing.
        components: of the mixture that the latents are drawn from.
        patience: rounds without movement after which the run stops; 0 never stops early.
        tolerance: least change of the mean degree that counts as movement.
    """

    samples: int = 500
    components: int = 32
    patience: int = 0
    tolerance: float = 0.02


@dataclass
class MetricsConfig:
    """How results are measured.

    Attributes:
        features: MobileNetV2 weights for the Frechet distance; without them the judge's own
            features serve, and the report says so.
        inception: torch-fidelity's Inception weights; with them the distances are FIDs.
        tap: features of the Inception network, 64, 192, 768 or 2048.
        frechet_images: images of the target distribution that are compared with, at most.
    """

    features: str | None = None
    inception: str | None = None
    tap: int = 2048
    frechet_images: int = 5000


@dataclass
class ExperimentConfig:
    """Everything that decides a run's results, and where they go.

    Attributes:
        name: the experiment.
        task: "search" for scores, "invert" for target images, "edit" for an edit direction,
            "train_gan", "train_pgan", "score_ascent", or "evolve" by a person.
        seed: of the loop; data, generator and scorers have their own.
        queries: images that the black box may score; of an inversion, for each target.
        batch: latents a proposal; of an inversion, for each target.
        threads: of every library; null takes the cores that are there, at most 4.
        out: run folder; null makes one under runs/.
        cache: decoded images and trained networks; null takes the user's cache folder.
        tracker: what the run is mirrored to beside its folder: "none", "tensorboard", "mlflow" or
            "wandb", all of them offline.
        train_from_scratch: train all networks again, whatever is packaged or cached.
        smoke_test: whether the run only tests the plumbing (size=tiny); the report says so.
    """

    name: str = MISSING
    task: str = "search"
    seed: int = 0
    queries: int = 500
    batch: int = 1
    threads: int | None = None
    out: str | None = None
    cache: str | None = None
    tracker: str = "none"
    train_from_scratch: bool = False
    smoke_test: bool = False
    data: DataConfig = field(default_factory=DataConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    surrogate: SurrogateConfig = field(default_factory=SurrogateConfig)
    solver: SolverConfig = field(default_factory=SolverConfig)
    retrainer: RetrainerConfig = field(default_factory=RetrainerConfig)
    shift: ShiftConfig = field(default_factory=ShiftConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    gan: GANConfig = field(default_factory=GANConfig)
    pgan: PGANConfig = field(default_factory=PGANConfig)
    invert: InvertConfig = field(default_factory=InvertConfig)
    edit: EditConfig = field(default_factory=EditConfig)
    evolve: EvolveConfig = field(default_factory=EvolveConfig)
    ascent: AscentConfig = field(default_factory=AscentConfig)
