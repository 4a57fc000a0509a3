"""A black box that raises, hangs or dies in its own process fails its images and nothing else."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from toys import SPACE, Mosaic

from pipeline.scoring import scores_of
from vqlso.contracts import Objective
from vqlso.errors import ConfigError
from vqlso.objectives import isolated
from vqlso.objectives.failures import BlackBoxError, reason_of
from vqlso.objectives.isolated import BATCH, IsolatedObjective
from vqlso.objectives.python_callable import (
    PythonObjective,
    source_hash,
    unimported_source_hash,
)
from vqlso.objectives.retried import RetriedObjective
from vqlso.problems.image_score import ImageScore
from vqlso.records import Context, Proposal, SolveStatus

# What images ask for is in their first pixels, so that one process shows many faults.
MODULE = """
import ctypes, os, sys, time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

def awkward(images):
    print("noise on the output")
    wishes = np.rint(images[:, 0, 0, 0] * 10).astype(int).tolist()
    wish = next((each for each in wishes if 1 <= each <= 7), 0)
    if wish == 1:
        raise ZeroDivisionError("inside")
    if wish == 2:
        time.sleep(600)
    if wish == 3:
        os._exit(3)
    if wish == 4:
        ctypes.string_at(0)
    if wish == 5:
        return np.zeros((len(images), 1))
    if wish == 6:
        return np.full(len(images), np.nan)
    if wish == 7:
        sys.exit("tired")
    return images.mean(axis=(1, 2, 3))

def third_time(images):
    count = Path("count")
    tries = int(count.read_text()) if count.exists() else 0
    count.write_text(str(tries + 1))
    if tries < 2:
        os._exit(1)
    return [7.0]

def whereabouts(images):
    return [os.getpid()] * len(images)

def returns_twice(images):
    os.fork()
    return images.mean(axis=(1, 2, 3))

def raises_in_a_copy(images):
    if os.fork() == 0:
        raise ValueError("of the copy")
    time.sleep(0.2)
    return images.mean(axis=(1, 2, 3))

def speaks_out_of_turn(images):
    if images.max() > 0.5:
        answer = b'{"number": 0, "values": [1.0]}'
        Connection(os.dup(int(sys.argv[1]))).send_bytes(answer)
    return images.mean(axis=(1, 2, 3))

def wordy(images):
    raise ValueError("\\U0001F600" * 400_000)

def hangs_up(images):
    os.closerange(3, 200)
    time.sleep(1e5)

def leaves_a_child(images):
    if os.fork() == 0:
        time.sleep(8)
        os._exit(0)
    os._exit(5)

def real_time(images):
    os.kill(os.getpid(), 36)
"""


@pytest.fixture(autouse=True)
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "awkward_scores.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IsolatedObjective]:
    folder = tmp_path_factory.mktemp("awkward")
    (folder / "awkward_scores.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield IsolatedObjective("awkward_scores:awkward", timeout=1.0)


def wishing(*wishes: int) -> torch.Tensor:
    return torch.tensor([each / 10 for each in wishes]).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def test_it_scores_as_it_would_here(awkward: IsolatedObjective) -> None:
    images = torch.rand((BATCH + 3, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    images[:, 0, 0, 0] = 0
    here = PythonObjective("awkward_scores:awkward")
    np.testing.assert_array_equal(awkward(images), here(images))
    assert isinstance(awkward, Objective)
    assert awkward.name == "awkward_scores:awkward"


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (1, "ZeroDivisionError: inside"),
        (2, "no answer within 1 s; its process was ended"),
        (3, "its process ended with exit code 3"),
        (4, "its process was killed by SIGSEGV"),
        (5, "ObjectiveError: awkward_scores:awkward returned shape (1, 1) for 1 images."),
        (7, "SystemExit: tired"),
    ],
    ids=["raises", "hangs", "exits", "segfault", "shape", "sys.exit"],
)
def test_a_fault_has_its_reason_and_the_next_image_a_score(
    wish: int, reason: str, awkward: IsolatedObjective
) -> None:
    with pytest.raises(BlackBoxError) as raised:
        awkward(wishing(wish))
    assert reason_of(raised.value).startswith(reason)
    assert awkward(wishing(8)) == pytest.approx([0.8])


def test_a_fault_in_a_batch_takes_no_other_image_with_it(awkward: IsolatedObjective) -> None:
    scores, reason = scores_of(awkward, wishing(8, 3, 6, 9))
    np.testing.assert_allclose(scores, [0.8, np.nan, np.nan, 0.9], rtol=1e-6)
    assert reason == "the objective returned nan"


def test_a_failure_is_a_record_with_its_reason(awkward: IsolatedObjective) -> None:
    """Through the problem, as a run meets it: the first cell's grey is the wish."""

    class Dark(Mosaic):
        def decode(self, z: np.ndarray, space: str = "codes") -> torch.Tensor:
            return super().decode(z, space) * 0.9  # code 1 asks for exit code 3

    z = np.zeros((3, *SPACE.shape), dtype=np.int64)
    z[1, 0, 0] = 1
    nothing = np.full(3, np.nan)
    proposal = Proposal(
        np.arange(3), z, SPACE.name, Dark().version, np.full(3, -1), *[nothing] * 3,
        (SolveStatus.UNPROVEN,) * 3,
    )  # fmt: skip
    scores = ImageScore(Dark(), awkward).evaluate(proposal, Context(0, 0))
    assert scores.status == ("ok", "fail", "ok")
    assert scores.reason == ("", "its process ended with exit code 3", "")


def test_what_dies_is_asked_again(tmp_path: Path) -> None:
    objective = IsolatedObjective("awkward_scores:third_time", timeout=60)
    with pytest.raises(BlackBoxError, match="exit code 1"):
        RetriedObjective(objective, retries=0)(wishing(0))
    assert RetriedObjective(objective, retries=1)(wishing(0)) == [7.0]
    assert (tmp_path / "count").read_text() == "3"


@pytest.mark.parametrize("function", ["returns_twice", "raises_in_a_copy"])
def test_a_function_that_forks_answers_once(function: str) -> None:
    objective = IsolatedObjective(f"awkward_scores:{function}", timeout=60)
    scores = [objective(wishing(wish))[0] for wish in (1, 2, 3, 4)]
    assert scores == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_a_module_that_forks_answers_once(tmp_path: Path) -> None:
    (tmp_path / "forking.py").write_text("import os\nos.fork()\ndef f(images): return [2.0]\n")
    objective = IsolatedObjective("forking:f", timeout=60)
    assert [objective(wishing(0))[0] for _ in range(3)] == [2.0] * 3


def test_an_answer_to_another_question_is_no_score() -> None:
    objective = IsolatedObjective("awkward_scores:speaks_out_of_turn", timeout=60)
    with pytest.raises(BlackBoxError, match="answered another question"):
        objective(wishing(9))
    assert objective(wishing(2)) == pytest.approx([0.2])


def test_a_reason_is_cut_to_what_an_answer_may_hold() -> None:
    with pytest.raises(BlackBoxError) as raised:
        IsolatedObjective("awkward_scores:wordy", timeout=3)(wishing(0))
    said = reason_of(raised.value)
    assert said == "ValueError: " + "\U0001f600" * (len(said) - len("ValueError: "))
    assert 10_000 < len(said) < 400_000


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("hangs_up", "its process closed its connection and was ended"),
        ("leaves_a_child", "its process ended with exit code 5"),
        ("real_time", "its process was killed by signal 36"),
    ],
)
def test_an_unusual_end_has_its_reason(
    function: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated, "SECONDS_TO_DIE", 1.0)
    with pytest.raises(BlackBoxError) as raised:
        IsolatedObjective(f"awkward_scores:{function}", timeout=6)(wishing(0))
    assert reason_of(raised.value) == reason


def test_no_process_is_left_behind() -> None:
    objective = IsolatedObjective("awkward_scores:whereabouts")
    process = int(objective(wishing(0))[0])
    assert process != os.getpid()
    os.kill(process, 0)
    del objective
    give_up = time.monotonic() + 30
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < give_up
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("target", "words"),
    [("nowhere:f", "Importing 'nowhere'"), ("awkward_scores:missing", "has no 'missing'")],
)
def test_a_target_that_cannot_be_used_is_refused_at_once(target: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        IsolatedObjective(target)


def test_a_module_that_dies_on_import_is_named(tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text("import os\nos._exit(9)\n")
    with pytest.raises(ConfigError, match=r"'deadly:f' could not be started.*exit code 9"):
        IsolatedObjective("deadly:f")
    assert len(unimported_source_hash("deadly:f") or "") == 16
    with pytest.raises(ConfigError, match="no module 'nowhere'"):
        unimported_source_hash("nowhere:f")


def test_the_hash_of_a_source_does_not_need_its_import() -> None:
    assert unimported_source_hash("awkward_scores:awkward") == source_hash("awkward_scores:awkward")


class Flaky:
    name = "flaky"

    def __init__(self, failures: int) -> None:
        self.failures, self.calls = failures, 0

    def __call__(self, images: torch.Tensor) -> np.ndarray:
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError("busy")
        return np.zeros(len(images))


@pytest.mark.parametrize(("retries", "failures", "images"), [(0, 1, 1), (2, 3, 1), (2, 1, 2)])
def test_retries_end_and_are_not_for_batches(retries: int, failures: int, images: int) -> None:
    flaky = Flaky(failures)
    with pytest.raises(OSError, match="busy"):
        RetriedObjective(flaky, retries)(wishing(*[0] * images))
    assert flaky.calls == (1 if images > 1 else retries + 1)
