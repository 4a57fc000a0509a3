"""Both loops of `benchmarks.whole`: that they search alike, and that their time is told right."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_starts import config, generator, solved, start
from tiny_runs import TINY

from benchmarks.whole import Ours, main, race
from benchmarks.whole_peer import Straightforward, encoded, finetuned
from benchmarks.whole_stages import QUERY_STAGES, STAGES, Ledger, Period, Queried, TimedArchive
from benchmarks.whole_tables import cases, described, ratios, stages
from pipeline.runs.folder import RunFolder
from vqlso.images import to_unit

CHOSEN = ("surrogate.", "generator.", "data.", "retrainer.batch", "retrainer.epochs")


def _ours(path: Path) -> Ours:
    begun = start()
    return Ours(config(), begun, TimedArchive.copied(begun.archive), RunFolder(path), 1)


def _peer() -> Straightforward:
    begun = start()
    archive = TimedArchive.copied(begun.archive)
    return Straightforward(config(), begun.generator, begun.objective, archive, 1, solved)


def test_both_reach_the_same_prediction(tmp_path: Path) -> None:
    ours, peer = _ours(tmp_path), _peer()
    proposal = ours.loop.propose()
    question = peer._question(peer._fitted(), 0)
    reached = question.booster.predict(solved(question).z[None].astype(float))
    assert proposal.predicted[0] == pytest.approx(reached[0], abs=1e-6)
    assert proposal.details["free_cells"] == question.free.tolist()
    assert proposal.controls["reference"][0].ravel().tolist() == question.reference.tolist()


def test_a_race_tells_every_stage(tmp_path: Path) -> None:
    ours, peer = _ours(tmp_path), _peer()
    *_, (mine, theirs) = race(ours, peer, queries=5, every=2, peer_queries=1)
    assert [(p.due, p.asked) for p in mine.periods] == [(2, 2), (2, 2), (1, 1)]
    assert [(p.due, p.asked) for p in theirs.periods] == [(2, 1), (2, 1), (1, 1)]
    assert [q.number for q in mine.queried] == [0, 1, 2, 3, 4]
    assert [q.number for q in theirs.queried] == [0, 2, 4]
    assert theirs.extrapolated
    assert not mine.extrapolated
    for ledger in (mine, theirs):
        assert set().union(*(p.queries | p.retraining for p in ledger.periods)) <= set(STAGES)
        # A stage of so small a query may be shorter than the clock can tell.
        assert all(p.queries[stage] >= 0 for p in ledger.periods for stage in QUERY_STAGES)
        assert all(p.a_query() > 0 for p in ledger.periods)
        assert all(p.retraining["re-encode"] > 0 for p in ledger.periods)
    assert len(ours.archive) == len(start().archive) + 5
    assert ours.archive.version == ours.loop.generator.version
    assert peer.archive.version == peer.generator.version != generator().version


def test_a_plain_retraining_leaves_the_given_network_alone() -> None:
    archive = TimedArchive.copied(start().archive)
    before = {k: v.clone() for k, v in generator().network.state_dict().items()}
    batches = [np.arange(16), np.arange(16, 32)]
    network = finetuned(generator().network, archive, batches, 1e-3)
    after = generator().network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    weight = "encoder.0.weight"
    assert not torch.equal(network.state_dict()[weight], before[weight])
    assert network.quantizer.settings == generator().settings.codebook


def test_plain_encoding_is_encoding() -> None:
    pictures = to_unit(start().archive.images(slice(None)))
    # The generator's own may be in bf16.
    assert (encoded(generator().network, pictures) == generator().encode(pictures)).mean() > 0.95


def _ledger(name: str, times: float, asked: int = 2) -> Ledger:
    queries = {"fit": 3.0 * times * asked, "solve": times * asked}
    periods = [Period(2, asked, {"retrain": 4.0 * times, "re-encode": 2.0 * times}, queries)] * 2
    image = np.zeros((3, 4, 4), dtype=np.uint8)
    queried = [Queried(number, times * number, image) for number in range(4)]
    return Ledger(name, periods, queried)


def test_sums_and_shares() -> None:
    told = stages(_ledger("ours", 1.0))
    # 4 queries of 4 s, 2 retrainings of 6.
    assert told["fit"] == pytest.approx({"seconds": 12, "each": 3, "share": 12 / 28})
    assert told["retrain"] == pytest.approx({"seconds": 8, "each": 4, "share": 8 / 28})
    assert sum(each["share"] for each in told.values()) == pytest.approx(1)


@pytest.mark.parametrize("asked", [1, 2])
def test_ratios_do_not_depend_on_how_many_queries_were_run(asked: int) -> None:
    ours, peer = _ledger("ours", 1.0), _ledger("peer", 5.0, asked)
    assert ratios(ours, peer) == pytest.approx(dict.fromkeys(ratios(ours, peer), 5.0))
    by_label = {case.label: case for case in cases(ours, peer)}
    assert by_label["a query"].ratio("peer").median == pytest.approx(5)
    assert by_label["the whole"].ratio("peer").median == pytest.approx(5)
    told = described(ours, peer, None)
    assert told["extrapolated"] == (asked == 1)
    assert ("extrapolated" in str(told["tables"])) == (asked == 1)


def test_scores_are_compared_on_the_queries_of_both() -> None:
    ours, peer = _ledger("ours", 1.0), _ledger("peer", 2.0)
    peer.queried.pop(0)
    scores = described(ours, peer, None)["scores"]
    assert scores["queries"] == 3
    assert scores["scorer"]["ours"]["best"] == 3
    assert scores["scorer"]["difference"]["mean"] == pytest.approx(-2)
    assert "judge" not in scores


def test_from_the_command_line(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = [each for each in TINY if each.startswith(CHOSEN)]
    asked = ["--queries=3", "--every=2", "--peer-queries=1", "--threads=1"]
    main([*asked, f"--results={tmp_path}", "size=tiny", f"cache={cache}", *tiny], solved)
    written = json.loads((tmp_path / "whole.json").read_text())
    assert written["extrapolated"]
    assert set(written["stages"]["ours"]) == set(STAGES)
    assert written["scores"]["queries"] == 2
    assert set(written["scores"]) == {"queries", "scorer", "judge"}
    assert "straightforward, s in all, extrapolated" in capsys.readouterr().out
