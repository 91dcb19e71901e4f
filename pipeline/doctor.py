"""`python -m pipeline doctor`: find what would stop a run before it starts."""

import getpass
import os
import shlex
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av

from pipeline.base import paths
from pipeline.base.call import check_writable
from pipeline.base.display import say
from pipeline.base.errors import MediaError, PipelineError
from pipeline.base.files import LFS_HEAD, sha256_file
from pipeline.base.lockfile import LOCK, lost
from pipeline.base.machine import cpu_model, has_avx2
from pipeline.base.params import Params, read_params
from pipeline.base.settings import ROLES, ComputeSettings, Role
from pipeline.base.workers import isolated
from pipeline.corpora.protocol import make_protocol, remarks
from pipeline.corpora.published import differences
from pipeline.corpora.reader import RawCorpus
from pipeline.corpora.registry import CorpusSettings
from pipeline.corpora.settings import ProtocolSettings
from pipeline.features.common.device import resolve_device
from pipeline.features.common.settings import ExtractSettings
from pipeline.features.frames.settings import FramesSettings
from pipeline.media.probe import Probe, probe, unusable
from pipeline.weights.contents import local_encoder
from pipeline.weights.fetch import store_folder, store_root
from pipeline.weights.folder import Encoder, load
from pipeline.weights.lock import KnownEncoder, read_lock
from pipeline.weights.names import LocalFolder, Repository, parse, wanted

STREAM: dict[str, Literal["video", "audio"]] = {"visual": "video", "audio": "audio"}
# What the known corpora hold: MELD, IEMOCAP, CREMA-D, and what users convert them to.
DECODERS = ("h264", "mpeg4", "flv", "aac", "mp3", "pcm_s16le")
SAMPLE, SECONDS = 20, 20.0
MOVED = "was this folder moved or copied? `make .venv/.place` mends its programs"
GIGABYTE = 1e9
# A picture of real footage as JPEG of quality 95 at 224 x 224, a frame's vector, the vectors of
# sound and text; each lies in the store, in the clip cache and in DVC's cache.
BYTES_PER_FRAME, BYTES_PER_UTTERANCE, COPIES = 15_000 + 4_000, 6373 * 4 + 768 * 4, 3


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report; a run stops at what stands under FIX."""

    level: Literal["ok", "note", "FIX"]
    text: str


def good(text: str) -> Finding:
    """Nothing to do."""
    return Finding("ok", text)


def note(text: str) -> Finding:
    """Something to know; a run goes on in spite of it."""
    return Finding("note", text)


def bad(text: str) -> Finding:
    """Something to fix; a run would stop at it."""
    return Finding("FIX", text)


def examine(corpora: Sequence[str]) -> int:
    """Print one line per finding, and a verdict.

    Args:
        corpora: Which to look at; empty for those of params.yaml.

    Returns:
        0 if nothing stands in the way of a run, else 1.
    """
    to_fix = 0
    for finding in _findings(corpora):
        say(f"{finding.level:<4}  {finding.text}")
        to_fix += finding.level == "FIX"
    say(
        "not looked at: whether files are whole and decode to their end, and their content (the "
        "stage `manifest` opens each file, `frames` and `audio` decode them); whether encoders "
        "that are not here can be downloaded"
    )
    say(f"verdict: {f'fix first: {to_fix}' if to_fix else '`dvc repro` can run'}")
    return int(to_fix > 0)


def _findings(corpora: Sequence[str]) -> Iterator[Finding]:
    yield repository()
    yield from _lock()
    yield from _identity()
    yield programs()
    yield _decoders()
    try:
        params = read_params()
    except PipelineError as error:
        yield bad(str(error))
        return
    yield good(f"params.yaml is valid, corpora {params.corpora}")
    yield _device(params)
    needed = 0.0
    for corpus in corpora or params.corpora:
        try:
            yield from closed_files(corpus, paths.raw(corpus))
            raw = read_corpus(params, corpus)
            if isinstance(raw, Finding):
                yield raw
            else:
                yield from examined(params, corpus, raw)
                needed += bytes_needed(params, corpus, len(raw.utterances))
            yield from encoders_of(params, corpus)
        except PipelineError as error:
            yield bad(f"{corpus}: {error}")
        except OSError as error:
            yield bad(f"{corpus}: {error.strerror}: {error.filename or ''}")
    yield _room(needed)


def repository() -> Finding:
    """Whether the working folder is a git repository with DVC in which experiments can run."""
    try:
        inside, head = _ran("git", "rev-parse", "--git-dir"), _ran("git", "rev-parse", "HEAD")
    except FileNotFoundError:
        return bad("git is not installed; DVC needs it")
    if inside.returncode:
        return bad(_no_repository(inside.stderr))
    if head.returncode:
        return bad("the repository has no commit yet: commit once, `dvc exp run` needs it")
    if not Path(".dvc").is_dir():
        return bad("there is no folder .dvc here: run this in the project's root, or `dvc init`")
    return good(f"git repository with DVC, commit {head.stdout[:12]}")


def _no_repository(complaint: str) -> str:
    if "dubious ownership" in complaint:
        command = "git config --global --add safe.directory"
        return (
            "git does not trust this repository, as it belongs to another user; if you do: "
            f"{command} {shlex.quote(str(_top()))}"
        )
    if "not a git repository" in complaint:
        return (
            "this folder is not a git repository, which DVC needs: "
            "`git init && git add -A && git commit -m start`"
        )
    return f"git cannot read this repository: {complaint.strip()}"


def _top() -> Path:
    """The nearest folder with git's own."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)


def _ran(*command: str) -> subprocess.CompletedProcess[str]:
    """A command's end and words, which are English."""
    return subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        env=os.environ | {"LC_ALL": "C"},
    )


def _lock() -> Iterator[Finding]:
    """Whether dvc.lock still knows what the last commit knows."""
    try:
        gone = lost()
    except PipelineError as error:
        yield bad(str(error))
        return
    if gone:
        yield note(
            f"{LOCK} has lost entries of {len(gone)} stages that the last commit has ({gone[0]}"
            f"{', ...' * (len(gone) > 1)}): `git checkout {LOCK}` puts the last commit's back, or "
            "let `dvc repro` run them again; it computes nothing that a cache holds"
        )


def _identity() -> Iterator[Finding]:
    """Whether git knows whom to name in a commit; `dvc repro` makes none."""
    for key in ("user.name", "user.email"):
        if shutil.which("git") and _ran("git", "config", key).returncode:
            yield note(
                f"git has no {key}, which `dvc exp run` needs: git config --global {key} ..."
            )


def programs() -> Finding:
    """Whether the programs that run DVC's stages are on the PATH and start."""
    lacking = [name for name in ("python", "dvc") if shutil.which(name) is None]
    if lacking:
        return bad(f"{lacking} not on the PATH: `source .venv/bin/activate`, or use `make`")
    try:
        getpass.getuser(), Path.home()
    except (KeyError, OSError, RuntimeError):
        return bad("this user has no name or home, which DVC needs: export LOGNAME=me HOME=DIR")
    try:
        started = _ran(str(shutil.which("dvc")), "--version")
    except OSError as error:  # of the interpreter, which its first line names
        return bad(f"dvc does not start ({error.strerror}): {MOVED}")
    if started.returncode:
        last = started.stderr.strip().rpartition("\n")[2]
        return bad(f"dvc does not start ({last}): {MOVED}")
    return good(f"python and dvc are on the PATH, DVC {started.stdout.strip()}")


def _decoders() -> Finding:
    lacking = [name for name in DECODERS if name not in av.codecs_available]
    if lacking:
        return note(f"PyAV {av.__version__} lacks decoders of {lacking}: such files are masked")
    return good(f"PyAV {av.__version__} decodes {', '.join(DECODERS)}")


def _device(params: Params) -> Finding:
    """Whether networks can run where `compute` says."""
    try:
        device = resolve_device(params.of(ComputeSettings).device)
    except PipelineError as error:
        return bad(str(error))
    if device == "cpu" and not has_avx2():
        return note(
            f"networks run on a {cpu_model()} without AVX2: the demos' results may differ from the "
            "committed ones in the last bits"
        )
    return good(f"networks run on {device}; CPU: {cpu_model()}, {os.cpu_count()} cores")


def _room(needed: float) -> Finding:
    """Whether outputs can be written: permissions, and the bytes that features may take."""
    cache = paths.cache_root()
    try:
        check_writable([Path("data"), Path("models"), Path("metrics"), cache])
    except PipelineError as error:
        return bad(str(error))
    folder = next(p for p in (cache, *cache.absolute().parents) if p.is_dir())
    free = min(shutil.disk_usage(place).free for place in (Path(), folder))
    line = f"{free / GIGABYTE:.0f} GB free; frames and features may take {needed / GIGABYTE:.1f}"
    return good(line) if free > needed else bad(f"{line}: make room, or set ERC_CACHE elsewhere")


def closed_files(corpus: str, root: Path) -> Iterator[Finding]:
    """Whether each file may be read, as DVC reads all of them; it passes closed folders over."""
    files = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
    closed = [file for file in files if not os.access(file, os.R_OK) and not _dangling(file)]
    if closed:
        yield bad(
            f"{corpus}: {len(closed)} files may not be read, such as {min(closed)}, and DVC reads "
            f"all: chmod -R u+rX {shlex.quote(str(root))}/"
        )


def _dangling(file: Path) -> bool:
    try:
        return not file.exists()
    except OSError:  # its folder may be listed, but not searched
        return False


def read_corpus(params: Params, corpus: str) -> RawCorpus | Finding:
    """A corpus as its reader gives it, or why there is none."""
    root, settings = paths.raw(corpus), params.of(CorpusSettings, corpus)
    if not root.exists():
        return _absent(params, corpus, root)
    try:
        return settings.reader.read(root, settings.root)
    except PipelineError as error:
        return bad(f"{corpus}: {error}")


def examined(params: Params, corpus: str, raw: RawCorpus) -> Iterator[Finding]:
    """The findings on a corpus that could be read; opens no more than a sample of its files."""
    settings = params.of(CorpusSettings, corpus)
    options = settings.root
    dialogues = len({u.dialogue for u in raw.utterances})
    speakers = len({u.speaker for u in raw.utterances})
    yield good(
        f"{corpus}: {len(raw.utterances)} utterances, {dialogues} dialogues, {speakers} speakers "
        f"by the reader {options.reader!r}"
    )
    modalities = params.of(ExtractSettings, corpus).modalities
    yield from (note(f"{corpus}: {text}") for text in raw.notes_on(modalities))
    if left := [f"{number} {what}" for what, number in raw.left_aside.items() if number]:
        yield note(f"{corpus}: left aside: {', '.join(left)}")
    if options.full:
        differing = differences(raw.utterances, settings.reader.published)
        yield from (note(f"{corpus}: not as published: {line}") for line in differing)
        if not differing:
            yield good(f"{corpus}: counts as published")
    yield from _protocol(params, corpus, raw)
    yield from _files(params, corpus, raw, paths.raw(corpus))


def bytes_needed(params: Params, corpus: str, utterances: int) -> float:
    """What a run may write for a corpus, roughly, in bytes."""
    visual = "visual" in params.of(ExtractSettings, corpus).modalities
    frames = params.of(FramesSettings, corpus).count if visual else 0
    return utterances * (frames * BYTES_PER_FRAME + BYTES_PER_UTTERANCE) * COPIES


def _absent(params: Params, corpus: str, root: Path) -> Finding:
    if root.is_symlink():
        return bad(
            f"{corpus}: {root} is a dangling link; link the corpus again: `ln -sfn DIR {root}`"
        )
    if corpus in params.demos:
        return good(f"{corpus}: a demo corpus, `dvc repro` generates {root}")
    return bad(
        f"{corpus}: {root} does not exist; link the corpus there: `ln -s /where/it/is {root}`"
    )


def _protocol(params: Params, corpus: str, raw: RawCorpus) -> Iterator[Finding]:
    """Whether labels and splits fit this corpus, and whom they leave out: they need no media."""
    settings = params.of(ProtocolSettings, corpus)
    reader = params.of(CorpusSettings, corpus).reader
    try:
        protocol = make_protocol(raw.utterances, settings, reader)
    except PipelineError as error:
        yield bad(f"{corpus}: {error}")
        return
    labelled = sum(entry.label is not None for entry in protocol.entries if entry.fold == 0)
    yield good(f"{corpus}: the protocol fits, {labelled} labelled utterances")
    yield from (note(f"{corpus}: {line}") for line in remarks(raw.utterances, settings, reader))


def _files(params: Params, corpus: str, raw: RawCorpus, root: Path) -> Iterator[Finding]:
    """Which files are there, by name and size alone, then the headers of a few."""
    paths_of = {
        "visual": dict.fromkeys(u.video.path for u in raw.utterances),
        "audio": dict.fromkeys(u.audio.path for u in raw.utterances),
    }
    needed = [m for m in paths_of if m in params.of(ExtractSettings, corpus).modalities]
    sizes = {path: _size(root / path) for m in needed or paths_of for path in paths_of[m]}
    pointers = {p for p, size in sizes.items() if 0 < (size or 0) < 1024 and _is_pointer(root / p)}
    there = [path for path, size in sizes.items() if size and path not in pointers]
    line = f"{corpus}: {_presence(root, sizes, len(pointers))}"
    masked = needed and len(there) < len(sizes)
    yield note(f"{line}; what they lack is masked") if masked else good(line)
    none = [m for m in needed if paths_of[m].keys().isdisjoint(there)]
    if none:
        yield bad(
            f"{corpus}: not one file for {none}: put the files where the reader looks, such as "
            f"{root / next(iter(paths_of[none[0]]))}, or take {none} out of "
            f"{corpus}.extract.modalities and {corpus}.model.modalities"
        )
    if needed:
        yield from _headers(corpus, root, there, {m: paths_of[m] for m in needed})


def _presence(root: Path, sizes: Mapping[str, int | None], pointers: int) -> str:
    lacking = Counter("absent" if size is None else "empty" for size in sizes.values() if not size)
    if pointers:
        lacking[f"Git-LFS pointers (git -C {root} lfs pull)"] = pointers
    there = len(sizes) - lacking.total()
    gigabytes = sum(size or 0 for size in sizes.values()) / GIGABYTE
    listed = "".join(f", {number} {kind}" for kind, number in lacking.items())
    return f"{there} of {len(sizes)} media files, {gigabytes:.2f} GB{listed}"


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _is_pointer(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(LFS_HEAD)) == LFS_HEAD
    except OSError:  # it may not be read: `_headers` says so, if it is one of its sample
        return False


def _headers(
    corpus: str, root: Path, files: Sequence[str], paths_of: Mapping[str, Container[str]]
) -> Iterator[Finding]:
    """Opens a sample of each kind of file, spread evenly, as far as the time goes."""
    chosen = [path for kind in _by_suffix(files) for path in kind[:: max(1, len(kind) // SAMPLE)]]
    kinds: Counter[str] = Counter()
    wrong: list[str] = []
    opened: dict[str, Probe] = {}
    start = time.monotonic()
    items = ((path, root / path) for path in chosen)
    for path, found in isolated(_probed, items, lambda _: SECONDS):
        if isinstance(found, Probe):
            kinds[_kind(found)] += 1
            opened[path] = found
        else:
            wrong.append(f"{path}: {found}")
        if time.monotonic() - start > SECONDS:
            break
    looked = f"headers of {kinds.total() + len(wrong)} of {len(files)} files"
    listed = "; ".join(f"{number} {kind}" for kind, number in kinds.most_common(4))
    if kinds:
        yield good(f"{corpus}: {looked}: {listed}")
    if wrong:
        yield note(f"{corpus}: {looked}: {len(wrong)} cannot be opened, such as {wrong[0]}")
    for modality, paths_ in paths_of.items():
        lacks = [unusable(p, STREAM[modality]) for path, p in opened.items() if path in paths_]
        if lacks and all(lacks):
            yield bad(
                f"{corpus}: none of {len(lacks)} opened files has {modality} ({lacks[0]}): take "
                f"{modality} out of {corpus}.extract.modalities and {corpus}.model.modalities"
            )


def _probed(path: Path) -> Probe | MediaError:
    """What a file holds; in a process of its own, which a broken file may crash."""
    try:
        return probe(path)
    except MediaError as error:
        return error


def _by_suffix(files: Sequence[str]) -> list[list[str]]:
    suffixes = dict.fromkeys(Path(path).suffix for path in files)
    return [[path for path in files if path.endswith(suffix)] for suffix in suffixes]


def _kind(found: Probe) -> str:
    parts = []
    if found.video is not None:
        rate = f" {found.video.rate:.2f} fps" if found.video.rate else ""
        parts.append(f"{found.video.codec} {found.video.width}x{found.video.height}{rate}")
    if found.audio is not None:
        parts.append(f"{found.audio.codec} {found.audio.rate} Hz {found.audio.layout}")
    parts += [f"{kind} in a codec nobody here can decode" for kind in found.without_decoder]
    return " + ".join(parts) or "without any stream"


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
