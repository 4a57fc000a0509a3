"""One cache of trained networks and one finished run for all end-to-end tests."""

from pathlib import Path

import pytest
from tiny_runs import run_tiny

from pipeline.run_folder import RunFolder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by all tests of this session, wherever they lie."""
    return tmp_path_factory.getbasetemp() / "shared-cache"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> RunFolder:
    """A run that nothing interrupted. Not to be changed."""
    return run_tiny(tmp_path_factory.mktemp("finished") / "run", cache)
