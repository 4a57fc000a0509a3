"""The study of docs/studies.md can be run as it stands there."""

import re
from pathlib import Path

from pipeline.studies.study import planned, read_study

PAGE = Path(__file__).parents[2] / "docs" / "studies.md"


def test_the_example_is_a_study(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "mine.yaml").write_text(example)
    study = read_study(str(tmp_path / "mine.yaml"))
    assert len(planned(study)) == 2 * 3 * 3
