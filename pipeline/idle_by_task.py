"""Settings that a task does not read, and those that only one task reads."""

from __future__ import annotations

from pipeline.idle import Idle

IDLE_BY_TASK = (
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
            "solver.samples",
            "solver.successes",
            "solver.min_distance",
            "solver.exploration",
            "solver.plausibility",
            "solver.least_seen",
            "solver.optima",
        ),
        lambda config: config.task == "invert",
        "invert, which searches for target images by the generator alone",
        "run another experiment",
    ),
    Idle(
        ("gan.",),
        lambda config: config.task != "train_gan",
        "an experiment that trains no GAN",
        "run train_stylegan2",
    ),
    Idle(
        ("generator.", "objective.", "surrogate.", "solver.", "retrainer.", "shift.", "metrics."),
        lambda config: config.task == "train_gan",
        "train_stylegan2, which only trains",
        "run another experiment",
    ),
    Idle(
        ("invert.",),
        lambda config: config.task != "invert",
        "an experiment that searches for no target",
        "run invert",
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
)
