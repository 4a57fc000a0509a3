"""Without a GPU the check says so and fails; what it looks at is the same on a CPU."""

import pytest
import torch

from benchmarks import gpu_check


def test_no_gpu_is_an_error_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_check.main() == 2
    assert "No GPU was found" in capsys.readouterr().err


def test_a_failed_check_fails_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = gpu_check.Check("good", True, "1"), gpu_check.Check("bad", False, "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A GPU")
    monkeypatch.setattr(gpu_check, "query_check", lambda: good)
    for found, code in (([good], 0), ([good, bad], 1)):
        monkeypatch.setattr(gpu_check, "checks", lambda found=found, **_: iter(found))
        assert gpu_check.main() == code
    assert "FAILED bad: 2" in capsys.readouterr().out


def test_the_checks_pass_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check, "EPOCHS", 2)
    found = {check.name: check for check in gpu_check.checks(width=8, images=256)}
    assert all(check.passed for check in found.values()), found
    assert "images a second on cpu" in found["training runs"].found
    assert {"bf16 where it pays", "channels last", "codes as on the CPU"} <= found.keys()
