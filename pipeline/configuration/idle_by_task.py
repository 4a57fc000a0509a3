"""Settings that a task does not read, and those that only one task reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.configuration.idle import SAMPLED, Idle

if TYPE_CHECKING:
    from pipeline.configuration.settings import ExperimentConfig


def _climbing_but(*methods: str) -> Callable[[ExperimentConfig], bool]:
    return lambda config: config.ascent.method not in methods


IDLE_BY_TASK = (
    Idle(
        (
            "data.",
            "generator.samples",
            "objective.",
            "retrainer.",
            "shift.",
            "metrics.",
            "solver.density",
            "solver.samples",
            "solver.successes",
            "solver.min_distance",
            "solver.confidence",
        ),
        lambda config: config.task == "invert",
        "invert, which searches for target images by the generator alone",
        "run another experiment",
    ),
    Idle(
        (
            "surrogate.",
            "solver.t",
            "solver.cells",
            "solver.importance",
            "solver.references",
            "solver.backend",
            "solver.node_limit",
            "solver.time_limit",
            "solver.exploration",
            "solver.plausibility",
            "solver.least_seen",
            "solver.optima",
        ),
        lambda config: config.task == "invert" and config.solver.kind != "surrogate_based",
        "solver={solver.kind} of invert, which fits no surrogate",
        "add solver=surrogate_based with generator=vqvae",
    ),
    Idle(
        ("gan.",),
        lambda config: config.task != "train_gan",
        "an experiment that trains no GAN",
        "run train_stylegan2",
    ),
    Idle(
        ("generator.", "objective.", "surrogate.", "solver.", "retrainer.", "shift.", "metrics."),
        lambda config: config.task in ("train_gan", "train_pgan"),
        "{name}, which only trains",
        "run another experiment",
    ),
    Idle(
        ("pgan.",),
        lambda config: config.task != "train_pgan",
        "an experiment that trains no PGAN",
        "run train_pgan",
    ),
    Idle(
        ("pgan.class_weight", "pgan.generator_class_weight"),
        lambda config: not config.pgan.conditional,
        "pgan.conditional=false",
        "leave pgan.conditional out",
    ),
    Idle(
        ("invert.",),
        lambda config: config.task != "invert",
        "an experiment that searches for no target",
        "run invert",
    ),
    Idle(
        (
            "data.",
            "generator.samples",
            "objective.",
            "surrogate.",
            "retrainer.",
            "shift.",
            "metrics.",
            "solver.t",
            "solver.cells",
            "solver.importance",
            "solver.references",
            "solver.backend",
            "solver.node_limit",
            "solver.time_limit",
            "solver.density",
            "solver.successes",
            "solver.min_distance",
            "solver.confidence",
            "solver.exploration",
            "solver.plausibility",
            "solver.least_seen",
            "solver.optima",
        ),
        lambda config: config.task == "edit",
        "edit_smile, whose attribute is edit.attribute",
        "run another experiment",
    ),
    Idle(
        ("solver.samples",),
        lambda config: config.task == "edit" and config.solver.kind not in SAMPLED,
        "solver={solver.kind}",
        "add solver=interfacegan",
    ),
    Idle(
        ("edit.",),
        lambda config: config.task != "edit",
        "an experiment that finds no edit direction",
        "run edit_smile",
    ),
    Idle(
        ("invert.samples",),
        lambda config: config.invert.target is not None,
        "invert.target, which is searched for instead",
        "leave invert.target out",
    ),
    Idle(
        ("invert.features",),
        lambda config: config.invert.criterion == "l2",
        "invert.criterion=l2, which compares pixels only",
        "set invert.criterion=l2+features",
    ),
    Idle(
        ("invert.discriminator",),
        lambda config: (
            config.invert.realism == 0
            or (config.invert.realism is None and config.invert.criterion == "l2")
        ),
        "a criterion without realism",
        "add invert.realism=1",
    ),
    Idle(
        ("evolve.",),
        lambda config: config.task != "evolve",
        "an experiment that no person takes part in",
        "use vqlso evolve",
    ),
    Idle(
        ("ascent.",),
        lambda config: config.task != "score_ascent",
        "an experiment that climbs no score",
        "run score_ascent",
    ),
    Idle(
        ("generator.samples", "retrainer.", "shift.", "metrics."),
        lambda config: config.task == "score_ascent",
        "score_ascent, which starts from ascent.starts samples",
        "run another experiment",
    ),
    *(
        Idle(
            keys,
            _climbing_but(*methods),
            "ascent.method={ascent.method}",
            f"add method={remedy}",
        )
        for keys, methods, remedy in (
            (("solver.",), ("search", "super_resolution"), "sphere"),
            (("surrogate.", "ascent.prior"), ("search",), "surrogate"),
            (("ascent.learning_rate", "ascent.anchor"), ("finetune", "reinforce"), "finetune"),
            (("ascent.noise",), ("reinforce",), "reinforce"),
            (("ascent.asked", "ascent.refit"), ("conditional",), "conditional"),
            (("ascent.picture", "ascent.factor"), ("super_resolution",), "super_resolution"),
            (
                ("data.", "objective.", "ascent.score"),
                ("search", "finetune", "reinforce", "conditional"),
                "sphere",
            ),
        )
    ),
    Idle(
        ("objective.", "data."),
        lambda config: config.ascent.score != "objective",
        "ascent.score={ascent.score}",
        "leave ascent.score out",
    ),
    Idle(
        ("ascent.discriminator",),
        lambda config: config.ascent.score != "discriminator",
        "ascent.score={ascent.score}",
        "add ascent.score=discriminator",
    ),
    Idle(
        ("ascent.text", "ascent.model"),
        lambda config: config.ascent.score != "text",
        "ascent.score={ascent.score}",
        "add method=text",
    ),
)
