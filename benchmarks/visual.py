"""Pictures per second of the visual encoder's choices, side by side: `python -m benchmarks.visual`.

Each row is timed in turns with the others in one process, so that a busy machine slows all alike;
read the ratios.
"""

import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torchvision.models import get_model

ROUNDS = 5
BATCH = 32
THREADS = 2


def variants(architecture: str) -> dict[str, Callable[[Tensor], Tensor]]:
    """The network as it is, with another memory layout, and with folded batch norms."""
    plain = get_model(architecture, weights=None).eval()
    last = get_model(architecture, weights=None).eval().to(memory_format=torch.channels_last)
    folded: nn.Module = fuse(plain).to(memory_format=torch.channels_last)
    return {
        f"one picture at a time, {architecture}": lambda x: torch.cat([plain(p[None]) for p in x]),
        "batches": plain,
        "batches, channels last": lambda x: last(x.contiguous(memory_format=torch.channels_last)),
        "and batch norm folded (used)": lambda x: folded(
            x.contiguous(memory_format=torch.channels_last)
        ),
    }


@torch.inference_mode()
def main(architecture: str = "mobilenet_v2") -> None:
    """Prints the table."""
    torch.set_num_threads(THREADS)
    pictures = torch.randn(BATCH, 3, 224, 224)
    choices = variants(architecture)
    seconds: dict[str, list[float]] = {name: [] for name in choices}
    for _ in range(ROUNDS):
        for name, run in choices.items():
            start = time.perf_counter()
            run(pictures)
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    first = next(iter(medians.values()))
    table = Table("visual encoder", "pictures/s", "times as fast")
    for name, median in medians.items():
        table.add_row(name, f"{BATCH / median:.1f}", f"{first / median:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
