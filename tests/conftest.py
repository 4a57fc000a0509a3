"""Rules for all tests: one thread a process, no deadlines, and no skip without a known reason."""

import os
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

# Read once, when the libraries load: before any test imports them. Two pools on the same cores
# slow each other down tenfold.
for pool in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(pool, "1")

# A busy machine is not a failure. Of examples there are fewer than by default: the tests' time is
# that of whoever waits for them.
settings.register_profile("patient", deadline=None, max_examples=60)
settings.load_profile("patient")

KNOWN_SKIPS = Path(__file__).parents[1] / ".ci" / "known_skips.txt"


@pytest.fixture(autouse=True, scope="session")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the code under test leaves on purpose, such as refuted instances, pytest clears away."""
    tempfile.tempdir = str(tmp_path_factory.mktemp("temporary"))


def known_reasons() -> set[str]:
    """The reasons for which a test may be skipped."""
    lines = KNOWN_SKIPS.read_text(encoding="utf-8").splitlines()
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def skip_reasons(config: pytest.Config) -> Counter[str]:
    """How many tests or files were skipped, by reason; empty in a worker of pytest-xdist."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    return Counter(report.longrepr[2].removeprefix("Skipped: ") for report in reports)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run that skips for an unknown reason fails, though all else has passed."""
    if session.exitstatus == pytest.ExitCode.OK and skip_reasons(session.config).keys() - (
        known_reasons()
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Every reason with its number of skips, the unknown ones in red."""
    reasons, known = skip_reasons(config), known_reasons()
    if not reasons:
        return
    terminalreporter.section("skips by reason")
    for reason, number in sorted(reasons.items()):
        if reason in known:
            terminalreporter.write_line(f"{number} x {reason}")
        else:
            terminalreporter.write_line(
                f"FAILED {number} x {reason}: not in .ci/{KNOWN_SKIPS.name}", red=True
            )
