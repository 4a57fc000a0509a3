"""What the page asks to be computed; Gradio's queue calls these, one at a time.

Every answer is a JSON object: an error that a person can cause comes back as its "problem", since
a queue's own errors hide their message.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.evolution.generators import NAMED
from pipeline.evolution.page.sessions import OpenSessions
from pipeline.evolution.page.uploads import Uploads
from pipeline.evolution.settings import MOST_IMAGES
from vqlso.errors import ConfigError, VqlsoError

if TYPE_CHECKING:
    from pipeline.evolution.settings import EvolutionSettings

Answer = dict[str, Any]

POPULATIONS = range(2, MOST_IMAGES + 1)
PICKS = range(1, MOST_IMAGES + 1)
_SEEDS = 2**31
_TITLES = {
    "stylegan2": ("StyleGAN2", "continuous latents: images blend"),
    "vqvae": ("VQ-VAE", "discrete codes: images change part by part"),
    "pgan": ("PGAN", "continuous latents and classes of textures"),
}


@dataclass(frozen=True)
class Offer:
    """A generator that a session can be begun with.

    Attributes:
        name: as `EvolutionSettings` has it.
        title: as the page shows it.
        sentence: what is particular about it.
    """

    name: str
    title: str
    sentence: str


def offered(defaults: EvolutionSettings) -> list[Offer]:
    """Those that come with vqlso, and what the command was given."""
    titles = {name: _TITLES.get(name, (name, "comes with vqlso")) for name in NAMED}
    own = titles.pop(defaults.generator, (Path(defaults.generator).name, "your file"))
    return [Offer(name, *words) for name, words in {defaults.generator: own, **titles}.items()]


class Calls:
    """Computations for the page.

    Args:
        sessions: the open ones.
        uploads: photos and archives that sessions may start from.
        defaults: of new sessions.
    """

    def __init__(
        self, sessions: OpenSessions, uploads: Uploads, defaults: EvolutionSettings
    ) -> None:
        self._sessions = sessions
        self._uploads = uploads
        self._defaults = defaults

    def table(self) -> list[tuple[str, Callable[..., Answer]]]:
        """The calls by name, as `Guard` lets them through."""
        return [("begin", self.begin), ("next", self.next), ("back", self.back)]

    def begin(self, wanted: Answer) -> Answer:
        """Start a session.

        Args:
            wanted: what the form has: "generator", "start" ("random", "photo" or "session"),
                "population", "picks", "seed", and "upload" and "target" as `Uploads` named them.
        """
        return _answered(lambda: {"session": self._begun(wanted)})

    def next(self, session: str, shown: str, counts: list[int], mutation: float | None) -> Answer:
        """Take the picks and make the next generation; see `OpenSessions.advance`."""

        def go() -> Answer:
            self._sessions.advance(session, shown, counts, mutation)
            return {}

        return _answered(go)

    def back(self, session: str, step: int) -> Answer:
        """Return to an earlier step; see `OpenSessions.go_back`."""

        def go() -> Answer:
            self._sessions.go_back(session, step)
            return {}

        return _answered(go)

    def _begun(self, wanted: Answer) -> str:
        start = wanted.get("start")
        if start == "session":
            return self._sessions.restore(self._uploads.get(str(wanted.get("upload"))))
        if start not in {"random", "photo"}:
            raise ConfigError("A session starts at random, from a photo or from a saved session.")
        generator = self._generator(wanted.get("generator"))
        settings = replace(
            self._defaults,
            generator=generator,
            # One generator's spaces are not another's.
            space=self._defaults.space if generator == self._defaults.generator else None,
            start=start,
            photo=self._uploads.get(str(wanted.get("upload"))) if start == "photo" else None,
            target=self._uploads.get(str(wanted["target"])) if wanted.get("target") else None,
            population=_number(wanted, "population", POPULATIONS),
            picks=_number(wanted, "picks", PICKS),
            seed=secrets.randbelow(_SEEDS)
            if wanted.get("seed") is None
            else _number(wanted, "seed", range(_SEEDS)),
        )
        return self._sessions.begin(settings)

    def _generator(self, wanted: Any) -> str:
        """A page names no files: it chooses among what is offered."""
        if wanted in [offer.name for offer in offered(self._defaults)]:
            return str(wanted)
        raise ConfigError(
            "This generator is not offered. To use another, start `vqlso evolve --generator FILE`."
        )


def _number(wanted: Answer, name: str, allowed: range) -> int:
    value = wanted.get(name)
    if not isinstance(value, int) or value not in allowed:
        raise ConfigError(f"{name} must be a whole number from {allowed[0]} to {allowed[-1]}.")
    return value


def _answered(go: Callable[[], Answer]) -> Answer:
    try:
        return go()
    except VqlsoError as error:
        return {"problem": str(error)}
