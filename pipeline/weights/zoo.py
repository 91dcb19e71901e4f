"""torchvision's own weights: which there are, and where they are published.

Importing torchvision takes seconds, so it is imported only for encoders that are named its way.
"""

import difflib
import re
from typing import Any

from pipeline.weights.lock import EncoderEntry, Sha256Start, UrlSource, WantedFile

# The side of the pictures of the frame store, in pixels.
SIDE = 224


class StartedFile(WantedFile):
    """A file of which the first hex digits of its SHA-256 are known."""

    start: Sha256Start

    @property
    def expected(self) -> str:
        """How the digest begins."""
        return self.start


def known_architecture(name: str) -> None:
    """Accepts the name of a torchvision classification model.

    Raises:
        ValueError: There is none of that name; the message says which are near.
    """
    known = _architectures()
    if name not in known:
        raise ValueError(_unknown(f"the architecture {name!r}", name, known))


def known_weights(name: str) -> tuple[str, Any]:
    """The classification model that weights are of, and the weights.

    Args:
        name: Such as `ResNet50_Weights.IMAGENET1K_V2`.

    Raises:
        ValueError: There are none, or `DEFAULT` was asked for, or the network takes only pictures
            larger than those of the frame store.
    """
    from torchvision.models import get_model_weights

    enum_name, _, member = name.partition(".")
    enums = {get_model_weights(a).__name__: (a, get_model_weights(a)) for a in _architectures()}
    if enum_name not in enums:
        raise ValueError(_unknown("those weights", enum_name, list(enums)))
    architecture, enum = enums[enum_name]
    members = [weights.name for weights in enum]
    if member not in members:
        reason = "which changes with torchvision's version; " if member == "DEFAULT" else ""
        raise ValueError(f"{reason}expected one of {[f'{enum_name}.{m}' for m in members]}")
    weights = enum[member]
    side = max(weights.meta["min_size"])
    if side > SIDE:
        raise ValueError(f"which takes pictures of at least {side} pixels; ours have {SIDE}")
    return architecture, weights


def announced(name: str) -> EncoderEntry:
    """The encoder behind the name of torchvision weights, as torchvision announces it.

    Raises:
        ValueError: See `known_weights`.
    """
    architecture, weights = known_weights(name)
    file = weights.url.rpartition("/")[2]
    found = re.fullmatch(r".+-([0-9a-f]{8,64})\.pth", file)
    if found is None:
        raise ValueError(f"whose file {file} does not tell its SHA-256, so it cannot be checked")
    source = UrlSource(kind="url", url=weights.url)
    return EncoderEntry(
        name=architecture,
        role="visual",
        architecture=architecture,
        revision=name,
        licence=weights.meta.get("license", "BSD-3-Clause"),
        description=f"torchvision {architecture} with its weights {weights.name}.",
        files=(StartedFile(name=file, bytes=None, sources=(source,), start=found[1]),),
    )


def _architectures() -> list[str]:
    import torchvision.models

    return list(torchvision.models.list_models(module=torchvision.models))


def _unknown(what: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"it knows {', '.join(known)}"
    return f"but torchvision does not know {what}; {hint}"
