"""What every run of the pipeline needs on this machine: a repository with a commit, and DVC."""

import shutil
import subprocess
from pathlib import Path

from pipeline.commands.finding import Finding, bad, good


def repository() -> Finding:
    """Whether the working folder is a git repository with DVC in which experiments can run."""
    try:
        inside = subprocess.run(["git", "rev-parse", "--git-dir"], capture_output=True, check=False)
        command = ["git", "rev-parse", "--verify", "-q", "HEAD"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return bad("git is not installed; DVC needs it")
    if inside.returncode:
        return bad("this folder is no git repository: `git init`, add and commit; DVC needs it")
    if found.returncode:
        return bad("the repository has no commit yet: commit once, `dvc exp run` needs it")
    if not Path(".dvc").is_dir():
        return bad("there is no folder .dvc here: run this in the project's root, or `dvc init`")
    return good(f"git repository with DVC, commit {found.stdout[:12]}")


def programs() -> Finding:
    """Whether the programs are found that DVC's stages are run by."""
    lacking = [name for name in ("python", "dvc") if shutil.which(name) is None]
    if lacking:
        return bad(f"{lacking} not on the PATH: `source .venv/bin/activate`, or use `make`")
    return good("python and dvc are on the PATH")
