"""What a user calls by hand: `python -m pipeline COMMAND`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.params import read_params
from pipeline.commands import caches, doctor, meld_text

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Emotion recognition in conversation."
)


@app.command("summary")
def summary_command(
    corpus: Annotated[
        list[str] | None, typer.Argument(help="Default: those of params.yaml.")
    ] = None,
) -> None:
    """Print the table of results of the last run."""
    # Here, so that the other commands need not wait for scikit-learn.
    from pipeline.evaluation.summary import show

    for name in corpus or read_params().corpora:
        show(name)


@app.command("report")
def report_command(
    corpus: Annotated[
        list[str] | None, typer.Argument(help="Default: those of params.yaml.")
    ] = None,
) -> None:
    """Write the last run's report again: metrics/CORPUS/report.html and report.md."""
    # Here, so that the other commands need not wait for scikit-learn and matplotlib.
    from pipeline.report.write import write_report

    params = read_params()
    for name in corpus or params.corpora:
        for path in write_report(params, name):
            print(path)


@app.command("doctor")
def doctor_command(
    corpus: Annotated[
        list[str] | None, typer.Argument(help="Default: those of params.yaml.")
    ] = None,
) -> None:
    """Look for what would stop a run, and say what to do about it."""
    raise typer.Exit(doctor.examine(corpus or None))


@app.command("cache")
def cache_command(
    prune_days: Annotated[
        float | None,
        typer.Option("--prune-days", min=0, help="Delete what no run has used for so many days."),
    ] = None,
) -> None:
    """Show what the clip cache holds, or prune it."""
    if prune_days is not None:
        caches.prune(prune_days)
    caches.show()


@app.command("meld-text")
def meld_text_command(
    csv_folder: Annotated[Path, typer.Argument(help="Holds the three *_sent_emo.csv.")],
) -> None:
    """Lay MELD's three CSVs out as the corpus `meld_text`, which has no clips."""
    meld_text.lay_out(csv_folder)


@app.command("experiment")
def experiment_command(
    name: Annotated[str, typer.Argument(help="The recipe experiments/NAME.yaml.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="The recipe's quick part alone, with one seed.")
    ] = False,
    corpus: Annotated[
        list[str] | None, typer.Option("--corpus", help="Instead of the recipe's; repeatable.")
    ] = None,
) -> None:
    """Run a recipe over DVC's queue, and compare what it runs."""
    # Here, so that the other commands need not wait for scikit-learn.
    from pipeline.commands import experiment

    experiment.carry_out(name, quick=quick, corpora=corpus or ())


@app.command("compare")
def compare_command(
    one: Annotated[str, typer.Argument(metavar="REV_A", help="A git revision or an experiment.")],
    other: Annotated[str, typer.Argument(metavar="REV_B", help="REV:MODEL for a baseline of it.")],
    corpus: Annotated[
        list[str] | None, typer.Option("--corpus", help="Default: those of params.yaml.")
    ] = None,
) -> None:
    """Say whether two results differ by more than the choice of test dialogues explains."""
    # Here, so that the other commands need not wait for scikit-learn.
    from pipeline.commands import compare
    from pipeline.experiments.kept import dvc_reader

    corpora = corpus or read_params().corpora
    for name, found in zip(
        corpora, compare.compared((one, other), corpora, dvc_reader()), strict=True
    ):
        compare.show(name, found)


@app.command("contact-sheet")
def contact_sheet_command(
    corpus: Annotated[str, typer.Argument(help="Whose frames.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Default: data/contact_sheets/CORPUS.png.")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=1000, help="Utterances.")] = 24,
) -> None:
    """Draw sampled pictures with ids and labels: what the network sees."""
    # Here, so that the other commands need not wait for OpenCV.
    from pipeline.commands import contact_sheet

    contact_sheet.draw(corpus, out or paths.contact_sheet(corpus), count)


@app.command("predict")
def predict_command(
    model: Annotated[
        Path, typer.Option("--model", help="A checkpoint, or a folder: the mean of all in it.")
    ],
    folder: Annotated[Path, typer.Option("--input", help="Holds utterances.csv and its clips.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Default: the folder predictions in the input.")
    ] = None,
) -> None:
    """Predict the emotions of a new conversation with a trained model."""
    # Here, so that the other commands need not wait for torch.
    from pipeline.commands import predict

    predict.predict(model, folder, out or folder / "predictions")


@app.command("robustness")
def robustness_command(
    corpus: Annotated[str, typer.Argument(help="Whose checkpoints are tested.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="One seed, and at most four points a curve.")
    ] = False,
) -> None:
    """Drop or corrupt each modality at test time, in steps, and draw what is left of F1."""
    # Here, so that the other commands need not wait for torch.
    from pipeline.commands import robustness

    robustness.carry_out(corpus, quick)


def main() -> None:
    """Runs the app; what a user can mend is told without a traceback."""
    try:
        app()
    except PipelineError as error:
        sys.exit(f"\n{error}\n")


if __name__ == "__main__":
    main()
