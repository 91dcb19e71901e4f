"""Whether the encoders that a corpus needs are here, or where they will come from."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.files import sha256_file
from pipeline.base.params import Params
from pipeline.base.settings import ROLES, Role
from pipeline.doctor.findings import Finding, bad, good
from pipeline.weights.contents import local_encoder
from pipeline.weights.fetch import store_folder, store_root
from pipeline.weights.folder import Encoder, load
from pipeline.weights.lock import KnownEncoder, read_lock
from pipeline.weights.names import LocalFolder, Repository, parse, wanted


def encoders_of(params: Params, corpus: str) -> Iterator[Finding]:
    """What is to be said of each encoder that a corpus needs."""
    for role in ROLES:
        name = wanted(params, corpus, role)
        if name is not None:
            try:
                yield _encoder(name, corpus, role)
            except (PipelineError, OSError) as error:
                yield bad(f"{corpus}: {error}")


def _encoder(name: str, corpus: str, role: Role) -> Finding:
    setting = f"{corpus}.{role}.encoder"
    reference = parse(name, role, setting, read_lock())
    installed = _installed(corpus, role)
    if isinstance(reference, LocalFolder):
        return _local(name, reference, corpus, role, setting, installed)
    if place := _place(name, reference, installed):
        where = f"in {place}"
    else:
        first = getattr(reference, "sources", ["huggingface.co"])[0]
        where = f"not here yet; `dvc repro` will try {first} first"
    return good(f"{corpus}: {role} encoder {name} {where}")


def _installed(corpus: str, role: Role) -> Encoder | None:
    try:
        return load(paths.pretrained(corpus, role), verify=False)
    except PipelineError:
        return None


def _place(
    name: str, reference: KnownEncoder | Repository, installed: Encoder | None
) -> Path | None:
    """Where an encoder's files are: in its encoder folder or the store; None: in neither."""
    same = (reference.name, reference.revision)
    if installed is not None and (installed.name, installed.revision) == same:
        return installed.folder
    folder = store_folder(name, store_root())
    files = reference.files if isinstance(reference, KnownEncoder) else ()
    there = folder.is_dir() and all((folder / file).is_file() for file in files)
    return folder if there else None


def _local(
    name: str,
    reference: LocalFolder,
    corpus: str,
    role: Role,
    setting: str,
    installed: Encoder | None,
) -> Finding:
    """Whether a user's folder, which DVC does not watch, is as it was when it was taken."""
    files = local_encoder(name, reference, role, setting).names
    now = {file: sha256_file(reference.path / file) for file in files}
    if installed is not None and installed.name == name and installed.files != now:
        return bad(
            f"{corpus}: the files of the {role} encoder {name} have changed since they "
            f"were taken: dvc repro --force --single-item 'weights@{corpus}-{role}'"
        )
    return good(f"{corpus}: {role} encoder {name} in {reference.path.absolute()}")
