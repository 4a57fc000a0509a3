"""Every kind of generator behind the page: begun by the form, picked from, returned, downloaded."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load
from sessions_of_tests import KINDS, picture

from pipeline.evolution.generators import require_suitable
from pipeline.evolution.page.calls import Calls
from pipeline.evolution.page.runs import RunsFolder
from pipeline.evolution.page.sessions import OpenSessions
from pipeline.evolution.page.uploads import Uploads
from pipeline.evolution.session import EvolutionSession
from pipeline.evolution.settings import EvolutionSettings

POPULATION = 6


@pytest.mark.parametrize("kind", KINDS)
def test_the_form_begins_with_it_and_the_session_goes_on_elsewhere(
    kind: str, generators: dict[str, Path], tmp_path: Path
) -> None:
    defaults = EvolutionSettings(generator=str(generators[kind]))
    require_suitable(defaults)
    sessions, uploads = OpenSessions(RunsFolder(tmp_path / "runs"), EvolutionSession), Uploads()
    calls = Calls(sessions, uploads, defaults)
    form = {"generator": defaults.generator, "population": POPULATION, "picks": 2, "seed": 1}
    name = calls.begin({**form, "start": "random"})["session"]
    first = sessions.state(name)
    assert calls.next(name, first["revision"], [0, 2, 0, 1, 0, 0], None) == {}
    second = sessions.state(name)
    assert calls.next(name, second["revision"], [0, 0, 1, 0, 0, 0], 0.3) == {}
    third = sessions.state(name)
    assert len({each["revision"] for each in (first, second, third)}) == 3
    assert third["favourite"] == second["images"][2] == third["images"][0]
    with sessions.reading(name) as session:
        latent, archive = load(session.latent(0))["z"], session.archive_zip()
    assert latent.shape[0] == 1
    assert (latent.dtype == np.int64) == (kind == "vqvae")
    elsewhere = calls.begin({"start": "session", "upload": uploads.keep(archive)})["session"]
    assert sessions.state(elsewhere)["images"] == third["images"]
    assert calls.back(name, 0) == {}
    assert sessions.state(name)["images"] == first["images"]


@pytest.mark.parametrize("kind", ["vae", "vqvae"])
def test_a_photo_is_encoded(kind: str, generators: dict[str, Path], tmp_path: Path) -> None:
    defaults = EvolutionSettings(generator=str(generators[kind]))
    sessions, uploads = OpenSessions(RunsFolder(tmp_path / "runs"), EvolutionSession), Uploads()
    begun = Calls(sessions, uploads, defaults).begin(
        {
            **{"generator": defaults.generator, "start": "photo", "population": POPULATION},
            **{"picks": 1, "seed": 1, "upload": uploads.keep(picture())},
        }
    )
    assert len(sessions.state(begun["session"])["images"]) == POPULATION
