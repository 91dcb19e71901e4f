"""What the visual pipeline makes of a GPU: `python -m benchmarks.gpu FOLDER`, a few minutes.

Needs no network and no corpus: random weights, drawn pictures and clips. Prints one table and
writes `gpu.json` to the folder. `--quick` runs every line on tiny inputs, on a CPU too.
"""

import json
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.gpu_forward import forward_and_stream
from benchmarks.gpu_plan import FULL, QUICK, Plan, Row
from benchmarks.gpu_vectors import agreement, decoding
from benchmarks.random_network import random_weights
from pipeline.base.workers import workers


def stages(plan: Plan, weights: Path, folder: Path) -> Iterator[Row]:
    """`frames` and `visual` against bare decoding and detecting on all cores."""
    from benchmarks.gpu_stages import YUNET, Load, stage_rows  # needs more packages than the rest

    if not YUNET.is_file():
        raise FileNotFoundError(f"{YUNET}: no face detector")
    precision = "float32" if plan.device == "cpu" else "bfloat16"
    load = Load(
        clips=plan.clips,
        size=plan.frame,
        seconds=plan.clip_seconds,
        count=plan.count,
        batch_size=plan.usual_size,
        device=plan.device,
        precision=precision,
    )
    found = stage_rows(folder / "stages", weights, plan.architecture, load)
    what = f"{found['clips']:.0f} clips of {plan.frame[0]}x{plan.frame[1]}"
    for name in ("frames", "starting frames", "visual", "starting visual"):
        yield Row(f"{what}: stage {name}", found[name], "s")
    yield Row(f"{what}: decoding and detecting, {workers()} processes", found["floor"], "s")
    both = found["frames"] + found["visual"]
    starting = found["starting frames"] + found["starting visual"]
    yield Row("frames + visual / decoding and detecting", both / found["floor"], "", "<= 1.5")
    yield Row("the same, less starting both", (both - starting) / found["floor"])


PARTS: dict[str, Callable[[Plan, Path, Path], Iterator[Row]]] = {
    "agreement": agreement,
    "decoding": decoding,
    "forward and stream": forward_and_stream,
    "stages": stages,
}


def measured(name: str, plan: Plan, weights: Path, folder: Path) -> Iterator[Row]:
    """Rows of a part, up to where it fails: the others are worth having without it."""
    try:
        yield from PARTS[name](plan, weights, folder)
    except Exception as error:
        traceback.print_exc()
        yield Row(f"{name}: skipped, {type(error).__name__}: {error}", float("nan"))


def main(
    folder: Annotated[Path, typer.Argument(help="Where gpu.json is written.")],
    quick: Annotated[bool, typer.Option(help="Tiny inputs; on the CPU if need be.")] = False,
    part: Annotated[list[str] | None, typer.Option(help="Parts; none: all.")] = None,
) -> None:
    """Measures, prints the table, writes gpu.json after each part."""
    plan = QUICK if quick else FULL
    if quick and torch.cuda.is_available():
        plan = replace(QUICK, device="cuda")
    device = torch.cuda.get_device_name() if plan.device == "cuda" else "CPU"
    title = f"{device}, {workers()} cores, torch {torch.__version__}, {plan.architecture}"
    rows: list[Row] = []
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        weights = random_weights(plan.architecture, Path(name))
        for chosen in part or PARTS:
            start = time.perf_counter()
            for row in measured(chosen, plan, weights, Path(name)):
                rows.append(row)
                print(f"{row.what}: {row.value:.6g} {row.unit}", flush=True)
            rows.append(Row(f"{chosen}: took", time.perf_counter() - start, "s"))
            facts: dict[str, Any] = {"title": title, "rows": [vars(row) for row in rows]}
            (folder / "gpu.json").write_text(json.dumps(facts, indent=2))
    table = Table("measured", "", "unit", "goal", title=title)
    for row in rows:
        table.add_row(row.what, f"{row.value:.6g}", row.unit, row.goal)
    Console(width=130).print(table)


if __name__ == "__main__":
    typer.run(main)
