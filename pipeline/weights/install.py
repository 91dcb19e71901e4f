"""Writing an encoder folder: copies of one encoder's verified files, and the record of them."""

import shutil
from pathlib import Path

from pipeline.base.files import replacing_folder
from pipeline.base.settings import Role
from pipeline.weights.lock import Lock
from pipeline.weights.record import record_of, write_record
from pipeline.weights.store import bring


def install(
    encoder_name: str,
    role: Role,
    folder: Path,
    store: Path,
    setting: str,
    *,
    lock: Lock | None = None,
) -> None:
    """Writes the encoder folder, whole or not at all; the same bytes on every run.

    Args:
        encoder_name: Any of the forms of `reference.parse`.
        role: The role the encoder must have.
        folder: The folder to write; one that is there is replaced.
        store: The machine's store of weights, see `store.bring`.
        setting: The setting of params.yaml that names the encoder, for errors.
        lock: The lock to go by; None for the committed one.

    Raises:
        PipelineError: If the encoder is unknown or its files cannot be had.
    """
    files = bring(encoder_name, store, role=role, setting=setting, lock=lock)
    with replacing_folder(folder) as part:
        for file in files.entry.files:
            target = part / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            # A copy, not a link: DVC makes its outputs read-only or links them elsewhere.
            shutil.copyfile(files.folder / file.name, target)
        write_record(part, record_of(files.entry, part))
