"""The loop as one would write it from the paper, out of LightGBM, ENTMOOT, HiGHS and plain PyTorch.

Every query fits LightGBM from scratch, encodes all of its trees and has HiGHS solve the program;
every retraining is a float32 loop with Adam as it comes, and encodes the whole archive in float32.
What it shares with our loop are data, first networks, draws, codebook, loss and scoring.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import lightgbm
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.trees.peers import Answer, Question
from benchmarks.whole_stages import Queried, Stages, TimedArchive, timed
from pipeline.configuration.settings import ExperimentConfig
from vqlso.contracts import Objective
from vqlso.generators.vqvae import VQVAE, VQVAENetwork
from vqlso.images import to_unit
from vqlso.problems.image_score import ImageScore
from vqlso.randomness import stream
from vqlso.records import Context, Proposal, SolveStatus
from vqlso.training.vqvae import vqvae_loss
from vqlso.training.weighting import Batches, rank_weights, weighted_draws

ENCODED_AT_ONCE = 256
SOLVE_SECONDS = 600.0

Ask = Callable[[Question], Answer]


class Straightforward:
    """One search by the loop of this module.

    Args:
        config: the same as our loop's.
        generator: before any retraining.
        objective: the scorer.
        archive: the scored training set; grows.
        threads: of LightGBM; torch has its own setting.
        ask: solves one query.
    """

    name = "straightforward"

    def __init__(
        self,
        config: ExperimentConfig,
        generator: VQVAE,
        objective: Objective,
        archive: TimedArchive,
        threads: int,
        ask: Ask,
    ) -> None:
        self.config = config
        self.generator = generator
        self.problem = ImageScore(generator, objective)
        self.archive = archive
        self.threads = threads
        self.ask = ask
        self.round = 0

    def retrain(self) -> Stages:
        """Fine-tune on weighted draws, and encode the archive anew."""
        seconds: Stages = {}
        self.round += 1
        chosen, seed = self.config.retrainer, self.config.seed
        with timed(seconds, "retrain"):
            share = chosen.initial_epochs if self.round == 1 else chosen.epochs
            batches = weighted_draws(
                rank_weights(self.archive.scores, chosen.k),
                max(1, round(share * len(self.archive))),
                chosen.batch_size,
                stream(seed, "retraining batches", self.round),
            )
            network = finetuned(self.generator.network, self.archive, batches, chosen.learning_rate)
        with timed(seconds, "other"):
            self.generator = VQVAE(network)
            self.problem = self.problem.moved_to(self.generator)
            version = self.generator.version
        self.archive.reencode(lambda images: encoded(network, to_unit(images)), version)
        return seconds | {"re-encode": self.archive.seconds}

    def query(self, number: int) -> tuple[Stages, Queried]:
        """Query `number`: fit, build, solve, check, decode and score, keep."""
        seconds: Stages = {}
        with timed(seconds, "fit"):
            booster = self._fitted()
        with timed(seconds, "other"):
            question = self._question(booster, number)
        answer = self.ask(question)
        seconds |= {"build": answer.prepare_seconds + answer.build_seconds}
        seconds |= {"solve": answer.solve_seconds}
        if answer.z is None:
            raise RuntimeError(f"Query {number} was not solved: {answer.status}.")
        with timed(seconds, "verify"):
            predicted = booster.predict(answer.z[None].astype(np.float64))
        with timed(seconds, "decode and score"):
            proposal = self._proposal(number, answer, np.asarray(predicted))
            scores = self.problem.evaluate(proposal, Context(self.config.seed, self.round))
        with timed(seconds, "record"):
            self.archive.add(scores.images, scores.values, proposal.z, proposal.version)
        return seconds, Queried(number, float(scores.values[0]), scores.images[0])

    def _fitted(self) -> lightgbm.Booster:
        chosen = self.config.surrogate
        codes = self.archive.latents(self.archive.version)
        flat = codes.reshape(len(codes), -1).astype(np.float64)
        parameters = {
            "objective": "regression",
            "max_depth": chosen.depth,
            "num_leaves": chosen.leaves,
            "min_data_in_leaf": chosen.min_samples_leaf,
            "learning_rate": chosen.learning_rate,
            "num_threads": self.threads,
            "verbosity": -1,
        }
        categorical = list(range(flat.shape[1]))
        data = lightgbm.Dataset(flat, self.archive.scores, categorical_feature=categorical)
        return lightgbm.train(parameters, data, num_boost_round=chosen.trees)

    def _question(self, booster: lightgbm.Booster, number: int) -> Question:
        gain = booster.feature_importance(importance_type="gain")
        free = np.sort(np.argsort(-gain, kind="stable")[: self.config.solver.t])
        row = stream(self.config.seed, "reference", number).integers(self.archive.base)
        reference = self.archive.latents(self.archive.version)[row].ravel()
        return Question(
            booster, self.generator.space.categories, False, free, reference, SOLVE_SECONDS
        )

    def _proposal(self, number: int, answer: Answer, predicted: NDArray[np.float64]) -> Proposal:
        space = self.generator.space
        assert answer.z is not None
        return Proposal(
            ids=np.array([number]),
            z=answer.z.reshape(1, *space.shape),
            space=space.name,
            version=self.archive.version,
            parents=np.array([-1]),
            predicted=predicted,
            acquisition=predicted,
            bound=np.array([answer.bound]),
            status=(SolveStatus.OPTIMAL,),
        )


def finetuned(
    network: VQVAENetwork, archive: TimedArchive, batches: Batches, learning_rate: float
) -> VQVAENetwork:
    """A copy trained further: float32, contiguous memory, torch's default Adam."""
    copied = copy.deepcopy(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    # Codes are not revived in our fine-tuning either (`vqlso.training.vqvae`).
    copied.quantizer.settings = replace(copied.quantizer.settings, revival=False)
    copied.requires_grad_(True).train()
    optimiser = torch.optim.Adam(copied.parameters(), lr=learning_rate)
    for rows in batches:
        pixels = torch.from_numpy(archive.images(rows)).float() / 127.5 - 1
        loss, _ = vqvae_loss(copied, pixels, rows)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    copied.quantizer.settings = network.quantizer.settings
    done: VQVAENetwork = copied.eval()
    return done


def encoded(network: VQVAENetwork, images: Tensor) -> NDArray[np.int64]:
    """(n, 3, H, W) in [0, 1] -> (n, h, w) codes, in float32 throughout."""
    codes = []
    with torch.inference_mode():
        for batch in torch.split(images * 2 - 1, ENCODED_AT_ONCE):
            flat = network.encoder(batch).permute(0, 2, 3, 1)
            nearest = network.quantizer.nearest(flat.reshape(-1, flat.shape[-1]))
            codes.append(nearest.view(flat.shape[:3]))
    return torch.cat(codes).numpy()
