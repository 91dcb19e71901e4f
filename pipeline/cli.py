"""What a user calls by hand: `python -m pipeline COMMAND`.

Commands import what they need when they run: the start would otherwise wait for torch.
"""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.base import paths
from pipeline.base.display import any_encoding, printable, say
from pipeline.base.errors import PipelineError
from pipeline.base.params import Params, check_root, read_params

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Emotion recognition in conversation."
)
Corpora = Annotated[list[str] | None, typer.Argument(help="Default: those of params.yaml.")]
CorpusOption = Annotated[list[str] | None, typer.Option("--corpus", help="Repeatable.")]
SystemOption = Annotated[list[str] | None, typer.Option("--system", help="Repeatable.")]
Quick = Annotated[bool, typer.Option("--quick", help="Fewer steps, one seed.")]


@app.callback()
def _everywhere() -> None:
    if "--help" not in sys.argv:
        check_root()


def _chosen(params: Params, corpora: list[str] | None) -> list[str]:
    for corpus in corpora or ():
        params.check(corpus)
    return corpora or params.corpora


@app.command()
def doctor(corpus: Corpora = None) -> None:
    """Look for what would stop a run, and say what to do about it."""
    from pipeline.doctor.examine import examine

    raise typer.Exit(examine(corpus or ()))


@app.command()
def summary(corpus: Corpora = None) -> None:
    """Print the leaderboard of the last run."""
    from pipeline.evaluation.summary import show

    for name in _chosen(read_params(), corpus):
        show(name)


@app.command()
def report(
    corpus: Corpora = None,
    others: Annotated[
        list[Path] | None,
        typer.Option(
            "--with",
            help="A CSV or Parquet file of predictions that others made, put on the HTML page of "
            "the corpus beside the systems. Repeatable.",
        ),
    ] = None,
) -> None:
    """Write the last run's report again: metrics/CORPUS/report.html and report.md."""
    from pipeline.report.write import write_page, write_report

    params = read_params()
    chosen = _chosen(params, corpus)
    if others:
        if len(chosen) != 1:
            raise PipelineError(f"--with: got the corpora {chosen}, expected one: `report CORPUS`")
        say(write_page(params, chosen[0], others))
        return
    for name in chosen:
        for path in write_report(params, name):
            say(path)


@app.command()
def results(corpus: Corpora = None, system: SystemOption = None) -> None:
    """Print weighted F1 of the workspace, the commit and its experiments beside what differs."""
    from pipeline.experiments.overview import show

    params = read_params()
    for name in system or ():
        params.check_system(name)
    show(_chosen(params, corpus), system or [params.reference])


@app.command()
def baseline() -> None:
    """Keep the results as they are as an experiment to compare with, and say what to try next."""
    from pipeline.experiments.baseline import keep

    keep(read_params())


@app.command()
def compare(
    one: Annotated[
        str | None,
        typer.Argument(metavar="[A", help="REV or REV:SYSTEM: a commit, an experiment, workspace."),
    ] = None,
    other: Annotated[
        str | None,
        typer.Argument(metavar="B]", help="Or a CSV or Parquet file of utterance, predicted."),
    ] = None,
    corpus: CorpusOption = None,
) -> None:
    """Say whether two results differ by more than the choice of test dialogues explains.

    Without A and B: the kept baseline, else the last commit, and the workspace.
    """
    from pipeline.experiments.compare import carry_out

    carry_out(one, other, corpus or ())


@app.command()
def experiment(
    name: Annotated[str, typer.Argument(help="The recipe experiments/NAME.yaml.")],
    quick: Quick = False,
    corpus: CorpusOption = None,
    system: SystemOption = None,
) -> None:
    """Run a recipe, several experiments at a time, and compare them."""
    from pipeline.experiments.command import carry_out

    carry_out(name, quick=quick, corpora=corpus or (), systems=system or ())


@app.command()
def tune(
    corpus: Annotated[str, typer.Argument(help="On whose validation split.")],
    system: Annotated[
        list[str] | None,
        typer.Option("--system", help="Repeatable. Default: all that have the settings."),
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--values",
            help="SETTING=VALUE,VALUE,...; repeatable, the points are their product. Default: "
            "five learning rates.",
        ),
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option("--seed", min=0, help="Repeatable. Default: 1.")
    ] = None,
) -> None:
    """Train every system at the same few points, and say what validation would choose."""
    from pipeline.experiments.trials import DEFAULT, Request
    from pipeline.experiments.tune import carry_out

    carry_out(Request(corpus, tuple(system or ()), tuple(values or DEFAULT), tuple(seed or [1])))


@app.command()
def robustness(
    corpus: Annotated[str, typer.Argument(help="Whose checkpoints are tested.")],
    system: Annotated[
        list[str] | None,
        typer.Option("--system", help="Repeatable. Default: all with checkpoints."),
    ] = None,
    quick: Quick = False,
) -> None:
    """Drop or corrupt each modality at test time, in steps, and draw what is left of F1."""
    from pipeline.corruption.robustness import carry_out

    carry_out(corpus, system or (), quick)


@app.command()
def extract(
    corpus: Annotated[str, typer.Argument(help="A corpus whose manifest has been written.")],
    stage: Annotated[str, typer.Argument(help="frames, visual, audio or text.")],
    shard: Annotated[str, typer.Option("--shard", metavar="K/N", help="Part K of N.")],
) -> None:
    """Fill the clip cache for a part of a corpus, so that many jobs share a stage's work."""
    from pipeline.features.one_shard import carry_out

    carry_out(read_params(), corpus, stage, shard)


@app.command()
def predict(
    model: Annotated[
        Path,
        typer.Option(
            "--model", help="A checkpoint; a system's folder: the mean of all; or a corpus' folder."
        ),
    ],
    folder: Annotated[Path, typer.Option("--input", help="Holds utterances.csv and its clips.")],
    system: Annotated[
        str | None,
        typer.Option("--system", help="In a corpus' folder. Default: the reference."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Default: the folder predictions in the input.")
    ] = None,
) -> None:
    """Predict the emotions of a new conversation with a trained system."""
    from pipeline.prediction.predict import predict as carry_out

    # Its words lie in a temporary folder until it ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    carry_out(model, folder, out or folder / "predictions", system)


@app.command()
def export(
    corpus: Annotated[str, typer.Argument(help="Whose features.")],
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            help="mmgcn, sdt, cfn_esa, cosmic, multiemo, mmsa, mertools, emobox or neutral.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Default: data/exported/CORPUS/LAYOUT.")
    ] = None,
) -> None:
    """Write a corpus' features as the files that other repositories read."""
    from pipeline.export import carry_out

    carry_out(read_params(), corpus, layout, out)


@app.command("contact-sheet")
def contact_sheet(
    corpus: Annotated[str, typer.Argument(help="Whose frames.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Default: data/contact_sheets/CORPUS.png.")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=1000, help="Utterances.")] = 24,
) -> None:
    """Draw sampled pictures with ids and labels: what the network sees."""
    from pipeline.features.frames.contact_sheet import draw

    draw(corpus, out or paths.contact_sheet(corpus), count)


@app.command()
def inspect(
    files: Annotated[
        list[Path],
        typer.Argument(help="Feature files or folders; or a folder of clips and utterances.csv."),
    ],
    add: Annotated[
        str | None,
        typer.Option(
            "--add",
            metavar="CORPUS",
            help="Make a corpus of this name of them: copy them to data/raw, and add its block to "
            "params.yaml.",
        ),
    ] = None,
) -> None:
    """Say what published feature files hold, and how to train on them."""
    from pipeline.doctor.inspect import inspect as carry_out

    carry_out(files, add)


@app.command("meld-text")
def meld_text(
    csv_folder: Annotated[Path, typer.Argument(help="Holds the three *_sent_emo.csv.")],
) -> None:
    """Lay MELD's three CSVs out as the corpus `meld_text`, which has no clips."""
    from pipeline.corpora.meld_text import lay_out

    lay_out(csv_folder)


@app.command()
def cache(
    prune_days: Annotated[
        float | None,
        typer.Option("--prune-days", min=0, help="Delete what no run has used for so many days."),
    ] = None,
) -> None:
    """Show what the clip cache holds, or prune it."""
    from pipeline.base import cache_table

    if prune_days is not None:
        cache_table.prune(prune_days)
    cache_table.show()


def main() -> None:
    """Run a command; what a user can fix ends in a message, not in a traceback."""
    any_encoding()
    try:
        app()
    except PipelineError as error:
        sys.exit(printable(f"\n{error}\n"))
    except OSError as error:
        sys.exit(printable(f"\n{error.strerror or error}: {error.filename or ''}\n"))
