"""docs/performance.md is what the results in the repository make of its template; all are told."""

from benchmarks.page import PAGE, page
from benchmarks.recording import read_results


def test_the_page_is_made_from_the_results() -> None:
    made = page(read_results())
    assert PAGE.read_text(encoding="utf-8") == made, "run `make performance-page`"


def test_every_table_has_its_command() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGE.parent.glob("*.md"))
    for record in read_results().values():
        assert record["command"] in text
