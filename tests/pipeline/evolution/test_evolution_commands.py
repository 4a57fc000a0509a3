"""Sessions on the command line: their report, and where they are opened."""

from pathlib import Path
from typing import Any

import pytest
from sessions_of_tests import begun, counts, picture
from tiny_runs import said, vqlso

from pipeline.commands import evolve as evolve_command
from pipeline.evolution import page
from pipeline.evolution.generators import NAMED
from pipeline.evolution.session import EvolutionSettings
from pipeline.runs.folder import RunFolder


def test_the_report_shows_the_way_to_the_favourite(
    generators: dict[str, Path], tmp_path: Path
) -> None:
    session = begun(tmp_path / "s", generators["stylegan2"], target=picture())
    assert vqlso("report", session.folder.path).exit_code == 0
    assert "Nothing has been picked yet" in session.folder.report.read_text()
    for rows in ((1, 1, 3), (2,), (4, 5)):
        session.pick(counts(*rows))
    session.back(2)
    result = vqlso("report", session.folder.path)
    assert result.exit_code == 0, result.output
    text = session.folder.report.read_text()
    assert text.count('class="step"') == 2
    assert text.count('alt="Picked in step 1"') == 2
    assert text.count('alt="Picked in step 2"') == 1
    assert "picked 2 times" in text
    assert "drawn at random" in text
    assert "made by changes of size 0.50" in text
    assert "1, by which 1 step was left" in text
    assert "shown beside" in text
    assert "<dd>18</dd>" in text  # the images of three answered generations


def test_neither_resume_nor_run_wait_for_a_person(
    generators: dict[str, Path], tmp_path: Path
) -> None:
    session = begun(tmp_path / "s", generators["stylegan2"])
    said(vqlso("resume", session.folder.path), "vqlso evolve", "waits for a person")
    said(vqlso("run", "demo", "task=evolve"), "vqlso evolve")
    said(vqlso("run", "demo", "evolve.picks=3"), "evolve.picks", "use vqlso evolve")


def test_the_page_is_launched_with_what_was_asked(
    generators: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[Any] = []
    monkeypatch.setattr(page, "launch", lambda *given, **named: launched.append((given, named)))
    file = str(generators["vae"])
    options = ("--generator", file, "--picks", "1", "--port", "7999", "--no-browser")
    result = vqlso("evolve", *options, "--runs", tmp_path)
    assert result.exit_code == 0, result.output
    defaults = EvolutionSettings(generator=file, picks=1)
    expected = {"host": "127.0.0.1", "port": 7999, "browser": False, "defaults": defaults}
    assert launched == [((tmp_path,), expected)]


def test_a_choice_as_in_other_commands_will_do_and_so_will_a_run(
    generators: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told at once what is waited for, where somebody watches."""
    kept = RunFolder(tmp_path / "run").path / "networks" / "generator.safetensors"
    kept.parent.mkdir()
    kept.write_bytes(generators["vae"].read_bytes())
    given = str(tmp_path / "run")
    launched: list[Any] = []
    monkeypatch.setattr(page, "launch", lambda *_, **named: launched.append(named["defaults"]))
    monkeypatch.setattr(evolve_command, "_is_watched", lambda: True)
    result = vqlso("evolve", f"generator={given}", "--port", "7999", "--host", "0.0.0.0")
    assert launched == [EvolutionSettings(generator=given)]
    assert f"Loading {given}" in result.stderr
    assert "http://localhost:7999" in result.stderr


def test_every_generator_that_comes_along_is_offered() -> None:
    help_ = vqlso("evolve", "--help").output
    text = (Path(__file__).parents[3] / "docs" / "evolution.md").read_text()
    for name in NAMED:
        assert name in help_
        assert name == "stylegan2" or f"--generator {name}" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--generator", "nowhere"), ("no generator", "stylegan2")),
        (("--generator", "vae"), ("No trained vae", "vqlso run vae_baseline", "--generator")),
        (("generator=vae_demo",), ("No trained vae_demo", "generator=vae_demo", "--generator")),
        (("generator=vqvae_half",), ("No trained vqvae_half", "vqlso run smile_shift")),
        (("generator=ddim",), ("No trained ddim", "retrainer=none")),
        (("generator=",), ("no generator ''", "stylegan2")),
        (("--generator", "."), ("no generator '.'", "networks/generator.safetensors")),
        (("--generator", __file__), ("test_evolution_commands.py",)),
        (("--space", "v"), ("the spaces z, w",)),
        (("stylegan2",), ("does not know 'stylegan2'", "--generator NAME")),
        (("--port", "99999"), ("--port",)),
        (("--picks", "0"), ("picks=0",)),
        (("--truncation", "-1"), ("truncation",)),
    ],
)
def test_mistakes_are_said_before_the_page_is_there(
    options: tuple[str, ...], words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "launch", lambda *given, **named: pytest.fail("launched"))
    said(vqlso("evolve", *options), *words)
