"""A HuggingFace repository at one commit: which of its files an encoder needs, and their digests.

Big files lie in Git LFS, which knows them by their SHA-256; the others are blobs of git, known by
a SHA-1. Both come with the list of files, so that what arrives can be checked.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from huggingface_hub import HfApi, constants

from pipeline.base.errors import PipelineError
from pipeline.base.settings import Role
from pipeline.weights.download import SourceError
from pipeline.weights.lock import (
    EncoderEntry,
    GitSha1,
    HubSource,
    PinnedFile,
    WantedFile,
)
from pipeline.weights.sources import reach_hub

TIMEOUT_SECONDS = 10.0
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
SHARDS = re.compile(r"model-\d+-of-\d+\.safetensors|model\.safetensors\.index\.json")
BESIDES: dict[Role, tuple[str, ...]] = {
    "text": (
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
        "vocab.txt",
        "bpe.codes",
        "spiece.model",
        "spm.model",
        "sentencepiece.bpe.model",
        "tokenizer.model",
    ),
    "audio": ("preprocessor_config.json",),
}


class GitFile(WantedFile):
    """A file that git holds itself, known by the name of its blob."""

    label: ClassVar[str] = "git blob SHA-1"
    blob: GitSha1

    @property
    def expected(self) -> str:
        """The blob's name."""
        return self.blob

    def digest(self, path: Path) -> str:
        """What git calls a file with these bytes."""
        state = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                state.update(chunk)
        return state.hexdigest()


def needed(names: Iterable[str], role: Role, where: str) -> list[str]:
    """Which files of a transformers encoder are taken: settings, tokenizer, weights; no pickles.

    Args:
        names: All that is there.
        role: `text` or `audio`.
        where: What holds them, for errors.

    Raises:
        PipelineError: config.json or the weights as safetensors are not among them.
    """
    there = sorted(names)
    if CONFIG not in there:
        raise PipelineError(f"{where} has no {CONFIG}, so it is no encoder of transformers.")
    weights = [WEIGHTS] if WEIGHTS in there else [n for n in there if SHARDS.fullmatch(n)]
    if not any(name.endswith(".safetensors") for name in weights):
        pickles = [name for name in there if name.endswith((".bin", ".pt", ".pth", ".ckpt"))]
        raise PipelineError(
            f"{where} has no weights as safetensors"
            + (f", only {', '.join(pickles)}, which may run code when loaded" if pickles else "")
            + ". Name a commit that has model.safetensors (many repositories have one among their "
            "pull requests), or convert it: AutoModel.from_pretrained(...).save_pretrained(FOLDER) "
            "and the same for its tokenizer or feature extractor, and name that folder."
        )
    return [CONFIG, *(name for name in BESIDES[role] if name in there), *weights]


def architecture(config: Path) -> str:
    """The transformers class that a config.json names, or else its kind of model.

    Raises:
        PipelineError: It names none.
    """
    try:
        content: Any = json.loads(config.read_text(encoding="utf-8"))
        return str((content.get("architectures") or [content["model_type"]])[0])
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise PipelineError(f"{config} names no kind of model: {error!r}") from error


def announced(repo: str, revision: str, role: Role) -> EncoderEntry:
    """The encoder in a repository, as the hub announces it; config.json will tell its class.

    Raises:
        SourceError: The hub does not answer or has no such commit.
        PipelineError: The repository lacks files that are needed.
    """
    reach_hub()
    try:
        info = HfApi(endpoint=constants.ENDPOINT).model_info(
            repo, revision=revision, files_metadata=True, timeout=TIMEOUT_SECONDS
        )
    # Broad for the same reason as in `sources`.
    except Exception as error:
        raise SourceError(str(error).strip().partition("\n")[0] or type(error).__name__) from error
    listed = {file.rfilename: file for file in info.siblings or []}
    names = needed(listed, role, f"{repo} at {revision[:8]}")
    card: Any = info.card_data or {}
    return EncoderEntry(
        name=repo,
        role=role,
        architecture="transformers",
        revision=revision,
        licence=str(card.get("license") or "not stated"),
        description=f"{repo} of the HuggingFace hub.",
        files=tuple(_file(listed[name], repo, revision) for name in names),
    )


def _file(listed: Any, repo: str, revision: str) -> WantedFile:
    name = listed.rfilename
    source = HubSource(kind="hub", repo=repo, revision=revision, path=name)
    if listed.lfs is not None:
        digest = listed.lfs.sha256
        return PinnedFile(name=name, bytes=listed.lfs.size, sources=(source,), sha256=digest)
    return GitFile(name=name, bytes=listed.size, sources=(source,), blob=listed.blob_id)
