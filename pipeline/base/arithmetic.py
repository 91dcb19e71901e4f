"""Pin the arithmetic of all libraries, so that any x86-64 CPU with AVX2 gives the same bytes.

Convolutions, matrix products, `exp` and their like give other last bits with AVX-512 than with
AVX2, and MKL's on Intel than on AMD. The variables below choose one code path everywhere. Libraries
read them when they are loaded, so `pin` comes before any import of numpy, torch or OpenCV.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline.base.aliases import check_aliases, check_depth

PINS = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",  # MKL ignores AVX2 on AMD
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",  # threads enter the order of sums, and cores their default
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
PINNED = "ERC_ARITHMETIC"
# Or MKL's products on an AMD CPU vary with where in memory a matrix lies. It costs nothing.
SAME_EACH_TIME = {"MKL_CBWR": "AUTO"}


def pin(words: Sequence[str], params: Path = Path("params.yaml")) -> None:
    """Pin this process and those that it starts, if params.yaml asks for it.

    With `compute.arithmetic: auto` that is where `words`, of the command line, name a generated
    corpus, whose results are the same everywhere; those of real corpora are computed as fast as the
    CPU can, but the same each time. A file that cannot be read is reported by whoever checks it.
    """
    for name, value in SAME_EACH_TIME.items():
        os.environ.setdefault(name, value)
    try:
        content = params.read_bytes()
        check_depth(yaml.parse(content, yaml.CSafeLoader))
        loader = yaml.CSafeLoader(content)
        root = loader.get_single_node()
        check_aliases(root)
        portable = _portable(loader.construct_document(root), words)
    except (OSError, yaml.YAMLError, AttributeError, TypeError, LookupError, ValueError):
        return
    except RecursionError:  # nested too deeply, by aliases
        return
    if portable:
        os.environ.update(PINS | {PINNED: "portable"})


def _portable(settings: Any, words: Sequence[str]) -> bool:
    choice = settings["compute"].get("arithmetic")
    if choice != "auto":
        return bool(choice == "portable")
    generated = {n for n, block in settings.items() if n != "defaults" and "demo" in (block or ())}
    return not generated.isdisjoint(part for word in words for part in Path(word).parts)


def pinned() -> bool:
    """Whether this process computes portably."""
    return PINNED in os.environ
