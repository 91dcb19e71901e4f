"""The kept state of a run: whole or absent, and never saved for more than a share of the time."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pipeline.base import state as module
from pipeline.base.state import Sparingly, StateFile


@dataclass
class Counted:
    epochs: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)


def file(folder: Path) -> StateFile[Counted]:
    return StateFile(folder / "run.pt", Counted)


def test_a_run_resumes_with_its_parts_and_keeps_none_when_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_SAVES", 0.0)
    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    assert file(tmp_path).load(model) is None and file(tmp_path).read() is None
    file(tmp_path).save(Counted(3, {"a": torch.ones(2)}), model)
    loaded = file(tmp_path).load(other)
    assert loaded is not None and loaded.epochs == 3 and torch.equal(other.weight, model.weight)
    large = (tmp_path / "run.pt").stat().st_size
    file(tmp_path).finish(Counted(4))
    loaded = file(tmp_path).load(other)
    assert loaded == Counted(4) == file(tmp_path).read()
    assert (tmp_path / "run.pt").stat().st_size < large


def test_a_damaged_file_counts_as_absent(tmp_path: Path) -> None:
    file(tmp_path).finish(Counted(3, {"a": torch.arange(1000.0)}))
    path = tmp_path / "run.pt"
    whole = path.read_bytes()
    for place in range(0, len(whole), 97):
        path.write_bytes(whole[:place])
        assert file(tmp_path).read() is None, "cut off"
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        assert file(tmp_path).read() is None, "a flipped byte"
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert file(tmp_path).load(nn.Linear(2, 2)) is None, "a flipped bit"
    path.write_bytes(whole.replace(torch.tensor([500.0]).numpy().tobytes(), b"\xff" * 4))
    assert file(tmp_path).read() is None


def test_a_full_disk_is_named_and_leaves_the_last_state(small_disk: Path) -> None:
    file(small_disk).finish(Counted(3, {"a": torch.rand(10_000)}))
    with pytest.raises(OSError, match="No space left on device") as full:
        file(small_disk).finish(Counted(4, {"a": torch.rand(100_000)}))
    assert full.value.filename == str(small_disk / "run.pt")
    state = file(small_disk).read()
    assert state is not None and state.epochs == 3
    assert [path.name for path in small_disk.iterdir()] == ["run.pt"]


def test_saving_takes_a_twentieth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        now = 0.0

        def monotonic(self) -> float:
            return self.now

    clock, saves = Clock(), []
    monkeypatch.setattr(module, "time", clock)
    sparingly, cost = Sparingly(1.0), 0.0

    def save() -> None:
        saves.append(clock.now)
        clock.now += cost

    for _ in range(100):
        clock.now += 0.25
        sparingly(save)
    assert saves == [float(n) for n in range(1, 26)], "once a second where it costs nothing"
    saves.clear()
    cost = 1.0
    for _ in range(1000):
        clock.now += 0.25
        sparingly(save)
    assert len(saves) == 1 + 249 // 20
