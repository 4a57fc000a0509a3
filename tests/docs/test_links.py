"""What pages point to exists: files, headings, commands and pictures."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT, ROOT / "docs", ROOT / "vqlso" / "weights")
PAGES = sorted(page for folder in FOLDERS for page in folder.glob("*.md"))
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def headings(page: Path) -> set[str]:
    """Anchors as GitHub makes them."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    plain = [
        re.sub(r"[`*]", "", line).strip().lower() for line in re.findall(r"^#+ (.*)", text, re.M)
    ]
    return {re.sub(r"[^\w\- ]", "", line).replace(" ", "-") for line in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_named_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for module in re.findall(r"-m (benchmarks[\w.]*\w)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module
    for name in re.findall(r"make bench-([a-z_]+)", text):
        assert (ROOT / "benchmarks" / f"{name}.py").exists() or name == "trees", name
    for path in re.findall(r"`((?:vqlso|solvers|pipeline|benchmarks|configs)/[\w./]*)`", text):
        # Examples make files of their own; the page about them is tested by running them.
        made = page.name in ("adding-parts.md", "CONTRIBUTING.md")
        assert made or (ROOT / path).exists(), path


def test_every_page_and_picture_is_reached() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for path in (*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "pictures").iterdir()):
        assert path.name in text, path.name
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs").glob("*.md"):
        assert path.name in readme, path.name
