"""Portable arithmetic: asked for in params.yaml, in force before numpy or torch is loaded."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy._core import _multiarray_umath

from pipeline.base.arithmetic import PINNED, PINS, SAME_EACH_TIME, pin, pinned
from pipeline.features.common.device import arithmetic
from tests.conftest import ROOT

PARAMS = """
compute: {{arithmetic: {choice}}}
defaults: {{demo: &demo {{seed: 1}}}}
drawn: {{demo: {{<<: *demo}}, train: {{}}}}
real: {{train: {{}}}}
"""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As it is after the test what it was before."""
    for name in (PINNED, *PINS):
        monkeypatch.setenv(name, "to be restored")
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize(
    ("choice", "words", "portable"),
    [
        ("auto", ["-m", "drawn"], True),
        ("auto", ["x", "predict", "--model", "models/checkpoints/drawn/fold0.safetensors"], True),
        ("auto", ["-m", "real"], False),
        ("auto", ["-m", "defaults"], False),
        ("portable", ["-m", "real"], True),
        ("native", ["-m", "drawn"], False),
    ],
)
def test_generated_corpora_are_portable_unless_params_say_otherwise(
    environment: pytest.MonkeyPatch, tmp_path: Path, choice: str, words: list[str], portable: bool
) -> None:
    params = tmp_path / "params.yaml"
    params.write_text(PARAMS.format(choice=choice))
    pin(words, params)
    assert pinned() == portable
    assert os.environ["MKL_CBWR"] == ("COMPATIBLE" if portable else "AUTO")
    assert ("arithmetic" in arithmetic("cpu", 2, "float32")) == portable, "in every fingerprint"
    assert "arithmetic" not in arithmetic("cuda", 2, "float32")


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "compute: 1", f"a: {'[' * 900}{']' * 900}"])
def test_a_file_that_cannot_be_read_is_left_to_the_check(
    environment: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    (tmp_path / "params.yaml").write_text(text)
    pin(["drawn"], tmp_path / "params.yaml")
    pin(["drawn"], tmp_path / "nowhere.yaml")
    assert not pinned()


def test_the_names_of_instruction_sets_are_those_of_this_numpy() -> None:
    above = [name for name in _multiarray_umath.__cpu_dispatch__ if name != "X86_V3"]
    assert PINS["NPY_DISABLE_CPU_FEATURES"].split() == above, np.__version__


CODE = """
import hashlib, sys
import numpy as np, torch
torch.manual_seed(0); torch.set_num_threads(1)
a, b = torch.randn(64, 300), torch.randn(300, 200)
parts = [a @ b, a.exp(), torch.nn.functional.gelu(a), torch.conv1d(a[None], torch.randn(8, 64, 5))]
parts = [part.numpy() for part in parts] + [np.exp(a.numpy()), a.numpy() @ b.numpy()]
print(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
"""
CAPPED = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Nehalem",
}


@pytest.mark.slow
def test_a_pinned_process_computes_the_same_whatever_the_environment_said_before() -> None:
    """In a fresh process, where the machine's own variables are replaced by ours."""

    def digest(**variables: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", CODE],
            env={**os.environ, **variables},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    assert digest(**PINS) == digest(**{**CAPPED, **PINS})
    assert digest(**CAPPED) != digest(**PINS), "what is computed here does depend on the pins"


UNALIGNED = """
import torch
torch.manual_seed(0); torch.set_num_threads(1)
for inputs in (5, 16, 40):
    weight, rows = torch.randn(4, inputs), torch.randn(1, inputs)
    expected = torch.nn.functional.linear(rows, weight)
    for shift in range(16):
        place = torch.empty(4 * inputs + 16)[shift : shift + 4 * inputs].view(4, inputs)
        if not torch.equal(torch.nn.functional.linear(rows, place.copy_(weight)), expected):
            raise SystemExit(f"other bits {4 * shift} bytes further on")
"""


@pytest.mark.slow
def test_a_product_does_not_depend_on_where_in_memory_its_factors_lie() -> None:
    """On AMD CPUs it does if MKL is not told otherwise."""
    environment = {**os.environ, **SAME_EACH_TIME}
    subprocess.run([sys.executable, "-c", UNALIGNED], env=environment, check=True)
