import numpy as np
import pytest

from pipeline.report.record import Queries, read
from pipeline.report.series import (
    calibration,
    code_usage,
    compared_scores,
    free_shares,
    shift_band,
    stage_seconds,
    top_k_curves,
    two_scorers,
)


def queries(**columns) -> Queries:
    m = len(columns["scores"])
    defaults = {
        "predicted": np.full(m, np.nan),
        "novel": np.ones(m, dtype=bool),
        "controls": {},
        "free_cells": ((),) * m,
        "reasons": (),
    }
    arrays = {
        name: np.array(column) if isinstance(column, list) else column
        for name, column in columns.items()
    }
    return Queries(**defaults | arrays)


def test_top_k_counts_only_novel_answers_and_shows_the_worst_of_the_best():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=80)
    scores[rng.random(80) < 0.1] = np.nan
    novel = rng.random(80) < 0.8
    curves = top_k_curves(queries(scores=scores, novel=novel))
    assert list(curves) == [1, 10, 50]
    for k, curve in curves.items():
        for query in range(80):
            counted = np.sort(
                [s for s, new in zip(scores[: query + 1], novel, strict=False) if new and s == s]
            )
            if len(counted) < k:
                assert np.isnan(curve[query])
            else:
                assert curve[query] == counted[-k]


def test_calibration_leaves_out_failures_and_measures_optimism():
    data = calibration(queries(scores=[1.0, np.nan, 3.0, 2.0], predicted=[2.0, 9.0, 2.5, np.nan]))
    assert data is not None
    np.testing.assert_array_equal(data.predicted, [2.0, 2.5])
    assert data.error == pytest.approx(0.75)
    assert data.optimism == pytest.approx(0.25)
    assert calibration(queries(scores=[np.nan], predicted=[1.0])) is None


def test_controls_come_in_order_and_without_gaps():
    scores = compared_scores(
        queries(
            scores=[3.0, np.nan],
            controls={"random_codes": np.array([1.0, 2.0]), "reference": np.full(2, np.nan)},
        )
    )
    assert list(scores) == ["random_codes", "queries"]
    np.testing.assert_array_equal(scores["queries"], [3.0])


def test_perplexity_of_equal_usage_is_the_number_of_codes_in_use():
    usage = code_usage(np.array([0, 7, 0, 7, 7]), categories=8)
    assert usage.used == 3
    assert usage.perplexity == pytest.approx(3.0)
    np.testing.assert_allclose(usage.shares, [1 / 3] * 3 + [0] * 5)
    assert code_usage(np.zeros(4, dtype=int), 4).used == 0


def test_free_cells_are_counted_over_the_queries_that_have_any():
    shares = free_shares(queries(scores=[0.0] * 3, free_cells=((0, 3), (3,), ())), cells=4)
    np.testing.assert_array_equal(shares, [0.5, 0, 0, 1])


def test_shift_keeps_only_measured_rounds():
    measured = {"mean": 1.0, "q05": 0.1, "median": 0.9, "q95": 2.0, "judge_mean": None}
    rounds = [
        {"round": 0, "shift": measured},
        {"round": 1, "shift": {}},
        {"round": 2, "shift": measured | {"mean": 1.5, "judge_mean": 1.4}},
    ]
    band = shift_band(rounds)
    assert band is not None
    np.testing.assert_array_equal(band.rounds, [0, 2])
    np.testing.assert_array_equal(band.mean, [1.0, 1.5])
    np.testing.assert_array_equal(band.judge_mean, [np.nan, 1.4])
    assert shift_band(rounds[1:2]) is None
    assert shift_band(rounds[:2]) is None


def test_a_folder_is_read_as_it_was_written(made_up):
    run = made_up(20, every=5, failed=(3,))
    record = read(run.write_all())
    answered = np.arange(20) != 3
    np.testing.assert_allclose(record.queries.scores[answered], run.scores[answered])
    assert np.isnan(record.queries.scores[3])
    assert record.queries.reasons == ("ValueError: <b>no face</b>",)
    np.testing.assert_allclose(record.queries.controls["random_codes"], run.random_codes)
    assert [samples.round for samples in record.samples] == [0, 3]
    assert record.finished


def test_judged_queries_match_the_answered_ones(made_up):
    run = made_up(20, failed=(3, 4))
    record = read(run.write_all())
    both = two_scorers(record)
    assert both is not None
    np.testing.assert_allclose(both.query, run.scores[run.answered])
    np.testing.assert_array_equal(both.query_judged, record.evaluation["query_judged"])
    np.testing.assert_allclose(both.reference, run.reference[run.answered])


def test_stages_of_an_unfinished_run_are_summed_from_preparation_and_journal(made_up):
    run = made_up(20, every=5)
    run.write_start()
    run.write_journal()
    stages = stage_seconds(read(run.folder))
    assert stages["fit"] == pytest.approx(20 * 0.5)
    assert stages["retrain"] == pytest.approx(4 * 2.5)
    assert stages["prepare generator"] == 310.0
    assert list(stages.values()) == sorted(stages.values(), reverse=True)


def test_stages_of_a_finished_run_are_the_summarys(made_up):
    run = made_up()
    stages = stage_seconds(read(run.write_all()))
    assert stages == run.summary()["seconds_by_stage"]
    assert list(stages) == ["prepare generator", "solve", "evaluate"]
