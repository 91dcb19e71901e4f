"""What params.yaml names as an encoder, told apart without a network.

- An entry of the weights' lock: `resnet101`.
- Weights of torchvision by their own name: `ResNet50_Weights.IMAGENET1K_V2`.
- A Hugging Face repository at one commit: `FacebookAI/roberta-base@` and 40 hex digits.
- A folder of this machine: `./my/encoder`; for pictures with the torchvision architecture before
  it: `resnet50:./my/weights`.

Importing torchvision takes seconds, so it is imported only for encoders that are named its way.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.errors import PipelineError
from pipeline.base.params import Params
from pipeline.base.settings import Role
from pipeline.weights.lock import COMMIT, REPOSITORY, FileDigest, KnownEncoder, Lock, of_role

HUB = "https://huggingface.co"
SIDE = 224  # of the pictures in the frame store, pixels
FOLDER = re.compile(r"(?:\.{1,2}|~)?/.+|\.{1,2}|~")
OF_TRANSFORMERS = ("OWNER/NAME@COMMIT of huggingface.co", "a folder such as ./my/encoder")
EXAMPLES: dict[Role, tuple[str, ...]] = {
    "faces": (),
    "visual": (
        "weights of torchvision such as ResNet50_Weights.IMAGENET1K_V2",
        "ARCHITECTURE:FOLDER such as resnet50:./my/weights",
    ),
    "text": OF_TRANSFORMERS,
    "audio": OF_TRANSFORMERS,
}


@dataclass(frozen=True)
class Repository:
    """A repository of the Hugging Face hub at one commit."""

    name: str
    revision: str


@dataclass(frozen=True)
class LocalFolder:
    """A folder of this machine; `architecture` is None where its config.json says it."""

    path: Path
    architecture: str | None


Reference = KnownEncoder | Repository | LocalFolder


def parse(name: str, role: Role, setting: str, lock: Lock) -> Reference:
    """What a name in `setting`, such as `meld.visual.encoder`, stands for; refuse others."""
    if name in (known := of_role(lock, role)):
        return lock[name]
    problem = None
    try:
        if role == "visual":
            return _of_pictures(name)
        if role in ("text", "audio"):
            return _of_transformers(name)
    except ValueError as error:
        problem = str(error)
    forms = ", or ".join([f"one of {known}"] * bool(known) + [*EXAMPLES[role]])
    near = difflib.get_close_matches(name, known, 1)
    expected = f"expected {forms}" + (f"; did you mean {near[0]!r}?" if near else "")
    raise PipelineError(f"{setting}: got {name!r}, {problem or expected}")


def _of_pictures(name: str) -> Reference:
    architecture, colon, folder = name.partition(":")
    if colon:
        _check(architecture, _architectures(), f"the architecture {architecture!r}")
        if not FOLDER.fullmatch(folder):
            raise ValueError(f"whose folder {folder!r} does not begin with ./, / or ~/")
        return LocalFolder(Path(folder).expanduser(), architecture)
    if FOLDER.fullmatch(name):
        raise ValueError(
            f"which does not say what network is in it; write ARCHITECTURE:{name} "
            f"with a torchvision model's name, such as resnet50:{name}"
        )
    if re.fullmatch(r"\w+_Weights\.\w+", name):
        return _of_torchvision(name)
    raise ValueError


def _of_torchvision(name: str) -> KnownEncoder:
    from torchvision.models import get_model_weights, get_weight

    models = {get_model_weights(model).__name__: model for model in _architectures()}
    enum, _, member = name.partition(".")
    _check(enum, list(models), "those weights")
    model = models[enum]
    members = [f"{enum}.{weights.name}" for weights in get_model_weights(model)]
    if name not in members:
        reason = "which changes with torchvision's version; " if member == "DEFAULT" else ""
        raise ValueError(f"{reason}expected one of {members}")
    weights = get_weight(name)
    if (side := max(weights.meta["min_size"])) > SIDE:
        raise ValueError(f"which takes pictures of at least {side} pixels; ours have {SIDE}")
    address, _, file = weights.url.rpartition("/")
    digest = file.rpartition("-")[2].removesuffix(".pth")  # its first digits
    return KnownEncoder(
        name=model,
        role="visual",
        architecture=model,
        revision=name,
        licence=weights.meta.get("license", "BSD-3-Clause"),
        description=f"torchvision {model} with its weights {member}.",
        sources=(address,),
        files={file: FileDigest(bytes=None, sha256=digest)},
    )


def _of_transformers(name: str) -> Reference:
    if FOLDER.fullmatch(name):
        return LocalFolder(Path(name).expanduser(), None)
    repo, _, revision = name.partition("@")
    if not re.fullmatch(REPOSITORY, repo):
        raise ValueError
    if re.fullmatch(COMMIT, revision):
        return Repository(repo, revision)
    named = f"whose revision {revision!r} is not a commit" if revision else "which names no commit"
    raise ValueError(
        f"{named}, so it would not stay the same; write {repo}@COMMIT with the 40 hex digits of "
        f"one: `git ls-remote {HUB}/{repo} HEAD` prints the newest, {HUB}/{repo}/commits/main "
        f"lists all (a folder of this machine begins with ./, / or ~/)"
    )


def _architectures() -> list[str]:
    import torchvision.models

    return list(torchvision.models.list_models(module=torchvision.models))


def _check(name: str, known: Sequence[str], what: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, 3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"it knows {', '.join(known)}"
        raise ValueError(f"but torchvision does not know {what}; {hint}")


def wanted(params: Params, corpus: str, role: Role) -> str | None:
    """The encoder's name as params.yaml has it, None where nothing will use one."""
    block = params.blocks[corpus]
    modality = "visual" if role == "faces" else role
    needed = {
        "faces": block["frames"]["crop"] == "face",
        "audio": block["audio"]["extractor"] == "speech",
    }
    extract = block["extract"]
    computed = modality in extract["modalities"] and modality not in extract.get("imported", {})
    if not computed or not needed.get(role, True):
        return None
    name: str = block[role]["encoder"]
    return name
