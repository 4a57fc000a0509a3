"""The report of a person's session: what was picked, step by step, and what it came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from omegaconf import OmegaConf

from pipeline.evolution.record import PHOTO, TARGET, Answer, Return, course, line
from pipeline.pictures import data_uri, embedded, grid
from pipeline.report.digits import DEGREES
from pipeline.report.template import template
from pipeline.runs.folder import RunFolder


@dataclass(frozen=True)
class Choice:
    """A picked image.

    Attributes:
        picture: a data URI.
        count: how often it was picked.
    """

    picture: str
    count: int


@dataclass(frozen=True)
class StepOnPage:
    """A step of the way to the last generation.

    Attributes:
        number: from 1, as people count.
        mutation: the size that its images were made with; None where they were drawn at random.
        images: how many were shown.
        seconds: that the person took.
        choices: the most often picked first.
    """

    number: int
    mutation: float | None
    images: int
    seconds: float
    choices: tuple[Choice, ...]


def render_evolution(folder: RunFolder) -> str:
    """The page's HTML, from the folder alone.

    Raises:
        RunFolderError: the journal or an image is damaged.
    """
    config = folder.read_settings()
    settings = OmegaConf.to_container(OmegaConf.create(config))
    events = folder.journal.events()
    moves = list(course(events))
    answers = line(events)
    steps = [_step(folder, number, answer) for number, answer in enumerate(answers)]
    return template("evolution.html.j2", DEGREES).render(
        settings=settings,
        config=config,
        runs=folder.named.parent,
        command=folder.read_json("environment.json").get("command"),
        generator=folder.read_json("preparation.json")["generator"],
        given=_given(folder),
        steps=steps,
        favourite=steps[-1].choices[0].picture if steps else None,
        shown=sum(len(move.events) for move in moves if isinstance(move, Answer)),
        returns=sum(isinstance(move, Return) for move in moves),
        left=sum(isinstance(move, Answer) for move in moves) - len(answers),
        seconds=sum(_seconds(move) for move in moves if isinstance(move, Answer)),
    )


def _step(folder: RunFolder, number: int, answer: Answer) -> StepOnPage:
    # A sort keeps the order of equals: the first choice is the favourite.
    picked = sorted(answer.picked, key=lambda each: -each[1])
    return StepOnPage(
        number=number + 1,
        mutation=answer.mutation if number or (folder.path / PHOTO).is_file() else None,
        images=len(answer.events),
        seconds=_seconds(answer),
        choices=tuple(
            Choice(_picture(folder, answer.events[row]["id"]), count) for row, count in picked
        ),
    )


def _picture(folder: RunFolder, id_: int) -> str:
    return data_uri(grid(np.stack([folder.read_image(id_)]), columns=1))


def _seconds(answer: Answer) -> float:
    """The images of a generation share the time that it took."""
    return float(sum(event["time"]["seconds"].get("score", 0.0) for event in answer.events))


def _given(folder: RunFolder) -> Sequence[tuple[str, str]]:
    """What the person brought along, in words and as data URIs."""
    names = {PHOTO: "The photo that it began from", TARGET: "The picture that was shown beside"}
    return [
        (words, embedded((folder.path / name).read_bytes()))
        for name, words in names.items()
        if (folder.path / name).is_file()
    ]
