"""A person's session: picking, going back, closing and opening, dying at any moment."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load
from sessions_of_tests import KINDS, begun, counts, picture, same

from pipeline.evolution.session import EvolutionSession, EvolutionSettings
from pipeline.runs.folder import RunFolder
from pipeline.runs.journal import Event, Journal, without_time
from vqlso.errors import ConfigError, DataError, RunFolderError, SolverError
from vqlso.generators import load_generator
from vqlso.images import to_bytes


def opened(session: EvolutionSession) -> EvolutionSession:
    return EvolutionSession.open(RunFolder(session.folder.path))


@pytest.mark.parametrize("kind", KINDS)
def test_a_session_is_closed_and_opened_at_every_step(
    kind: str, generators: dict[str, Path], tmp_path: Path
) -> None:
    session = begun(tmp_path / "s", generators[kind])
    assert session.images.shape[:2] == (6, 3)
    assert (session.step, session.history, session.favourite) == (0, [], None)
    same(opened(session), session)
    for step, (rows, mutation) in enumerate((((1, 4, 4), None), ((0, 2), 0.3), ((5,), None))):
        session.pick(counts(*rows), mutation)
        assert session.step == step + 1
        assert session.favourite == max(rows, key=rows.count)
        np.testing.assert_array_equal(session.images[0], session.favourite_image)
        same(opened(session), session)
    assert [step.rows for step in session.history] == [(1, 4), (0, 2), (5,)]
    assert [step.counts for step in session.history] == [(1, 2), (1, 1), (1,)]
    assert [step.number for step in session.history] == [0, 1, 2]
    assert session.history[2].mutation == 0.3


def test_one_pick_a_step_will_do(generators: dict[str, Path], tmp_path: Path) -> None:
    session = begun(tmp_path / "s", generators["vae"], picks=1, population=2)
    session.pick([0, 1])
    session.pick([1, 0])
    assert session.step == 2


@pytest.mark.parametrize("kind", ["stylegan2", "vqvae"])
def test_an_earlier_step_is_shown_as_it_was_and_can_be_left_anew(
    kind: str, generators: dict[str, Path], tmp_path: Path
) -> None:
    session = begun(tmp_path / "s", generators[kind])
    shown = [session.images.copy()]
    for row in (1, 2, 3):
        session.pick(counts(row))
        shown.append(session.images.copy())
    session.back(1)
    np.testing.assert_array_equal(session.images, shown[1])
    assert [step.rows for step in session.history] == [(1,)]
    same(opened(session), session)
    session.pick(counts(4))
    assert session.step == 2
    assert not np.array_equal(session.images, shown[2])
    same(opened(session), session)
    session.back(0)
    same(opened(session), session)
    # What was left is still told of.
    assert len(session.folder.journal.events("query")) == 4 * 6
    assert [event["generation"] for event in session.folder.journal.events("back")] == [1, 0]
    for wrong in (0, 5, -1):
        with pytest.raises(SolverError, match="no way back"):
            session.back(wrong)
    same(opened(session), session)


@pytest.mark.parametrize("kind", ["stylegan2", "vqvae"])
def test_a_session_that_is_opened_after_each_move_goes_the_same_way(
    kind: str, generators: dict[str, Path], tmp_path: Path
) -> None:
    whole, broken = (begun(tmp_path / name, generators[kind]) for name in ("whole", "broken"))
    moves: list[Callable[[EvolutionSession], None]] = [
        *(lambda each, row=row: each.pick(counts(row)) for row in (1, 2)),
        *(lambda each, step=step: each.back(step) for step in (1, 0)),
        *(lambda each, row=row: each.pick(counts(row)) for row in (3, 4)),
        lambda each: each.back(1),
        lambda each: each.pick(counts(5)),
    ]
    for move in moves:
        broken = opened(broken)
        for session in (whole, broken):
            move(session)
    same(broken, whole)
    told = [without_time(each.folder.journal.events()) for each in (whole, broken)]
    assert told[0] == told[1]


def test_sessions_of_one_seed_are_the_same_and_of_two_are_not(
    generators: dict[str, Path], tmp_path: Path
) -> None:
    first, second, other = (
        begun(tmp_path / name, generators["stylegan2"], seed=seed)
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    for session in (first, second, other):
        session.pick(counts(2, 3))
    same(first, second)
    assert not np.array_equal(first.images, other.images)


def test_what_is_downloaded_is_what_is_shown(generators: dict[str, Path], tmp_path: Path) -> None:
    session = begun(tmp_path / "s", generators["stylegan2"], space="w+")
    session.pick(counts(1, 1, 5))
    (tmp_path / "3.png").write_bytes(session.image_png(3))
    with Image.open(tmp_path / "3.png") as image:
        np.testing.assert_array_equal(np.asarray(image).transpose(2, 0, 1), session.images[3])
    generator = load_generator(generators["stylegan2"])
    (tmp_path / "3.safetensors").write_bytes(session.latent(3))
    with safe_open(tmp_path / "3.safetensors", "np") as file:
        assert file.metadata()["space"] == "w+"
        assert file.metadata()["generator"] == generator.version
        image = to_bytes(generator.decode(file.get_tensor("z"), "w+"))[0]
    np.testing.assert_array_equal(image, session.images[3])
    assert session.favourite_latent is not None
    image = to_bytes(generator.decode(load(session.favourite_latent)["z"], "w+"))[0]
    np.testing.assert_array_equal(image, session.favourite_image)
    for wrong in (6, -1):
        with pytest.raises(DataError, match="no image"):
            session.image_png(wrong)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ddim"])  # it takes a minute
def test_a_photo_is_where_the_first_generation_begins(
    kind: str, generators: dict[str, Path], tmp_path: Path
) -> None:
    """The photo is the generator's own image, so that there is something to be found."""
    generator = load_generator(generators[kind])
    z = generator.space.sample(1, np.random.default_rng(5))
    own = to_bytes(generator.decode(z, generator.space.name))[0]
    Image.fromarray(own.transpose(1, 2, 0)).save(tmp_path / "own.png")
    photo = (tmp_path / "own.png").read_bytes()
    session = begun(tmp_path / "s", generators[kind], start="photo", photo=photo)
    chance = begun(tmp_path / "r", generators[kind])

    def distances(images: np.ndarray) -> np.ndarray:
        return np.square(images.astype(float) - own).mean(axis=(1, 2, 3))

    if kind in ("stylegan2", "pgan"):  # the others' untrained encoders find nothing
        assert distances(session.images)[0] < distances(chance.images).min()
    assert (session.images[1:] != session.images[0]).any()
    assert session.settings.photo is not None
    same(opened(session), session)
    assert opened(session).settings == session.settings
    session.pick(counts(0))
    same(opened(session), session)


def test_a_target_is_kept_and_shown_beside(generators: dict[str, Path], tmp_path: Path) -> None:
    session = begun(tmp_path / "s", generators["stylegan2"], target=picture(kind="JPEG"))
    kept = opened(session).settings.target
    assert kept is not None
    assert kept == session.settings.target
    assert kept.startswith(b"\x89PNG")


def test_codes_are_drawn_from_the_data_of_the_generators_run(
    generators: dict[str, Path], tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    (run.path / "networks").mkdir()
    file = run.path / "networks" / "generator.safetensors"
    file.write_bytes(generators["vqvae"].read_bytes())
    settings = "name: x\ndata:\n  kind: faces\n  size: 16\n  count: 3\n"
    run.write("config.yaml", settings.encode())
    session = begun(tmp_path / "s", file)
    assert len(load((session.folder.path / "archive/start.safetensors").read_bytes())["grids"]) == 3


def in_a_process_that_dies(action: Callable[[], None]) -> None:
    process = os.fork()
    if not process:
        action()
        os._exit(0)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("moment", ["before", "torn", "after"])
def test_a_kill_loses_nothing_that_was_answered(
    moment: str, generators: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a kill the session stands where it stood, or where the uninterrupted one stands."""
    whole = begun(tmp_path / "whole", generators["stylegan2"])
    session = begun(tmp_path / "s", generators["stylegan2"])
    for each in (whole, session):
        each.pick(counts(1, 3))
    append_all = Journal.append_all

    def dying(self: Journal, *arguments: object) -> None:
        if moment == "after":
            append_all(self, *arguments)  # type: ignore[arg-type]
        if moment == "torn":
            lines = self.path.read_bytes()
            append_all(self, *arguments)  # type: ignore[arg-type]
            written = self.path.read_bytes()
            self.path.write_bytes(written[: len(lines) + (len(written) - len(lines)) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append_all", dying)
        in_a_process_that_dies(lambda: session.pick(counts(2, 2, 5), 0.4))
    revived = opened(session)
    if moment != "after":
        same(revived, whole)
        revived.pick(counts(2, 2, 5), 0.4)
    whole.pick(counts(2, 2, 5), 0.4)
    same(revived, whole)
    same(opened(session), whole)


def test_two_windows_do_not_write_over_each_other(
    generators: dict[str, Path], tmp_path: Path
) -> None:
    session = begun(tmp_path / "s", generators["stylegan2"])
    other = opened(session)
    session.pick(counts(1))
    before = other.folder.journal.path.read_bytes()
    for late in (lambda: other.pick(counts(2)), lambda: other.back(0)):
        with pytest.raises(RunFolderError, match="gone on elsewhere"):
            late()
    assert other.folder.journal.path.read_bytes() == before
    session.pick(counts(2))
    with session.folder.locked(), pytest.raises(RunFolderError, match="Another process"):
        opened(session)


def test_a_pick_between_opening_and_showing_makes_the_opened_one_stale(
    generators: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begun(tmp_path / "s", generators["stylegan2"])
    show = EvolutionSession._show

    def overtaken(self: EvolutionSession) -> None:
        monkeypatch.setattr(EvolutionSession, "_show", show)
        session.pick(counts(1))
        show(self)

    monkeypatch.setattr(EvolutionSession, "_show", overtaken)
    stale = opened(session)
    assert (stale.step, session.step) == (0, 1)
    for late in (lambda: stale.pick(counts(2)), lambda: stale.back(0)):
        with pytest.raises(RunFolderError, match="gone on elsewhere"):
            late()
    same(opened(session), session)


@pytest.mark.parametrize("name", ["id", "generation"])
def test_a_journal_whose_generations_do_not_follow_each_other_is_refused(
    name: str, generators: dict[str, Path], tmp_path: Path
) -> None:
    """As two windows would have written it: the second generation told as the first again."""
    session = begun(tmp_path / "s", generators["stylegan2"])
    session.pick(counts(1))
    session.pick(counts(2))
    events = session.folder.journal.events()
    session.folder.journal.path.unlink()
    rewritten = Journal(session.folder.journal.path)
    for event in events[:7]:
        rewritten.append_all(event["event"], [_facts(event)])
    second = [
        _facts(each) | {name: first[name]}
        for first, each in zip(events[1:7], events[7:], strict=True)
    ]
    rewritten.append_all("query", second)
    with pytest.raises(RunFolderError, match="order of the journal"):
        opened(session)


def _facts(event: Event) -> Event:
    return {key: value for key, value in event.items() if key not in ("event", "time")}


def test_a_second_click_while_computing_is_told_to_wait(
    generators: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begun(tmp_path / "s", generators["stylegan2"])
    show = session._show

    def impatient() -> None:
        with pytest.raises(DataError, match="still being made"):
            session.pick(counts(1))
        show()

    monkeypatch.setattr(session, "_show", impatient)
    session.pick(counts(2))
    assert session.step == 1


def test_bad_picks_change_nothing(generators: dict[str, Path], tmp_path: Path) -> None:
    session = begun(tmp_path / "s", generators["stylegan2"])
    for wrong, error in ((counts(), DataError), ([1], DataError)):
        with pytest.raises(error):
            session.pick(wrong)
    with pytest.raises(SolverError, match="size"):
        session.pick(counts(1), 7.0)
    session.pick(counts(1))
    assert session.step == 1
    same(opened(session), session)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"generator": "nowhere.safetensors"}, "no generator"),
        ({"generator": "vae"}, "--generator"),
        ({"space": "v"}, "latents of the spaces z, w"),
        ({"start": "photo"}, "go together"),
        ({"start": "dream"}, "'dream'"),
        ({"population": 1}, "2 to 400"),
        ({"picks": 7}, "1 to all"),
        ({"truncation": -1.0}, "at least 0"),
        ({"truncation": 11.0}, "at most 10"),
        ({"seed": 2**63}, "at most"),
    ],
)
def test_settings_that_cannot_be_are_named(
    settings: dict[str, str], words: str, generators: dict[str, Path], tmp_path: Path
) -> None:
    given = {"population": 6, "picks": 3, "generator": str(generators["stylegan2"]), **settings}
    with pytest.raises(ConfigError, match=words):
        EvolutionSession.create(RunFolder(tmp_path / "s"), EvolutionSettings(**given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "photo",
    [b"", b"no picture", picture()[:60], b"\x89PNG\r\n\x1a\n" + bytes(100), bytes(33_000_000)],
    ids=["empty", "text", "cut off", "damaged", "too many bytes"],
)
def test_a_photo_that_is_none_is_refused_in_words_of_the_page(
    photo: bytes, generators: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="The photo") as caught:
        begun(tmp_path / "s", generators["stylegan2"], start="photo", photo=photo)
    assert "/" not in str(caught.value)


def test_a_damaged_folder_is_named(generators: dict[str, Path], tmp_path: Path) -> None:
    session = begun(tmp_path / "s", generators["vqvae"])
    session.pick(counts(1))
    damages: dict[str, Callable[[bytes], bytes]] = {
        "journal.jsonl": lambda content: content.replace(b'"score": 1.0', b'"score": 2.0'),
        "archive/start.safetensors": lambda content: content[:-9],
        "archive/000001-query.png": lambda content: content[:40],
        "archive/000002-query.png": lambda content: picture(8, 8),
        "networks/generator.safetensors": lambda content: b"",
    }
    for name, damage in damages.items():
        path = session.folder.path / name
        whole = path.read_bytes()
        path.write_bytes(damage(whole))
        with pytest.raises(RunFolderError):
            opened(session)
        path.write_bytes(whole)
    same(opened(session), session)


def test_only_a_session_is_opened_and_only_an_empty_folder_becomes_one(
    generators: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(RunFolderError, match="no session"):
        EvolutionSession.open(RunFolder(tmp_path / "empty"))
    session = begun(tmp_path / "s", generators["stylegan2"])
    with pytest.raises(RunFolderError, match="already holds"):
        begun(tmp_path / "s", generators["stylegan2"])
    text = session.folder.config.read_text().replace("task: evolve", "task: search")
    session.folder.write("config.yaml", text.encode())
    with pytest.raises(RunFolderError, match="task=search"):
        opened(session)


def test_no_global_state_is_touched(generators: dict[str, Path], tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    begun(tmp_path / "s", generators["stylegan2"]).pick(counts(1))
    assert torch.equal(torch.random.get_rng_state(), before)
