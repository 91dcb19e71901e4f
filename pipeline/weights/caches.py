"""Where other tools on this machine may already have put a file."""

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from huggingface_hub import constants, try_to_load_from_cache

from pipeline.weights.lock import HubSource, PackageSource, Source, UrlSource


class CachePlace(NamedTuple):
    """A cache's name for messages, and the file in it (None: not there)."""

    label: str
    path: Path | None


def cache_place(source: Source) -> CachePlace | None:
    """Where a source's file lies in its tool's cache; None for a source whose tool has none.

    What lies there is not to be trusted: torchvision and huggingface_hub check a file while they
    download it and never again.
    """
    match source:
        case UrlSource():
            path = torch_checkpoints() / unquote(urlsplit(source.url).path).rpartition("/")[2]
            return CachePlace(f"torch cache {path}", path if path.is_file() else None)
        case HubSource():
            return CachePlace(f"HuggingFace cache {hub_cache()}", cached_hub_file(source))
        case PackageSource():
            return None


def torch_checkpoints() -> Path:
    """The folder of torch.hub's downloads, by the rules of `torch.hub.get_dir`.

    Written out here because importing torch takes seconds.
    """
    caches = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", str(Path(caches) / "torch"))
    return Path(home).expanduser() / "hub" / "checkpoints"


def hub_cache() -> Path:
    """The folder of huggingface_hub's downloads."""
    return Path(constants.HF_HUB_CACHE)


def cached_hub_file(source: HubSource) -> Path | None:
    """The file in the HuggingFace cache at the very commit of the lock, if it is there."""
    found = try_to_load_from_cache(
        source.repo, source.path, cache_dir=hub_cache(), revision=source.revision
    )
    # Besides None, it gives a marker object where the hub once said that there is no such file.
    return Path(found) if isinstance(found, str) else None
