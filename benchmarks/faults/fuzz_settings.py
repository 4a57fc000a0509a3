"""Settings that are not meant: of the right type or not, from the command line or a folder."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from benchmarks.faults.fuzz_inputs import damaged
from pipeline.checks import check
from pipeline.configuration.composition import as_yaml, composed, config_folder, saved
from pipeline.configuration.settings import ExperimentConfig
from pipeline.studies.study import read_study

Change = tuple[str, Any]

TEXTS = st.one_of(
    st.sampled_from(["", "none", "w", "vqvae", "stylegan2", "slsqp", "folder", "callable", "edit"]),
    st.sampled_from(["../x", "/dev/zero", "\0", "os.path:join", "no_such_module:f", "a" * 300]),
    st.text(max_size=6),
)
NUMBERS = st.one_of(st.integers(-2, 70), st.sampled_from([2**31, 2**63, 10**40]))
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int": NUMBERS,
    "float": st.one_of(st.floats(), NUMBERS.map(float)),
    "str": TEXTS,
    "str | None": st.one_of(st.none(), TEXTS),
    "int | None": st.one_of(st.none(), NUMBERS),
    "float | None": st.one_of(st.none(), st.floats()),
}
VALUES = (
    "",
    "1",
    "-1",
    "1e400",
    "nan",
    "null",
    "[1,2]",
    "{a: 1}",
    "'",
    "${seed}",
    "${oc.env:HOME}",
)
WORDS = (
    *(b"null", b"-1", b"1e400", b".nan", b"[]", b"{}", b"- ", b": ", b"\n", b"  ", b"&a ", b"*a"),
    *(b"!!python/object/apply:os.system [echo]", b"_target_: os.system", b"${oc.env:HOME}", b"\t"),
    *(b"a: &a [*a]", b"'", b'"', b"\0", b"???"),
)


@cache
def base() -> ExperimentConfig:
    """Of the smallest run."""
    return composed("demo", ["size=tiny"])


def values() -> st.SearchStrategy[list[Change]]:
    """Other values, of the types that the settings have."""
    # A function that a command names is imported: that is what it is named for.
    kinds = {key: kind for key, kind in _keys(base()).items() if key != "objective.target"}
    keys = {key: kind for key, kind in kinds.items() if kind in KINDS}
    change = st.sampled_from(sorted(keys)).flatmap(
        lambda key: st.tuples(st.just(key), KINDS[keys[key]])
    )
    return st.lists(change, min_size=1, max_size=4)


def check_values(changes: list[Change], _folder: Path) -> object:
    """What is said against such a configuration before anything begins."""
    config: Any = base()
    for key, value in changes:
        config = _with(config, key.split("."), value)
    return check(config)


def overrides() -> st.SearchStrategy[list[str]]:
    """Settings as a person might mistype them."""
    keys = st.sampled_from(
        [*sorted(_keys(base())), "size", "solver", "generator", "data", "nothing"]
    )
    value = st.one_of(st.sampled_from(VALUES), st.text(max_size=8))
    known = st.builds(lambda key, text: f"{key}={text}", keys, value)
    return st.lists(st.one_of(known, known, st.text(max_size=12)), min_size=1, max_size=2)


def compose(given: list[str], _folder: Path) -> object:
    """The configuration of a command line, with what is said against it."""
    return check(composed("demo", given))


def configurations() -> st.SearchStrategy[bytes]:
    """The configuration in a run's folder."""
    return damaged([as_yaml(base()).encode()], WORDS)


def read_configuration(path: Path) -> object:
    """As it is resumed."""
    return check(saved(path))


def studies() -> st.SearchStrategy[bytes]:
    """Files of studies."""
    study = next(iter(sorted((config_folder() / "study").glob("*.yaml"))))
    return damaged([study.read_bytes()], WORDS)


def read_own_study(path: Path) -> object:
    """As `vqlso sweep` reads it."""
    return read_study(str(path))


def _keys(config: Any, prefix: str = "") -> dict[str, str]:
    keys: dict[str, str] = {}
    for each in fields(config):
        value = getattr(config, each.name)
        if is_dataclass(value):
            keys |= _keys(value, f"{prefix}{each.name}.")
        else:
            keys[prefix + each.name] = str(each.type)
    return keys


def _with(config: Any, key: list[str], value: Any) -> Any:
    first, *rest = key
    return replace(config, **{first: _with(getattr(config, first), rest, value) if rest else value})
