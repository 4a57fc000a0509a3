"""What a benchmark writes is what the page reads."""

import json
import os
import time
from pathlib import Path

import pytest

from benchmarks.busy import busy_core
from benchmarks.options import command_of, frame_options, settings_of, whole_numbers
from benchmarks.page import page, section
from benchmarks.paired import Case
from benchmarks.recording import Recording, machine, read_results, write_result
from benchmarks.tables import figure, tables

TWO = Case("5,000 rows", {"ours": [1.0, 2.0, 3.0], "peer": [2.0, 8.0, 6.0]}, table="Rows")


def test_a_recording_reads_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = Recording("toy", "make bench-toy", {"rows": 5}, ("numpy", "no-such"), tmp_path)
    with recording:
        recording.add(TWO)
        recording.extra["trees"] = 800
    found = read_results(tmp_path)["toy"]
    assert found["cases"] == [TWO]
    assert (found["command"], found["settings"], found["trees"]) == (
        "make bench-toy",
        {"rows": 5},
        800,
    )
    assert set(found["machine"]["packages"]) == {"numpy"}
    assert len(found["load"]["before"]) == len(found["load"]["after"]) == 3
    assert "| 5,000 rows | 2.00 (1.00-3.00) | 6.00 (2.00-8.00) | 2.00 (2.00-4.00) |" in (
        capsys.readouterr().out
    )


def test_a_failed_benchmark_leaves_the_older_result(tmp_path: Path) -> None:
    write_result("toy", {"cases": [], "old": True}, tmp_path)
    with pytest.raises(KeyError), Recording("toy", "make bench-toy", folder=tmp_path):
        raise KeyError
    assert read_results(tmp_path)["toy"]["old"]


def test_the_machine_is_named() -> None:
    found = machine(["torch"])
    assert found["cpu"]
    assert found["cores"] >= 1
    assert found["memory_gib"] > 0
    json.dumps(found)


def test_a_new_heading_or_new_contenders_begin_a_new_table() -> None:
    other = Case("a", {"ours": [1.0], "rival": [2.0]}, table="Rows", facts={"trees": "8 of 8"})
    text = tables([TWO, TWO, other])
    assert text.count("\n| --- |") == 2
    assert text.count("**Rows**") == 2
    assert text.rstrip().endswith("| 2.00 (2.00-2.00) | 8 of 8 |")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.00123, "0.00123"), (1.0, "1.00"), (99.96, "100"), (12345.6, "12,346")],
)
def test_figures_have_three_digits(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_a_section_names_command_machine_and_load() -> None:
    record = {
        "command": "make bench-toy",
        "date": "2026-11-22",
        "machine": {
            "cpu": "A CPU",
            "cores": 2,
            "memory_gib": 23.4,
            "system": "Linux",
            "python": "3.11.9",
            "packages": {"numpy": "2.4"},
        },
        "load": {"before": [0.2, 0, 0], "after": [1.26, 0, 0]},
        "cases": [TWO],
    }
    text = section(record)
    for part in ("make bench-toy", "A CPU, 2 cores, 23 GiB", "numpy 2.4", "0.2 before and 1.3"):
        assert part in text


def test_the_page_needs_no_result() -> None:
    assert page({}).startswith("# Performance\n")


def test_a_busy_core_is_busy_and_free_again() -> None:
    with busy_core():
        before = os.times()
        time.sleep(0.1)
    after = os.times()
    assert after.children_user > before.children_user


def test_the_command_is_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks/toy.py"])
    assert command_of("toy") == "make bench-toy"
    monkeypatch.setattr("sys.argv", ["benchmarks/toy.py", "--rows", "5,7"])
    assert command_of("toy") == "make bench-toy ARGS='--rows 5,7'"


def test_settings_leave_paths_out(tmp_path: Path) -> None:
    parser = frame_options("toy")
    parser.add_argument("--rows", type=whole_numbers, default=[1])
    options = parser.parse_args(["--rows", "5,7", "--rounds", "2", "--results", str(tmp_path)])
    assert settings_of(options) == {"rows": [5, 7], "rounds": 2}
