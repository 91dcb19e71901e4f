"""What the doctor sees of a corpus' encoders: which are here, and which have yet to come."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.params import Params
from pipeline.base.settings import Role
from pipeline.commands.finding import Finding, bad, good
from pipeline.features.agreement import wanted
from pipeline.weights.folder import load
from pipeline.weights.local import local_entry
from pipeline.weights.lock import PinnedEncoder, read_lock
from pipeline.weights.pin import read_pin
from pipeline.weights.reference import HubRevision, LocalFolder, TorchWeights, parse, store_folder
from pipeline.weights.store import store_root


def encoders_of(params: Params, corpus: str) -> Iterator[Finding]:
    """What is to be said of each encoder that a corpus needs."""
    for role in get_args(Role):
        name = wanted(params, corpus, role)
        if name is not None:
            try:
                yield _encoder(name, corpus, role)
            except PipelineError as error:
                yield bad(f"{corpus}: {error}")


def _encoder(name: str, corpus: str, role: Role) -> Finding:
    setting = f"{corpus}.{role}.encoder"
    reference = parse(name, role, setting, read_lock())
    if isinstance(reference, LocalFolder):
        return _local(reference, corpus, role, setting)
    folder = store_root() / store_folder(reference)
    if isinstance(reference, PinnedEncoder):
        entry: PinnedEncoder | None = reference
    else:
        entry = read_pin(folder)
    where = f"in {folder}" if _complete(entry, folder) else _to_come(reference, entry)
    return good(f"{corpus}: {role} encoder {name} {where}")


def _complete(entry: PinnedEncoder | None, folder: Path) -> bool:
    return entry is not None and all((folder / file.name).is_file() for file in entry.files)


def _to_come(
    reference: PinnedEncoder | TorchWeights | HubRevision, entry: PinnedEncoder | None
) -> str:
    if entry is not None:
        first = str(entry.files[0].sources[0])
    else:
        first = "torchvision's address" if isinstance(reference, TorchWeights) else "huggingface.co"
    return f"not here yet; `dvc repro` will try {first} first"


def _local(reference: LocalFolder, corpus: str, role: Role, setting: str) -> Finding:
    """DVC does not watch a folder of the user's, so a change of its files is told here."""
    now = {file.name: file.sha256 for file in local_entry(reference, role, setting).files}
    try:
        installed = load(paths.pretrained(corpus, role), verify=False)
    except PipelineError:
        installed = None
    if installed is not None and installed.name == reference.name and installed.files != now:
        return bad(
            f"{corpus}: the files of the {role} encoder {reference.name} have changed since they "
            f"were taken: dvc repro --force --single-item 'weights@{corpus}-{role}'"
        )
    return good(f"{corpus}: {role} encoder {reference.name} in {reference.folder.absolute()}")
