"""Runs that are killed at random moments and continued: does each end as if it never had been?

    python -m benchmarks.faults.kills
    python -m benchmarks.faults.kills --kills 6 --subjects search

Half of the moments are drawn evenly from the whole run, half from one stage of it, so that short
stages (a fit, a write) are struck as well. A continued run may be killed again. Whoever survives
must have the journal and the summary of a run that nothing interrupted, but for times, and the
same files; what does not is kept with its story in --keep.

The runs are small and mean nothing: 16 pixels, a few epochs, everything trained anew each time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.extra_tables import printed, titled
from benchmarks.faults.forks import Moment, ended, timed
from benchmarks.faults.stages import NAMES, WHOLE
from benchmarks.faults.subjects import SUBJECTS, Subject
from benchmarks.recording import RESULTS, Recording
from vqlso.randomness import stream

SHARES = {"search": 0.76, "invert": 0.08, "train_gan": 0.08, "sweep": 0.08}
KILLED_AGAIN = 0.25
Seconds = Mapping[str, Sequence[float]]


@dataclass
class Tally:
    """What became of the killed runs of one subject.

    Attributes:
        subject: its kind.
        runs: that were killed at least once and then continued to an end.
        kills: by the stage that they struck.
        missed: moments that a run did not live to see.
        lost: runs that ended otherwise than the uninterrupted one, each with what differs.
    """

    subject: str
    runs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    lost: list[str] = field(default_factory=list)


def tallied(kind: str, kills: int, seed: int, place: Path, keep: Path | None) -> Tally:
    """Kill runs of one subject until there were so many kills."""
    model = Subject(kind, place / kind)
    seconds = timed(model.begin(), place / "first.log")
    expected = model.story()
    tally = Tally(kind)
    number = 0
    while tally.kills.total() < kills:
        # In the folder of the first run: whatever holds a path is then the same.
        shutil.rmtree(model.folder)
        rng = stream(seed, f"kills of {kind}", number)
        difference = _survived(model, seconds, rng, tally, place / "run.log", expected)
        if difference:
            tally.lost.append(f"{kind} {number}: {difference}")
            if keep:
                shutil.copytree(model.folder, keep / f"{kind}-{number}", dirs_exist_ok=True)
        number += 1
        struck = tally.kills.total()
        print(f"{kind}: {struck} kills, {len(tally.lost)} lost", file=sys.stderr, flush=True)
    return tally


def _survived(
    model: Subject,
    seconds: Seconds,
    rng: np.random.Generator,
    tally: Tally,
    log: Path,
    expected: Mapping[str, Any],
) -> str:
    """Kill a run, perhaps twice, and let it end; returns how it differs from the expected one."""
    arguments, struck = model.begin(), 0
    for last in (rng.random() >= KILLED_AGAIN, True):
        end = ended(arguments, log, moment(seconds, rng))
        if not end.killed:
            tally.missed += 1
            if end.code:
                return f"it failed by itself: {end.output[-2000:]}"
            break
        tally.kills[end.stage] += 1
        struck += 1
        arguments = model.carry_on()
        if last:
            break
    tally.runs += bool(struck)
    end = ended(model.carry_on(), log)
    if end.code:
        return f"it could not be continued ({end.code}): {end.output[-2000:]}"
    return difference(expected, model.story())


def moment(seconds: Seconds, rng: np.random.Generator) -> Moment:
    """Drawn from the whole run, or from one of the stages that it has."""
    stages = [name for name in NAMES if name != WHOLE and seconds[name]]
    stage = WHOLE if rng.random() < 0.5 else stages[rng.integers(len(stages))]
    call = int(rng.integers(len(seconds[stage])))
    return Moment(stage, call + 1, float(rng.random() * seconds[stage][call]))


def difference(expected: Mapping[str, Any], story: Mapping[str, Any]) -> str:
    """The first thing that two runs do not share; empty if they are the same."""
    for name in expected.keys() | story.keys():
        one, other = expected.get(name), story.get(name)
        if one != other:
            pairs = zip(one, other, strict=False) if isinstance(one, list) and other else ()
            where = next(((a, b) for a, b in pairs if a != b), (one, other))
            return f"{name}: {json.dumps(where[0])[:300]} became {json.dumps(where[1])[:300]}"
    return ""


def tables(found: Sequence[Tally]) -> Iterator[dict[str, Any]]:
    """Kills by subject, and by stage."""
    rows = [
        [each.subject, each.kills.total(), each.runs, each.runs - len(each.lost), len(each.lost)]
        for each in found
    ]
    rows.append(["all", *(sum(int(row[place]) for row in rows) for place in range(1, 5))])
    heads = ["run", "kills", "runs killed (some twice)", "ended as if never killed", "lost"]
    yield titled("Kills by what was run", heads, [list(map(str, row)) for row in rows])
    struck = sum((each.kills for each in found), Counter[str]())
    known = [[name, str(struck[name])] for name in NAMES if struck[name]]
    yield titled("Kills by what the run was doing", ["stage", "kills"], known)


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill, continue, compare; exits with 1 if anything was lost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=220, help="in all")
    parser.add_argument("--subjects", default=",".join(SUBJECTS), help="some of them")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--keep", type=Path, help="folder for what was lost")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for kills.json")
    options = parser.parse_args(arguments)
    subjects = options.subjects.split(",")
    if unknown := set(subjects) - set(SUBJECTS):
        parser.error(f"unknown subjects {', '.join(sorted(unknown))}")
    told = sys.argv[1:] if arguments is None else arguments
    command = " ".join(["python -m benchmarks.faults.kills", *told])
    found: list[Tally] = []
    total = sum(SHARES[kind] for kind in subjects)
    with (
        Recording("kills", command, {"seed": options.seed}, ("torch",), options.results) as kept,
        tempfile.TemporaryDirectory() as place,
    ):
        for kind in subjects:
            kills = round(options.kills * SHARES[kind] / total)
            found.append(tallied(kind, kills, options.seed, Path(place), options.keep))
        kept.extra = {"lost": [each.lost for each in found], "tables": list(tables(found))}
        print(printed(kept.extra["tables"]))
    for line in (line for each in found for line in each.lost):
        print(line, file=sys.stderr)
    sys.exit(any(each.lost for each in found))


if __name__ == "__main__":
    main()
