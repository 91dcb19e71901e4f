"""The demo corpus as an unpacked `IEMOCAP_full_release` lies on disk, with the real one's faults.

```
README.txt  Documentation/
Session{1..5}/dialog/avi/DivX/<D>.avi   dialog/EmoEvaluation/<D>.txt (and raters' own files)
              dialog/transcriptions/<D>.txt   dialog/wav/<D>.wav   sentences/wav/<D>/<U>.wav
```
"""

from pathlib import Path

from pipeline.demo import rater_files
from pipeline.demo.iemocap_media import render, wav_folder
from pipeline.demo.iemocap_plan import Staged, plan
from pipeline.demo.iemocap_quirks import leave_litter, transcription_lines
from pipeline.demo.iemocap_text import evaluation_text
from pipeline.demo.settings import DemoSettings

__all__ = ["Staged", "plan", "write_iemocap_tree"]

FOLDERS = (
    "dialog/avi/DivX",
    "dialog/transcriptions",
    "dialog/wav",
    *(f"dialog/EmoEvaluation/{name}" for name in rater_files.FOLDERS),
)
README = """\
Synthetic stand-in with the layout of IEMOCAP_full_release: drawn faces, synthetic voices and
template sentences. It holds nothing of the IEMOCAP database.
"""


def write_iemocap_tree(settings: DemoSettings, folder: Path) -> None:
    """Writes the demo corpus in IEMOCAP's layout into the empty `folder`."""
    staged = plan(settings)
    (folder / "Documentation").mkdir()
    for path in (folder / "README.txt", folder / "Documentation" / "README.txt"):
        _write(path, README)
    for one in staged:
        for name in FOLDERS:
            (folder / f"Session{one.session}" / name).mkdir(parents=True, exist_ok=True)
        wav_folder(folder, one).mkdir(parents=True)
        _write_texts(folder, one)
        if one.number == 0:
            leave_litter(folder, one)
    render(settings, folder, staged)


def _write_texts(folder: Path, staged: Staged) -> None:
    dialog, name = folder / f"Session{staged.session}/dialog", staged.recorded.dialogue
    _write(dialog / f"EmoEvaluation/{name}.txt", evaluation_text(staged.recorded))
    _write(dialog / f"transcriptions/{name}.txt", transcription_lines(staged))
    for path, text in rater_files.rater_files(staged.recorded):
        _write(dialog / "EmoEvaluation" / path, text)


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("latin-1"))
