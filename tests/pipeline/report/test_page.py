import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from pipeline.report.page import write_report
from pipeline.runs.folder import RunFolder

SECTIONS = {"figures", "results", "search", "shift", "scorers", "generator", "time", "reproduce"}


class Page(HTMLParser):
    """Everything that the tests ask about a page."""

    VOID = ("meta", "img", "br", "link", "path", "use", "rect", "input")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.values: list[float] = []
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "data":
            self.values.append(float(dict(attrs)["value"] or "nan"))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += " " + data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def ids(self) -> list[str]:
        return [str(attributes["id"]) for _, attributes in self.tags if "id" in attributes]


@pytest.fixture(scope="module")
def page(make_run, tmp_path_factory) -> Page:
    return Page(write_report(make_run(tmp_path_factory.mktemp("finished")).write_all()))


def test_is_well_formed_and_complete(page):
    assert page.open == []
    assert set(page.ids) >= SECTIONS
    assert "unfinished" not in page.ids
    assert len(page.named("svg")) == 8


def test_ids_are_unique_and_links_within_the_page_lead_somewhere(page):
    assert len(page.ids) == len(set(page.ids))
    targets = [str(attributes.get("href", "")) for _, attributes in page.tags]
    inner = [target[1:] for target in targets if target.startswith("#")]
    assert inner
    assert set(inner) <= set(page.ids)


def test_needs_no_other_file_and_no_network(page):
    loading = [
        str(attributes[name])
        for _, attributes in page.tags
        for name in ("src", "href", "srcset", "xlink:href", "action", "poster")
        if name in attributes
    ]
    assert loading
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in loading)
    assert not page.named("script")
    assert not page.named("link")
    assert not re.search(r"@import|url\((?!#)", page.html)
    assert "http" not in page.html


def test_every_picture_has_a_text(page):
    assert all(attributes.get("alt") for attributes in page.named("img"))
    for attributes in page.named("svg"):
        assert attributes["role"] == "img"
        assert len(str(attributes["aria-label"])) > 20


def test_shows_the_numbers_of_the_summary(made_up):
    run = made_up(60)
    summary = run.summary()
    page = Page(write_report(run.write_all()))
    wanted = [value for value in summary.values() if isinstance(value, int | float)]
    wanted += [value for value in summary["judge"].values() if value is not None]
    wanted.remove(summary["seed"])
    assert sorted(page.values) == sorted(wanted)
    for shown in ("best", "top10", "top50", "train_best_reconstructed", "frechet"):
        assert f"{summary[shown]:.2f}" in page.text


def test_ranks_that_were_not_reached_are_said_so(made_up):
    run = made_up(40)
    assert run.summary()["top50"] is None
    assert "not reached" in Page(write_report(run.write_all())).text


def test_is_a_pure_function_of_the_folder(made_up):
    folder = made_up().write_all()
    first = write_report(folder).read_bytes()
    assert write_report(RunFolder.existing(folder.path)).read_bytes() == first


@pytest.mark.parametrize(
    ("judged", "says"),
    [
        (0.1, "This is exploitation."),
        (-0.1, "sees no rise at all"),
        (0.6, "A part of the gain is exploitation."),
        (0.9, "The judge confirms the gain."),
        (None, "Nobody checked the scorer."),
    ],
)
def test_says_plainly_what_the_judge_sees(made_up, judged, says):
    assert says in Page(write_report(made_up(judged=judged).write_all())).text


def test_without_a_judge_its_columns_are_left_out(made_up):
    page = Page(write_report(made_up(judged=None).write_all()))
    assert "Judge" not in page.text
    assert len(page.named("svg")) == 7


def test_an_unfinished_run_says_how_to_go_on(made_up):
    run = made_up(17)
    run.write_start(config="name: demo\nqueries: 60\n")
    run.write_journal()
    page = Page(write_report(run.folder))
    assert "unfinished" in page.ids
    assert "17 of 60 queries" in " ".join(page.text.split())
    assert f"vqlso resume {run.folder.path}" in page.text
    assert not {"figures", "results"} & set(page.ids)
    assert {"search", "shift", "time", "reproduce"} <= set(page.ids)


def test_a_run_that_was_killed_before_its_first_query(made_up):
    run = made_up(0)
    run.folder.write("config.yaml", b"name: demo\nqueries: 60\n")
    page = Page(write_report(run.folder))
    assert "0 of 60 queries" in " ".join(page.text.split())
    assert page.named("svg") == []
    assert page.open == []


def test_a_search_that_ended_but_was_not_measured(made_up):
    run = made_up()
    folder = run.write_all()
    (folder.path / "summary.json").unlink()
    (folder.path / "evaluation.npz").unlink()
    page = Page(write_report(folder))
    assert "unmeasured" in page.ids
    assert "unfinished" not in page.ids


def test_a_run_without_retraining_and_measurement(made_up):
    folder = made_up(every=1000).write_all()
    shutil.rmtree(folder.path / "rounds")
    page = Page(write_report(folder))
    assert len(page.named("svg")) == 6
    assert page.open == []


def test_a_run_whose_every_query_failed(made_up):
    run = made_up(3, failed=(0, 1, 2))
    run.write_start()
    run.write_journal()
    page = Page(write_report(run.folder))
    assert "ValueError: <b>no face</b>" in page.text
    assert page.open == []


def test_a_callable_has_a_name_but_no_quality(made_up):
    run = made_up()
    folder = run.write_all()
    facts = folder.read_json("preparation.json")
    facts["scorers"]["queried"] = {"name": "mymodule:score", "origin": "yours"}
    folder.write_json("preparation.json", facts)
    assert "mymodule:score" in Page(write_report(folder)).text


def test_hostile_text_stays_text(made_up):
    hostile = "<script>alert(1)</script> & \"'</code></pre><img src=x onerror=alert(2)>"
    run = made_up()
    folder = run.write_all()
    run.write_start(config="name: '" + hostile.replace("'", "''") + "'\nqueries: 40\n")
    facts = folder.read_json("preparation.json")
    facts["data"]["name"] = facts["data"]["label_origin"] = hostile
    facts["scorers"]["queried"]["name"] = facts["generator"]["origin"] = hostile
    folder.write_json("preparation.json", facts)
    environment = folder.read_json("environment.json")
    folder.write_json("environment.json", environment | {"command": hostile})
    page = Page(write_report(folder))
    assert not page.named("script")
    assert all("onerror" not in attributes for _, attributes in page.tags)
    assert page.open == []
    assert page.text.count(hostile) >= 5


def test_the_configuration_stands_there_verbatim(made_up):
    config = "name: demo\nqueries: 40\n# a comment: {a: [1, 2]}\nnested:\n  key: 'x < y'\n"
    run = made_up()
    folder = run.write_all()
    folder.write("config.yaml", config.encode())
    assert config in Page(write_report(folder)).text


def test_results_stand_beside_their_own_references(made_up):
    run = made_up()
    folder = run.write_all()
    evaluation = folder.read_arrays("evaluation.npz")
    page = Page(write_report(folder))
    pairs = [alt for each in page.named("img") if "reference" in (alt := str(each["alt"]))]
    assert len(pairs) == len(evaluation["best_ids"]) == 30
    for alt, id_, score in zip(
        pairs, evaluation["best_ids"], evaluation["best_scores"], strict=True
    ):
        assert f"Query {id_}:" in alt
        assert f"score {score:.2f}" in alt
    assert np.all(np.diff(evaluation["best_scores"]) <= 0)


def test_tiny_scores_are_not_written_as_zero(made_up):
    run = made_up(40)
    run.scores, run.reference = 1e-7 * run.scores, 1e-7 * run.reference
    run.random_codes = 1e-7 * run.random_codes
    folder = run.write_all()
    summary = folder.read_json("summary.json") | {"spread": 4e-7}
    summary |= {"train_best_reconstructed": 1e-7}
    summary["judge"] |= {"train_best_reconstructed": 1e-7}
    folder.write_json("summary.json", summary)
    page = Page(write_report(folder))
    assert f"{summary['best']:.2e}" in page.text
    means = next(each["aria-label"] for each in page.named("svg") if "means" in each["aria-label"])
    assert f"queries {summary['query_mean']:.2e}" in means
    assert not re.search(r"[-\u2212]0\.0+(?!\d)", page.text)
    assert "The judge confirms the gain." in page.text


def test_recall_is_shown_at_the_levels_that_were_measured(made_up, page):
    assert [level for level in range(6) if f"Recall {level}" in page.text] == [0, 1, 2, 3, 5]
    folder = made_up().write_all()
    facts = folder.read_json("preparation.json")
    for scorer in facts["scorers"].values():
        scorer |= {"lowest": -20.0, "highest": 30.0}
    folder.write_json("preparation.json", facts)
    other = Page(write_report(folder)).text
    assert re.findall(r"Recall (\S+)", other)[:5] == ["-20", "-10", "0", "10", "30"]


def test_a_function_of_ones_own_has_no_recall(made_up):
    folder = made_up(judged=None).write_all()
    facts = folder.read_json("preparation.json")
    facts["scorers"]["queried"] = {"name": "mymodule:score", "origin": "yours"}
    folder.write_json("preparation.json", facts)
    assert "Recall" not in Page(write_report(folder)).text


def test_words_fit_any_data(page):
    shown = page.text.split("How to reproduce")[0]
    # Names of the experiment and of the data, and what the black box itself said.
    for name in ("smile_shift", "faces", "no face"):
        shown = shown.replace(name, "")
    assert not re.search("smil|face|people|degree", shown)


def test_repeats_are_marked_in_the_chart(made_up, page):
    """Queries 12, 25 and 38 of 40 propose what was known."""
    chart = next(each for each in page.named("svg") if "best scores so far" in each["aria-label"])
    assert "40 queries with 3 repeats" in chart["aria-label"]
    assert "The 3 crosses are repeats" in page.text
    assert "repeats" in page.html[page.html.index("best scores so far") :].split("</svg>")[0]
    fresh = Page(write_report(made_up(12).write_all()))
    assert "crosses" not in fresh.text
    once = Page(write_report(made_up(20).write_all()))
    assert "The cross is a repeat: it was" in once.text
    assert " queries with 1 repeat:" in once.html


def test_one_query_is_one(made_up):
    run = made_up(1)
    run.write_start(config="name: demo\nqueries: 1\n")
    run.write_journal()
    page = Page(write_report(run.folder))
    assert "1 of 1 query done" in " ".join(page.text.split())
    assert "After 1 query with 0 repeats" in page.html
    finished = Page(write_report(made_up(1).write_all()))
    assert "Once the search changed" in finished.text


def test_a_smoke_test_is_called_one(made_up, page):
    assert "smoke-test" not in page.ids
    run = made_up()
    run.write_all()
    run.write_start(config="name: demo\nqueries: 40\nsmoke_test: true\n")
    shown = Page(write_report(run.folder))
    assert "smoke-test" in shown.ids
    assert "these figures mean nothing" in shown.text


def test_what_changed_before_it_was_resumed_is_said(made_up):
    folder = made_up().write_all()
    environment = folder.read_json("environment.json")
    resumed = [{"at": "2026-01-02T03:04:05+00:00", "changes": ["torch was 1 and is 2"]}]
    folder.write_json("environment.json", environment | {"resumed": resumed})
    text = Page(write_report(folder)).text
    assert "2026-01-02 03:04 UTC" in text
    assert "torch was 1 and is 2" in text


def test_a_retraining_that_diverged_is_told(made_up) -> None:
    run = made_up()
    whole = run.write_all()
    assert "Retraining diverged" not in write_report(whole).read_text()
    facts = {"round": 9, "queries": 40, "version": "v", "fit": {"halvings": 2.0}, "shift": {}}
    whole.journal.append("round", facts)
    assert "Retraining diverged on the way to round 9:" in write_report(whole).read_text()
