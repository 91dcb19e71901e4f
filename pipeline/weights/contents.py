"""Which files make up an encoder that the lock does not know: one of the hub, or in a folder."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from yaml import YAMLError

from pipeline.base.errors import PipelineError
from pipeline.base.files import sha256_file
from pipeline.base.settings import Role
from pipeline.weights.lock import Provenance
from pipeline.weights.names import LocalFolder, Repository
from pipeline.weights.sources import SourceError, snapshot

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
SHARDS = re.compile(r"model-\d+-of-\d+\.safetensors|model\.safetensors\.index\.json")
TOKENIZER = (
    "tokenizer.json tokenizer_config.json special_tokens_map.json added_tokens.json vocab.json "
    "merges.txt vocab.txt bpe.codes spiece.model spm.model sentencepiece.bpe.model tokenizer.model"
)
BESIDES = {"text": TOKENIZER.split(), "audio": ["preprocessor_config.json"]}
README = "README.md"
STATE_DICTS = (".pth", ".safetensors")  # .pth is loaded with `weights_only=True`


class EncoderFiles(NamedTuple):
    """An encoder whose files lie complete in a folder, perhaps among others."""

    provenance: Provenance
    folder: Path
    names: Iterable[str]


def repository_encoder(source: Repository, role: Role, by_hand: Path, setting: str) -> EncoderFiles:
    """The encoder in a repository, of which the commit stands for the content.

    What is in the folder `by_hand` goes before what the hub has. Files that cannot be had, or that
    are not what the role needs, are refused.
    """
    folder = by_hand
    if not folder.is_dir():
        wanted = [CONFIG, *BESIDES[role], WEIGHTS, "model-*.safetensors", f"{WEIGHTS}.index.json"]
        try:
            folder = snapshot(source, [*wanted, README])
        except SourceError as error:
            raise PipelineError(
                f"{setting}: could not get {source.name}@{source.revision} from the Hugging Face "
                f"hub: {error}\nRun this again with a connection, or put its {CONFIG}, "
                f"{WEIGHTS} and the files of its tokenizer or feature extractor into "
                f"{by_hand.absolute()}"
            ) from error
    names = _of_transformers(folder, role, f"{source.name}@{source.revision} ({folder})")
    for path in (folder / name for name in names):
        # A big file of the hub's cache is a link to one that is named by its SHA-256.
        digest = path.readlink().name if path.is_symlink() else ""
        if re.fullmatch(r"[0-9a-f]{64}", digest) and (got := sha256_file(path)) != digest:
            raise PipelineError(
                f"{path}: got SHA-256 {got}, expected {digest}; delete {path.resolve()} to have it "
                "fetched again."
            )
    provenance = Provenance(
        name=source.name,
        role=role,
        architecture=_architecture(folder / CONFIG),
        revision=source.revision,
        licence=_licence(folder / README),
        description=f"{source.name} of the HuggingFace hub.",
    )
    return EncoderFiles(provenance, folder, names)


def local_encoder(name: str, local: LocalFolder, role: Role, setting: str) -> EncoderFiles:
    """The encoder in a folder of this machine, as it is now; refuse one that is incomplete."""
    folder, place = local.path, local.path.absolute()
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise PipelineError(
            f"{setting}: got {name!r}, but {place} is not a folder that can be read: "
            f"{error.strerror}."
        ) from error
    names = [path.name for path in files if path.suffix in STATE_DICTS]
    if role != "visual":
        names = _of_transformers(folder, role, str(place))
    elif len(names) != 1:
        raise PipelineError(
            f"{setting}: got {name!r}, expected a folder with one state dict "
            f"({' or '.join(STATE_DICTS)}); {place} has {names or 'none'}."
        )
    provenance = Provenance(
        name=name,
        role=role,
        architecture=local.architecture or _architecture(folder / CONFIG),
        revision="local folder",
        licence="not stated",
        description="A folder of the machine that made these features.",
    )
    return EncoderFiles(provenance, folder, names)


def _of_transformers(folder: Path, role: Role, where: str) -> list[str]:
    """The names of the files that an encoder of transformers needs; refuse pickles and gaps."""
    there = sorted(path.name for path in folder.iterdir() if path.is_file())
    besides = [name for name in BESIDES[role] if name in there]
    weights = [WEIGHTS] if WEIGHTS in there else [n for n in there if SHARDS.fullmatch(n)]
    if CONFIG not in there:
        raise PipelineError(f"{where} has no {CONFIG}, so it is not an encoder of transformers.")
    if not any(name.endswith(".safetensors") for name in weights):
        pickles = [name for name in there if name.endswith((".bin", ".pt", ".pth", ".ckpt"))]
        raise PipelineError(
            f"{where} has no weights as safetensors"
            + (f", only {', '.join(pickles)}" if pickles else "")
            + "; a pickle may run code when it is loaded. Name a commit that has model.safetensors "
            "(many repositories have one among their pull requests), or convert it: "
            "AutoModel.from_pretrained(...).save_pretrained(FOLDER) and the same for its tokenizer "
            "or feature extractor, and name that folder."
        )
    if role == "text" and not besides:
        raise PipelineError(f"{where} has no tokenizer: none of {', '.join(BESIDES[role])}.")
    return [CONFIG, *besides, *weights]


def _architecture(config: Path) -> str:
    """The transformers class that a config.json names, or else its kind of model."""
    try:
        content: Any = json.loads(config.read_text(encoding="utf-8"))
        return str((content.get("architectures") or [content["model_type"]])[0])
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise PipelineError(f"{config} names no kind of model: {error!r}") from error


def _licence(readme: Path) -> str:
    from huggingface_hub import metadata_load

    try:
        return str((metadata_load(readme) or {}).get("license") or "not stated")
    except (OSError, ValueError, YAMLError):
        return "not stated"
