"""Device names: `auto` means what is there, an absent device is told."""

from pathlib import Path

import pytest
import torch

from pipeline.base.errors import PipelineError
from pipeline.features.common import device
from pipeline.features.common.device import resolve_device


def test_auto_takes_cuda_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = tmp_path / "nvidiactl"
    monkeypatch.setattr(device, "GPU_DRIVERS", (str(driver),))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == "cpu", "without a driver torch is not even asked"
    driver.touch()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == resolve_device("cuda") == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == "cpu"


def test_absent_device_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(PipelineError, match="got 'cuda', which this machine lacks"):
        resolve_device("cuda")
