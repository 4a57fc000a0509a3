"""A session as a file: taken elsewhere and gone on with; what is no session is refused."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from safetensors.numpy import load, save
from sessions_of_tests import begun, counts, picture, plain_picture, same

from pipeline.evolution import packing
from pipeline.evolution.loop import PreferenceLoop
from pipeline.evolution.session import EvolutionSession
from pipeline.runs.folder import RunFolder
from vqlso.errors import DataError, LatentSpaceError, RunFolderError
from vqlso.generators import load_generator
from vqlso.generators.vae import VAE, VAENetwork, VAESettings

Files = dict[str, bytes]


def unzipped(data: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def session(
    generators: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> EvolutionSession:
    session = begun(
        tmp_path_factory.mktemp("runs") / "s", generators["stylegan2"], target=picture()
    )
    session.pick(counts(1, 1, 3))
    session.pick(counts(2), 0.7)
    session.back(1)
    return session


@pytest.fixture(scope="module")
def download(session: EvolutionSession) -> bytes:
    return session.archive_zip()


def test_it_is_gone_on_with_elsewhere(session: EvolutionSession, download: bytes) -> None:
    copy = EvolutionSession.from_zip(download, RunFolder(session.folder.path.parent / "copy"))
    same(copy, session)
    assert copy.settings.target == session.settings.target
    assert copy.folder.journal.events("back")
    copy.pick(counts(4))
    same(EvolutionSession.open(RunFolder(copy.folder.path)), copy)
    with pytest.raises(RunFolderError, match="already holds"):
        EvolutionSession.from_zip(download, RunFolder(copy.folder.path))


def test_neither_weights_nor_paths_travel(session: EvolutionSession, download: bytes) -> None:
    files = unzipped(download)
    assert not [name for name in files if "generator" in name or "config" in name]
    told = b"".join(content for name, content in files.items() if name.endswith(".json"))
    assert str(session.folder.path.parent).encode() not in told


def test_a_generator_that_is_not_here_is_asked_for(download: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not here"):
        EvolutionSession.from_zip(download, RunFolder(tmp_path / "alone" / "s"))


def _about(change: Callable[[dict[str, object]], object]) -> Callable[[Files], None]:
    def changed(files: Files) -> None:
        about = json.loads(files["session.json"])
        change(about)
        files["session.json"] = json.dumps(about).encode()

    return changed


def _journal(old: bytes, new: bytes) -> Callable[[Files], None]:
    def changed(files: Files) -> None:
        assert old in files["journal.jsonl"]
        files["journal.jsonl"] = files["journal.jsonl"].replace(old, new)

    return changed


def _foreign_start(files: Files) -> None:
    held = load(files["archive/start.safetensors"])
    files["archive/start.safetensors"] = save({**held, "z": np.zeros((1, 2))})


def _start_of_no_numbers(files: Files) -> None:
    held = load(files["archive/start.safetensors"])
    files["archive/start.safetensors"] = save({**held, "z": np.full_like(held["z"], np.nan)})


TAMPERING: dict[str, Callable[[Files], object]] = {
    "way out": lambda files: files.update({"../../evil.txt": b"x"}),
    "absolute": lambda files: files.update({"/etc/evil": b"x"}),
    "way out as an image": lambda files: files.update({"archive/../../000001-query.png": b"x"}),
    "configuration": lambda files: files.update({"config.yaml": b"name: ${oc.env:HOME}"}),
    "weights": lambda files: files.update({"networks/generator.safetensors": b"x"}),
    "no journal": lambda files: files.pop("journal.jsonl"),
    "no settings": lambda files: files.pop("session.json"),
    "settings are no JSON": lambda files: files.update({"session.json": b"{"}),
    "settings are deep": lambda files: files.update({"session.json": b"[" * 100_000}),
    "another format": _about(lambda about: about.update(format=2)),
    "population of text": _about(lambda about: about.update(population="6")),
    "population without end": _about(lambda about: about.update(population=10**9)),
    "another population": _about(lambda about: about.update(seed=-1)),
    "truncation without end": _about(lambda about: about.update(truncation=10**400)),
    "truncation beyond single precision": _about(lambda about: about.update(truncation=1e308)),
    "truncation of noise": _about(lambda about: about.update(truncation=11)),
    "truncation of no number": _about(lambda about: about.update(truncation=float("nan"))),
    "truncation of all numbers": _about(lambda about: about.update(truncation=float("inf"))),
    "truncation that is true": _about(lambda about: about.update(truncation=True)),
    "seed that is true": _about(lambda about: about.update(seed=True)),
    "seed without end": _about(lambda about: about.update(seed=10**400)),
    "picks that are true": _about(lambda about: about.update(picks=True)),
    "population of many digits": _about(lambda about: about.update(population=10**400)),
    "another space": _about(lambda about: about.update(space="w+")),
    "unknown space": _about(lambda about: about.update(space="../x")),
    "no generator": _about(lambda about: about.update(generator=None)),
    "another generator": _about(lambda about: about.update(generator={"kind": "vae"})),
    "changed picks": _journal(b'"score": 2.0', b'"score": 3.0'),
    "unlinked and unheard of": lambda files: files.update(
        {"journal.jsonl": b'{"event": "back", "generation": 9, "time": {"seconds": {}}}\n'}
    ),
    "journal of another thing": lambda files: files.update({"journal.jsonl": b"hello\n"}),
    "image of another size": lambda files: files.update(
        {"archive/000001-query.png": plain_picture(4000, 5000)}
    ),
    "target of another size": lambda files: files.update({"target.png": plain_picture(257, 256)}),
    "image that is none": lambda files: files.update({"archive/000001-query.png": b"x"}),
    "missing image": lambda files: files.pop("archive/000001-query.png"),
    "start of another space": _foreign_start,
    "start of no numbers": _start_of_no_numbers,
    "start that is none": lambda files: files.update({"archive/start.safetensors": b"x" * 99}),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_what_was_tampered_with_is_refused(
    name: str,
    session: EvolutionSession,
    download: bytes,
    tmp_path: Path,
) -> None:
    files = unzipped(download)
    TAMPERING[name](files)
    folder = RunFolder(session.folder.path.parent / name.replace(" ", "-"))
    with pytest.raises(DataError) as caught:
        EvolutionSession.from_zip(zipped(files), folder)
    assert "session" in str(caught.value)
    assert len(str(caught.value)) < 400
    assert not folder.path.exists()
    assert not (session.folder.path.parent.parent / "evil.txt").exists()


def test_what_lay_in_the_folder_of_a_refused_one_stays(
    session: EvolutionSession, download: bytes
) -> None:
    folder = RunFolder(session.folder.path.parent / "with-notes")
    (folder.path / "notes.txt").write_text("mine")
    files = unzipped(download)
    files.pop("archive/000001-query.png")
    with pytest.raises(DataError):
        EvolutionSession.from_zip(zipped(files), folder)
    assert [path.name for path in folder.path.iterdir() if path.name != ".lock"] == ["notes.txt"]


def test_it_is_a_session_only_once_it_is_restored(
    session: EvolutionSession, download: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(session.folder.path.parent / "late")
    begin, there = PreferenceLoop.begin, []

    def watched(self: PreferenceLoop) -> None:
        begin(self)
        there.append(folder.config.exists())

    monkeypatch.setattr(PreferenceLoop, "begin", watched)
    EvolutionSession.from_zip(download, folder)
    assert there == [False]
    assert folder.config.exists()


def test_what_can_be_restored_but_not_shown_is_refused(
    session: EvolutionSession, download: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impossible(_: EvolutionSession) -> None:
        raise LatentSpaceError("not finite")

    monkeypatch.setattr(EvolutionSession, "_show", impossible)
    folder = RunFolder(session.folder.path.parent / "unshown")
    with pytest.raises(DataError, match="not finite"):
        EvolutionSession.from_zip(download, folder)
    assert not folder.path.exists()


@pytest.mark.parametrize("name", ["archive/000000-query.png", "archive/000017-query.png"])
def test_no_picture_is_decoded_before_the_sizes_of_all_are_known(
    name: str, session: EvolutionSession, download: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {**unzipped(download), name: plain_picture(17, 16)}
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr(PngImageFile, "load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(DataError, match="has 17 x 16 pixels, not 16 x 16"):
        EvolutionSession.from_zip(zipped(files), RunFolder(session.folder.path.parent / "big"))


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04 and nothing", b"x" * 1000], ids=["empty", "torn", "no zip"]
)
def test_what_is_no_zip_is_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no saved session"):
        EvolutionSession.from_zip(data, RunFolder(tmp_path / "s"))


def test_a_damaged_download_is_refused(
    session: EvolutionSession, download: bytes, tmp_path: Path
) -> None:
    for cut in (download[: len(download) // 2], download[:-10]):
        with pytest.raises(DataError):
            EvolutionSession.from_zip(cut, RunFolder(tmp_path / "s"))
    middle = len(download) // 3
    flipped = download[:middle] + bytes([download[middle] ^ 255]) + download[middle + 1 :]
    with pytest.raises(DataError):
        EvolutionSession.from_zip(flipped, RunFolder(session.folder.path.parent / "flipped"))


def test_small_files_that_swell_are_refused(
    download: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = unzipped(download)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, bytes(17 * 2**20) if name == "target.png" else content)
    with pytest.raises(DataError, match="larger than 16 MB"):
        EvolutionSession.from_zip(buffer.getvalue(), RunFolder(tmp_path / "s"))
    monkeypatch.setattr(packing, "LARGEST_SUM", 1000)
    with pytest.raises(DataError, match="holds more than"):
        EvolutionSession.from_zip(download, RunFolder(tmp_path / "t"))
    monkeypatch.setattr(packing, "MOST_FILES", 3)
    with pytest.raises(DataError, match="too many files"):
        EvolutionSession.from_zip(download, RunFolder(tmp_path / "u"))


def test_the_generator_of_the_version_is_taken_among_others(
    session: EvolutionSession, download: bytes, tmp_path: Path
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        VAE(VAENetwork(VAESettings(32, 2, 4))).save(tmp_path / "vae.safetensors")
    runs = session.folder.path.parent
    begun(runs / "a-vae", tmp_path / "vae.safetensors")
    copy = EvolutionSession.from_zip(download, RunFolder(runs / "another"))
    kept = load_generator(copy.folder.path / "networks/generator.safetensors")
    assert (
        kept.version
        == load_generator(session.folder.path / "networks/generator.safetensors").version
    )
