"""What a node of a cluster does: say what it is, and run an item for the driver.

Imports nothing that computes: libraries find the environment that the driver told before they are
loaded.
"""

import hashlib
import os
import platform
import resource
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from pipeline.base.costs import UNITS_PER_MEGABYTE
from pipeline.base.errors import PipelineError
from pipeline.base.files import TAKE_OVER
from pipeline.base.machine import cpu_model, gpu_models
from pipeline.base.stage import in_words
from pipeline.base.workers import WORKERS

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Facts:
    """What must be the same on all nodes, or their results would differ.

    Attributes:
        python: Version of the interpreter.
        code: Digest of all of this project's code.
        packages: Versions of what is installed, by name.
        cpu: The CPU's name; its type enters the last bits of what it computes. "": any.
        gpu: Names of NVIDIA GPUs, likewise.
    """

    python: str
    code: str
    packages: Mapping[str, str]
    cpu: str = ""
    gpu: str = ""

    @property
    def anywhere(self) -> "Facts":
        """Those of a node that only drives, or of one whose items need no GPU."""
        return replace(self, cpu="", gpu="")


@cache
def facts() -> Facts:
    """Those of this machine, and of the code that this process would import."""
    state = hashlib.sha256()
    for file in sorted(f for room in ("pipeline", "stages") for f in (ROOT / room).rglob("*.py")):
        state.update(f"{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    # An update of a package that was interrupted leaves one without a name.
    packages = {d.name.lower(): d.version for d in distributions() if d.name}
    digest = state.hexdigest()[:12]
    return Facts(platform.python_version(), digest, packages, cpu_model(), ", ".join(gpu_models()))


def differences(here: Facts, there: Facts) -> list[str]:
    """What of `there` is not as `here`, in words."""
    found = [
        f"{what} {got!r}, expected {wanted!r}"
        for what, got, wanted in (
            ("Python", there.python, here.python),
            ("code with the digest", there.code, here.code),
            ("the CPU", there.cpu, here.cpu or there.cpu),
            ("the GPU", there.gpu, here.gpu or there.gpu),
        )
        if got != wanted
    ]
    for name in sorted({*here.packages, *there.packages}):
        got, wanted = (p.get(name, "none") for p in (there.packages, here.packages))
        if got != wanted:
            found.append(f"{name} {got}, expected {wanted}")
    return found


@dataclass(frozen=True)
class Sight:
    """A folder, and a digest of the names in it, as the driver sees them."""

    folder: str
    names: str


@cache
def names_in(folder: str) -> str:
    """The digest of the names in a folder; "" where there is none."""
    try:
        names = sorted(path.name for path in Path(folder).iterdir())
    except OSError:
        return ""
    return hashlib.sha256("\n".join(names).encode(errors="surrogateescape")).hexdigest()


@dataclass(frozen=True)
class Told:
    """What a driver tells a node with each item.

    Attributes:
        folder: The project's, on the shared disk.
        sights: One below the cache that the driver has just made, and what is read.
        facts: Those of the nodes.
        cpus: Cores that the item may use.
        take_over: Whether the item's first node no longer answers.
    """

    folder: str
    sights: tuple[Sight, ...]
    facts: Facts
    cpus: int = 1
    take_over: bool = False


@dataclass(frozen=True)
class Said:
    """What a node says of an item.

    Attributes:
        kind: `began`, `result`, `ended`, or `error` in the words of its stage.
        value: The node's id; the result; what it cost; the words.
    """

    kind: str
    value: Any


@dataclass(frozen=True)
class Spent:
    """What an item cost where it ran: seconds by the clock, and that process' peak so far."""

    host: str
    seconds: float
    peak_megabytes: int


def look(told: Told) -> tuple[str, Facts | None, str]:
    """The host's name, its facts, and why it cannot take part; "" if it can."""
    host, unseen = platform.node(), [told.folder]
    try:
        os.chdir(told.folder)
        unseen = [one.folder for one in told.sights if names_in(one.folder) != one.names]
    except OSError:
        pass
    if unseen:
        return host, None, f"it does not see {unseen[0]} as the driver does"
    return host, facts(), ""


def carry_out(packed: bytes, told: Told, node: str, stage: str) -> Iterator[Said]:
    """Run an item, for a driver that hears of every result; what a user can fix becomes words.

    `packed` holds the work and its item: they import libraries when they are unpacked.
    """
    host, here, why = look(told)
    wrong = [why] if here is None else differences(told.facts, here)
    if wrong:
        yield Said("error", unlike(host, wrong))
        return
    os.environ[WORKERS] = str(told.cpus)
    os.environ.pop(TAKE_OVER, None)
    if told.take_over:
        os.environ[TAKE_OVER] = "1"
    yield Said("began", node)
    start = time.monotonic()
    try:
        from ray import cloudpickle

        work, item = cloudpickle.loads(packed)
        for result in work(item):
            yield Said("result", result)
    except PipelineError as error:
        yield Said("error", f"{host}: {error}")
        return
    except (OSError, RuntimeError) as error:
        if (text := in_words(error, stage)) is None:
            raise
        yield Said("error", f"{host}: {text}")
        return
    # Not that of its children: to know it, those that wait for the next item would have to end.
    peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / UNITS_PER_MEGABYTE)
    yield Said("ended", Spent(host, time.monotonic() - start, peak))


def unlike(host: str, wrong: list[str]) -> str:
    """The message about a node that cannot take part."""
    listed = "; ".join(wrong[:5]) + f"; and {len(wrong) - 5} more" * (len(wrong) > 5)
    return (
        f"The node {host} of the cluster differs from the driver: {listed}. Results "
        "would depend on who computed them. Give all nodes the same image or environment, the "
        "same CPU type, and this folder and cache on a shared disk at the same path."
    )
