"""Damaged and hostile input by the hundred thousand: is each read, or refused with a message?

    python -m benchmarks.faults.fuzz --cases 100000
    python -m benchmarks.faults.fuzz --cases 2000 --targets journal "session (zip)"

Hypothesis makes the inputs from valid ones. Each reader gets them in a process of its own, with an
audit hook that hears what is run, opened and written, a limit of memory and one of time a case
(fuzz_watching.py). An input passes if it is read, or ends in an error that is meant for a person.

What was done is kept in --results, in portions: the command goes on where it was interrupted.
Inputs that did not pass lie beside, named by their hash.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import process_time
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from benchmarks.extra_tables import printed, titled
from benchmarks.faults.fuzz_targets import TARGETS, Target
from benchmarks.faults.fuzz_watching import Watch, peak_mib
from benchmarks.recording import RESULTS, Recording

PORTION = 1000
Portion = dict[str, Any]


def portions(name: str, cases: int, begun: int, results: Path) -> Iterator[Portion]:
    """What becomes of so many cases, in portions; done ones are read from the results.

    Args:
        name: of the target.
        cases: in all.
        begun: seed of all portions.
        results: folder of what is done.
    """
    done = results / f"{_file_name(name)}.jsonl"
    lines = done.read_text(encoding="utf-8").splitlines() if done.is_file() else []
    kept = {(each["seed"], each["number"], each["asked"]): each for each in map(json.loads, lines)}
    for number in range(-(-cases // PORTION)):
        asked = min(PORTION, cases - number * PORTION)
        portion = kept.get((begun, number, asked))
        if portion is None:
            portion = in_a_fork(name, begun, number, asked, results)
            with done.open("a", encoding="utf-8") as file:
                file.write(json.dumps(portion) + "\n")
        yield portion


def in_a_fork(name: str, begun: int, number: int, cases: int, results: Path) -> Portion:
    """One portion, in a process that ends with it."""
    with tempfile.TemporaryDirectory() as place:
        told = Path(place) / "told.json"
        process = os.fork()
        if not process:
            code = 1
            try:
                portion = watched(
                    TARGETS[name], begun, number, cases, Path(place) / "given", results
                )
                told.write_text(json.dumps(portion), encoding="utf-8")
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        facts = {"seed": begun, "number": number, "asked": cases}
        if status or not told.is_file():
            ended = {"cases": 0, "refused": 0, "accepted": 0, "seconds": 0.0, "peak": 0.0}
            return facts | ended | {"defects": [f"the process ended with {status}"]}
        return facts | json.loads(told.read_text(encoding="utf-8"))


def watched(
    target: Target, begun: int, number: int, cases: int, folder: Path, results: Path
) -> Portion:
    """One portion, in this process, which is never the same again."""
    folder.mkdir()
    inputs, watch = target.inputs(), Watch(folder)

    def one(content: Any) -> object:
        return target.read(content, folder)

    def drawn(watch: Watch, cases: int, entropy: str) -> None:
        @seed(int.from_bytes(hashlib.sha256(entropy.encode()).digest()[:8]))
        @settings(
            max_examples=cases,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(inputs)
        def each(content: Any) -> None:
            watch.case(one, content)

        each()

    drawn(Watch(folder), 50, "what readers load when they are first used")
    watch.begin()
    peak, started = peak_mib(), process_time()
    drawn(watch, cases, f"{begun} {number}")
    seconds, grown = process_time() - started, peak_mib() - peak
    for content in watch.defects.values():
        place = results / "inputs" / hashlib.sha256(content).hexdigest()[:16]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return {
        "cases": watch.refused + watch.accepted + watch.failed,
        "refused": watch.refused,
        "accepted": watch.accepted,
        "seconds": round(seconds, 3),
        "peak": round(grown, 1),
        "defects": sorted(watch.defects),
    }


def table(found: Mapping[str, Sequence[Portion]]) -> dict[str, Any]:
    """Counts by target."""
    rows = []
    for name, parts in found.items():
        cases, refused, accepted = (
            sum(each[key] for each in parts) for key in ("cases", "refused", "accepted")
        )
        seconds = sum(each["seconds"] for each in parts)
        speed, peak = cases / max(seconds, 1e-9), max(each["peak"] for each in parts)
        defects = len({line for each in parts for line in each["defects"]})
        rows.append([name, cases, refused, accepted, defects, round(speed), round(peak)])
    rows.append(["all", *(sum(row[place] for row in rows) for place in range(1, 5)), "", ""])
    heads = ["input", "cases", "refused", "read", "defects", "cases a second", "MiB more"]
    return titled("Fuzzed input", heads, [list(map(str, row)) for row in rows])


def main(arguments: Sequence[str] | None = None) -> None:
    """Fuzz, tell, and exit with 1 if anything did not pass."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=100_000, help="in all")
    parser.add_argument("--targets", nargs="+", default=list(TARGETS), help="some of them")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for fuzz.json")
    options = parser.parse_args(arguments)
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"unknown targets {', '.join(sorted(unknown))}")
    told = sys.argv[1:] if arguments is None else arguments
    command = " ".join(["python -m benchmarks.faults.fuzz", *told])
    kept_in = options.results / "fuzz"
    kept_in.mkdir(parents=True, exist_ok=True)
    total = sum(TARGETS[name].share for name in options.targets)
    found: dict[str, list[Portion]] = {}
    with Recording(
        "fuzz", command, {"seed": options.seed}, ("hypothesis",), options.results
    ) as kept:
        for name in options.targets:
            cases = max(1, round(options.cases * TARGETS[name].share / total))
            found[name] = list(portions(name, cases, options.seed, kept_in))
            print(f"{name}: {sum(each['cases'] for each in found[name])} cases", file=sys.stderr)
        defects = {
            name: sorted({line for each in parts for line in each["defects"]})
            for name, parts in found.items()
        }
        kept.extra = {"defects": defects, "tables": [table(found)]}
        print(printed(kept.extra["tables"]))
    for name, lines in defects.items():
        for line in lines:
            print(f"{name}: {line}", file=sys.stderr)
    sys.exit(any(defects.values()))


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)


if __name__ == "__main__":
    main()
