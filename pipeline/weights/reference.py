"""What params.yaml may name as an encoder, told apart without a network.

- An entry of the weights' lock: `resnet101`.
- Weights of torchvision by their own name: `ResNet50_Weights.IMAGENET1K_V2`.
- A HuggingFace repository at one commit: `FacebookAI/roberta-base@` and 40 hex digits.
- A folder of this machine: `./my/encoder`; of pictures with the torchvision architecture before
  it: `resnet50:./my/weights`.
"""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.errors import PipelineError
from pipeline.base.settings import Role
from pipeline.weights.lock import Lock, LockedEncoder
from pipeline.weights.zoo import known_architecture, known_weights

HUB = "https://huggingface.co"
REPOSITORY = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"
FOLDER = re.compile(r"(?:\.{1,2}|~)?/.+|\.{1,2}|~")
EXAMPLES: dict[Role, tuple[str, ...]] = {
    "faces": (),
    "visual": (
        "weights of torchvision such as ResNet50_Weights.IMAGENET1K_V2",
        "ARCHITECTURE:FOLDER such as resnet50:./my/weights",
    ),
    "text": ("OWNER/NAME@COMMIT of huggingface.co", "a folder such as ./my/encoder"),
    "audio": ("OWNER/NAME@COMMIT of huggingface.co", "a folder such as ./my/encoder"),
}


@dataclass(frozen=True)
class TorchWeights:
    """Weights of torchvision: the name of an enum and of its member."""

    name: str


@dataclass(frozen=True)
class HubRevision:
    """A repository of the HuggingFace hub at one commit."""

    repo: str
    revision: str


@dataclass(frozen=True)
class LocalFolder:
    """A folder of this machine.

    Attributes:
        name: As params.yaml has it.
        folder: Where it is.
        architecture: A torchvision model's name; None for transformers, whose config.json says it.
    """

    name: str
    folder: Path
    architecture: str | None


Published = TorchWeights | HubRevision
Reference = LockedEncoder | Published | LocalFolder


def store_folder(reference: LockedEncoder | Published) -> str:
    """The name of an encoder's folder in the store."""
    if isinstance(reference, HubRevision):
        return f"{reference.repo.replace('/', '--')}--{reference.revision}"
    return reference.name


def parse(name: str, role: Role | None, setting: str, lock: Lock) -> Reference:
    """What an encoder's name stands for.

    Args:
        name: As params.yaml has it.
        role: What it is for; None takes any entry of the lock and nothing else.
        setting: The setting that names it, for errors, such as `visual.meld.encoder`.
        lock: The weights' lock.

    Raises:
        PipelineError: It is none of the accepted forms, or names nothing that is known.
    """
    problem = None
    if entry := lock.find(name, role):
        return entry
    try:
        if role == "visual":
            return _of_pictures(name)
        if role in ("text", "audio"):
            return _of_transformers(name)
    except ValueError as error:
        problem = str(error)
    raise PipelineError(f"{setting}: got {name!r}, {problem or _expected(name, role, lock)}")


def _of_pictures(name: str) -> Reference:
    architecture, colon, folder = name.partition(":")
    if colon:
        known_architecture(architecture)
        if not FOLDER.fullmatch(folder):
            raise ValueError(f"whose folder {folder!r} does not begin with ./, / or ~/")
        return LocalFolder(name, Path(folder).expanduser(), architecture)
    if FOLDER.fullmatch(name):
        raise ValueError(
            f"which does not say what network is in it; write ARCHITECTURE:{name} "
            f"with a torchvision model's name, such as resnet50:{name}"
        )
    if re.fullmatch(r"\w+_Weights\.\w+", name):
        known_weights(name)
        return TorchWeights(name)
    raise ValueError


def _of_transformers(name: str) -> Reference:
    if FOLDER.fullmatch(name):
        return LocalFolder(name, Path(name).expanduser(), None)
    repo, _, revision = name.partition("@")
    if not re.fullmatch(REPOSITORY, repo):
        raise ValueError
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return HubRevision(repo, revision)
    named = f"whose revision {revision!r} is no commit" if revision else "which names no commit"
    raise ValueError(
        f"{named}, so it would not stay the same; write {repo}@COMMIT with the 40 hex digits of "
        f"one: `git ls-remote {HUB}/{repo} HEAD` prints the newest, {HUB}/{repo}/commits/main "
        f"lists all (a folder of this machine begins with ./, / or ~/)"
    )


def _expected(name: str, role: Role | None, lock: Lock) -> str:
    entries = lock.names(role)
    forms = [f"one of {entries}"] if entries else []
    forms += EXAMPLES[role] if role else ()
    near = difflib.get_close_matches(name, entries, 1)
    return f"expected {', or '.join(forms)}" + (f"; did you mean {near[0]!r}?" if near else "")
