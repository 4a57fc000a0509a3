"""What a session is begun with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from pipeline.configuration.settings import DataConfig, ExperimentConfig, GeneratorConfig
from pipeline.configuration.task_settings import EvolveConfig
from pipeline.parts.generators import FAMILIES, GENERATORS
from vqlso.errors import ConfigError

Start = Literal["random", "photo"]

TASK = "evolve"
MOST_IMAGES = 400  # that a generation may have: more than anybody looks at
MOST_TRUNCATION = 10.0  # above 1 it exaggerates; without a bound it overflows
MOST_SEED = 2**63 - 1


@dataclass(frozen=True)
class EvolutionSettings:
    """What decides a session, but for the picks.

    Attributes:
        generator: "stylegan2", "pgan" or "vqvae", or the path of a generator's file.
        start: where the first generation comes from, random latents or a photo.
        photo: the picture's file content, in any format that Pillow reads; an opened session has
            the square that was made of it, as a PNG.
        population: images a generation.
        picks: clicks that a person is asked for; 1 is the paper's way with clothes (V-D3).
        space: the latent space that is searched; None for the generator's own choice.
        truncation: psi of the samples of a GAN's "w", "w+" and "s"; 1 leaves them as they are.
        seed: of everything drawn.
        target: a picture that is shown beside, as `photo`; None where it exists only in the mind.

    Raises:
        ConfigError: a value that cannot be used.
    """

    generator: str = "stylegan2"
    start: Start = "random"
    photo: bytes | None = None
    population: int = 28
    picks: int = 5
    space: str | None = None
    truncation: float = 0.7
    seed: int = 0
    target: bytes | None = None

    def __post_init__(self) -> None:
        if self.start not in ("random", "photo"):
            raise ConfigError(f"A session starts 'random' or from a 'photo', not '{self.start}'.")
        if (self.photo is None) == (self.start == "photo"):
            raise ConfigError("start='photo' and a photo go together: give both or none of them.")
        if not 2 <= self.population <= MOST_IMAGES or not 1 <= self.picks <= self.population:
            raise ConfigError(
                f"A generation has 2 to {MOST_IMAGES} images, of which 1 to all are picked; got "
                f"population={self.population} and picks={self.picks}."
            )
        if not 0 <= self.truncation <= MOST_TRUNCATION:
            raise ConfigError(
                f"truncation is at least 0 and at most {MOST_TRUNCATION:g}; got {self.truncation}."
            )
        if not 0 <= self.seed <= MOST_SEED:
            raise ConfigError(f"seed is at least 0 and at most 2^63 - 1; got {self.seed}.")

    def as_config(self, kind: str) -> ExperimentConfig:
        """The configuration of the session's run folder.

        Args:
            kind: of the generator's file, such as "stylegan3-t".
        """
        family = FAMILIES.get(kind, kind)
        if family not in GENERATORS:
            raise ConfigError(
                f"No session can be begun with a generator of kind '{kind}'. "
                f"Known: {', '.join(GENERATORS)}."
            )
        return ExperimentConfig(
            name=TASK,
            task=TASK,
            seed=self.seed,
            data=DataConfig(kind="faces"),  # nothing reads them here, but none may be missing
            generator=GeneratorConfig(
                kind=family,
                checkpoint=None if self.generator in GENERATORS else self.generator,
                space=self.space,
                truncation=self.truncation,
            ),
            evolve=EvolveConfig(start=self.start, population=self.population, picks=self.picks),
        )

    @classmethod
    def of(
        cls, config: ExperimentConfig, photo: bytes | None, target: bytes | None
    ) -> EvolutionSettings:
        """The settings behind a run folder's configuration, with its pictures.

        Raises:
            ConfigError: values that no session can have.
        """
        return cls(
            generator=config.generator.checkpoint or config.generator.kind,
            start=cast(Start, config.evolve.start),
            photo=photo,
            population=config.evolve.population,
            picks=config.evolve.picks,
            space=config.generator.space,
            truncation=config.generator.truncation,
            seed=config.seed,
            target=target,
        )
