"""`python -m pipeline baseline`: results to compare with, on whatever machine they were made.

On another type of CPU than the commit's, its outputs are in no cache of this machine: the commit
can be neither compared with nor checked out. An experiment that holds this machine's results can.
"""

import subprocess

from pipeline.base import paths
from pipeline.base.display import say
from pipeline.base.errors import PipelineError
from pipeline.base.params import Params
from pipeline.base.paths import BASELINE
from pipeline.experiments.revisions import kept
from pipeline.report.write import write_report

LOCK_ALONE = """\
`git status` lists dvc.lock alone, which tells what has run here: these results are the commit's,
byte for byte.

"""
CHANGED = """\
`git status` lists {files}: these results are not those of the commit. Another type of CPU
changes the last bits; so do settings and code. `git commit -am 'Results of this machine'`
makes them the commit's, but the commands below need no commit.

"""
NEXT = f"""\
What to try next:
  source .venv/bin/activate
  dvc exp run -S {{corpus}}.{{system}}.learning_rate=0.0005
                                # change a setting; only what depends on it runs
  python -m pipeline results    # weighted F1 of each run beside what was changed
  python -m pipeline compare    # is the difference more than chance?
  dvc exp apply {BASELINE} && python -m pipeline report
                                # back to these results, and their pages
"""


def keep(params: Params) -> None:
    """Save the workspace as `my-baseline` of the commit, unless it has one, and say what is next.

    Raises:
        PipelineError: There are no results yet, or they are not of the files as they are.
    """
    for corpus in params.corpora:
        if not (figures := paths.metrics(corpus, params.reference, "metrics.json")).is_file():
            raise PipelineError(f"{figures} is missing: run `dvc repro` first.")
    saved = _saved()  # refuses results that are not of the files as they are: no page for them
    # DVC skips the stage where a run has given the bytes of the commit (report.md came with git),
    # and `dvc exp apply` leaves the page of another run, as it is no output: so write it anew.
    reports = [write_report(params, corpus)[1] for corpus in params.corpora]
    say(saved)
    say(_changes(), end="")
    say("Reports, for a browser:", *reports, sep="\n  ")
    corpus = params.corpora[0]
    names = (params.reference, *params.systems)
    learning = [n for n in names if "learning_rate" in params.blocks[corpus][n]]
    if learning:
        say(f"\n{NEXT.format(corpus=corpus, system=learning[0])}", end="")


def _saved() -> str:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from scmrepo.exceptions import SCMError

    try:
        with Repo() as repo:
            if stale := sorted(repo.status()):  # which DVC would save as if they had run
                raise PipelineError(
                    f"{len(stale)} stages, such as {stale[0]}, are to run: `dvc repro`."
                )
            if kept():
                return (
                    f"{BASELINE} stays as it was kept before; `dvc exp remove {BASELINE}` and "
                    "`python -m pipeline baseline` replace it.\n"
                )
            for commit, experiments in repo.experiments.ls(all_commits=True).items():
                if BASELINE in dict(experiments):  # of a commit before this one
                    repo.experiments.rename(f"{BASELINE}-{commit[:7]}", BASELINE)
            repo.experiments.save(name=BASELINE)
    except (DvcException, SCMError) as error:
        # Experiments need a name in git, which a fresh machine may lack; results are there anyway.
        return f"Not kept as {BASELINE}: {error}. Then: `python -m pipeline baseline`.\n"
    return f"These results are kept as the experiment {BASELINE}.\n"


def _changes() -> str:
    """What to do about tracked files that a run has changed; "" if it has changed none."""
    names = _listed("--untracked-files=no")
    # Results of a corpus that was never committed are files that git does not know yet.
    if names == ["dvc.lock"] and not _listed("--", "metrics"):
        return LOCK_ALONE
    files = "1 file" if len(names) == 1 else f"{len(names)} files"
    return CHANGED.format(files=files) if names else ""


def _listed(*words: str) -> list[str]:
    """The names that `git status` lists; none without git."""
    command = ["git", "status", "--porcelain", *words]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    return [line[3:] for line in done.stdout.splitlines()]
