"""What a fine-tuning benchmark takes along: `python -m benchmarks.finetune_pack FOLDER --csv DIR`.

Writes `csv/` and `encoder/`, the latter in half precision: all-MiniLM-L6-v2 takes 45 MB then. It is
loaded as float32; weights that half precision rounds differ from the pinned ones in their fourth
digit.
"""

import shutil
from pathlib import Path
from typing import Annotated

import typer
from safetensors.torch import load_file, save_file

from benchmarks.our_extraction import WEIGHTS
from pipeline.commands.meld_text import PUBLISHED

ENCODER = "all-MiniLM-L6-v2"


def pack(folder: Path, csv: Path, encoder: Path) -> None:
    """Writes the folder."""
    (folder / "csv").mkdir(parents=True, exist_ok=True)
    for name in PUBLISHED:
        shutil.copyfile(csv / name, folder / "csv" / name)
    (folder / "encoder").mkdir(exist_ok=True)
    for file in sorted(encoder.iterdir()):
        if file.suffix in (".json", ".txt"):
            shutil.copyfile(file, folder / "encoder" / file.name)
    weights = load_file(encoder / "model.safetensors")
    half = {n: w.half() if w.is_floating_point() else w for n, w in weights.items()}
    save_file(half, folder / "encoder/model.safetensors", metadata={"format": "pt"})


def main(
    folder: Annotated[Path, typer.Argument(help="Where to.")],
    csv: Annotated[Path, typer.Option(help="Holds MELD's three CSVs.")],
) -> None:
    """Packs."""
    encoder = WEIGHTS / ENCODER
    if not (encoder / "model.safetensors").is_file():
        raise typer.BadParameter(f"{encoder} lacks model.safetensors; `make demo` brings it.")
    if absent := [name for name in PUBLISHED if not (csv / name).is_file()]:
        raise typer.BadParameter(f"{csv} lacks {', '.join(absent)}.", param_hint="--csv")
    pack(folder, csv, encoder)


if __name__ == "__main__":
    typer.run(main)
