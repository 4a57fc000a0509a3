"""The default progress shows nothing and takes any steps."""

import pytest

from vqlso.progress import SILENT


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    with SILENT.task("fitting", 3) as advance:
        advance(2)
        advance(0)
    assert capsys.readouterr() == ("", "")


def test_an_interruption_passes_through() -> None:
    with pytest.raises(KeyboardInterrupt), SILENT.task("fitting", 3):
        raise KeyboardInterrupt
