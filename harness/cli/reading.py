"""Commands that read runs, rules and documents, and touch nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from harness import catalogue, scenario
from harness.cli.application import app
from harness.cli.options import (
    DiffOutput,
    LintOutput,
    ListOutput,
    OutputOption,
    TextOutput,
    on_each_region,
    print_document,
    reference,
    split,
)
from harness.journal import FILE_NAME, Journal
from harness.targets.embedded import NOTE, EmbeddedTarget

if TYPE_CHECKING:
    pass


@app.command("list")
def list_(
    operations: Annotated[list[str] | None, typer.Option(help="Only operations that match a glob.")] = None,
    variants: Annotated[list[str] | None, typer.Option(help="Only variants that match a glob.")] = None,
    scenarios: Annotated[list[Path] | None, typer.Option(help="File or folder of your own scenarios.")] = None,
    output: Annotated[ListOutput, typer.Option(help="A table for the terminal, Markdown, or JSON.")] = ListOutput.TABLE,
) -> None:
    """List the operations of the installed botocore, with their scenarios and what the embedded target can serve.

    An operation that botocore knows and no scenario executes is shown as `no scenario yet`.
    """
    from harness.report.terminal import console  # noqa: PLC0415
    from harness.selection import plan, selected_operations  # noqa: PLC0415

    scenario.load(extra=scenarios or [])
    screen = console()
    rows = plan(split(operations), split(variants), EmbeddedTarget(seed=1), 1)
    if output is ListOutput.MARKDOWN:
        from harness.report.rows_md import rows_table  # noqa: PLC0415

        typer.echo(rows_table(rows))
        return
    if output is ListOutput.JSON:
        from harness.report.outcome import of_list  # noqa: PLC0415 - pandas loads slowly

        print_document(of_list(rows, EmbeddedTarget.name, NOTE))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("operation", "variant", "level", "form", "state"):
        table.add_column(name, overflow="fold", no_wrap=name in ("operation", "level"))
    known = catalogue.rows()
    for cell, (repeats, reason) in rows.items():
        operation = known[cell.operation]
        state = "runs" if repeats else f"not run: {reason}"
        if operation.twins:
            state += f"; same wire form as {', '.join(operation.twins)}"
        form = f"{operation.method} {'?' if operation.subresource else ''}{operation.subresource}"
        table.add_row(cell.operation, cell.variant, operation.level.value, form, state)
    screen.print(table)
    names = selected_operations(split(operations))
    missing = [cell.operation for cell, (_, reason) in rows.items() if reason == "no scenario yet"]
    screen.print(f"{len(names)} operations of botocore {catalogue.botocore_version()}, {len(rows)} rows.")
    if missing:
        text = f"Warning: no scenario yet for {', '.join(missing)}"
        known_good = f" (the scenarios are complete for botocore {catalogue.LOCKED_BOTOCORE})."
        screen.print(Text(text + known_good, style="yellow"))


@app.command()
def report(
    context: typer.Context,
    run_path: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")] = Path("results/latest"),
    matrix: Annotated[bool, typer.Option(help="Print the whole matrix, not only the summary.")] = True,
    html: Annotated[bool, typer.Option("--html", help="Write report.html only, and say where it is.")] = False,
    baseline: Annotated[
        Path | None, typer.Option(help="A baseline or run: report.html shows what differs from it.")
    ] = None,
    known: Annotated[Path | None, typer.Option(help="Known deviations from --baseline (docs/drift.md).")] = None,
    output: OutputOption = TextOutput.TEXT,
) -> None:
    """Build the matrix of a run again from its journal, write its files and show it; an interrupted run's too.

    Exit code 0 also for a run that ended with 1 or 6, once it is shown.

    `report.html` is the run in one file that opens offline (docs/reading-the-report.md).

    Examples: `s3logjam report` · `s3logjam report results/latest --html --baseline results/baselines/embedded.json`
    """
    if html:
        from harness.page import write_page  # noqa: PLC0415 - pandas loads slowly

        page = write_page(run_path, baseline, known)
        if output is TextOutput.JSON:
            from harness.report.outcome import of_page  # noqa: PLC0415

            print_document(of_page(run_path, page))
            return
        typer.echo(f"Wrote {page}: open it in a browser.")
        return
    reference(baseline, known)
    from harness.folders import run_folder  # noqa: PLC0415
    from harness.report.terminal import console, show_matrix, show_summary  # noqa: PLC0415
    from harness.run import analyse  # noqa: PLC0415

    on_each_region(context, run_path)
    folder = run_folder(run_path)
    with Journal(folder / FILE_NAME) as journal:
        result = analyse(journal, folder)
    if baseline:
        from harness.page import write_page  # noqa: PLC0415

        write_page(folder, baseline, known)
    if output is TextOutput.JSON:
        from harness.report.outcome import of_run  # noqa: PLC0415

        print_document(of_run(result, rows=matrix))
        return
    (show_matrix if matrix else show_summary)(console(), result)


@app.command()
def verify(
    run_path: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")] = Path("results/latest"),
    against: Annotated[
        str, typer.Option(help="aws-2026, aws-2023, aws-2019, netskope-2019, claims, or your own CSV (docs/verify.md).")
    ] = "aws-2026",
    output: Annotated[TextOutput, typer.Option(help="Text for the terminal, or JSON.")] = TextOutput.TEXT,
) -> None:
    """Hold a run against documented coverage tables: confirmed, contradicted with evidence, undetermined, undocumented.

    Exit code 1 when anything is contradicted. Writes verification.csv, .md and .json into the run's folder.

    Examples: `s3logjam verify` · `s3logjam verify results/latest --against claims` · `s3logjam verify --against my.csv`
    """
    from harness.report.verification import as_json, as_text  # noqa: PLC0415 - pandas loads slowly
    from harness.verify import verify as hold  # noqa: PLC0415

    result = hold(run_path, against)
    typer.echo(as_json(result).rstrip() if output is TextOutput.JSON else as_text(result))
    raise typer.Exit(result.exit_code)


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A run, or a stored baseline.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="The run that is held against it.")] = Path(
        "results/latest"
    ),
    known: Annotated[Path | None, typer.Option(help="Known deviations with reason and expiry (docs/drift.md).")] = None,
    output: Annotated[DiffOutput, typer.Option(help="text, json, markdown or junit.")] = DiffOutput.TEXT,
) -> None:
    """Say what differs between two runs: names, records, categories, fields, delays. Exit code 1 when anything does.

    Examples: `s3logjam diff results/20261101-… results/latest` · `s3logjam diff results/baselines/embedded.json`
    """
    from harness.diff import diff as hold  # noqa: PLC0415 - scipy loads slowly
    from harness.report.drift import Output, show  # noqa: PLC0415
    from harness.report.terminal import console  # noqa: PLC0415

    result = hold(before, after, known)
    show(console(), result, Output(output.value))
    raise typer.Exit(result.exit_code)


@app.command()
def explain(
    operation: Annotated[str | None, typer.Argument(metavar="OPERATION", help="E.g. PutBucketAcl.")] = None,
    event_name: Annotated[
        str | None,
        typer.Option(help="The other way round: which operations does this CloudTrail event name stand for?"),
    ] = None,
    sal: Annotated[
        str | None, typer.Option(help="The same for a server access log operation, e.g. REST.PUT.ACL.")
    ] = None,
    run_path: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="RUN", help="Folder of a run; results/latest if it is there, else documents alone."
        ),
    ] = None,
    output: Annotated[TextOutput, typer.Option(help="Text for the terminal, or JSON.")] = TextOutput.TEXT,
) -> None:
    """Explain an operation: its names per channel, documents against observation, a sample, ready-made filters.

    Filters: EventBridge, CloudWatch Logs Insights, CloudWatch metric filter, Athena SQL with its tables, Sigma. Exit
    code 5 when nothing has the name.

    Examples: `s3logjam explain PutBucketAcl` · `s3logjam explain --sal REST.PUT.ACL` ·
    `s3logjam explain --event-name DeleteObject --output json`
    """
    from harness.report.explanation import show  # noqa: PLC0415 - pandas loads slowly

    typer.echo(show(operation, event_name, sal, run_path, as_json=output is TextOutput.JSON))


@app.command()
def lint(
    rules: Annotated[list[Path], typer.Argument(metavar="RULES...", help="Rule files, or folders with rule files.")],
    run_path: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="RUN", help="Folder of a run; results/latest if it is there, else documents alone."
        ),
    ] = None,
    data_events: Annotated[
        bool, typer.Option("--data-events", help="The trail has data events: do not tell which rules need them.")
    ] = False,
    output: Annotated[LintOutput, typer.Option(help="text, json or sarif.")] = LintOutput.TEXT,
) -> None:
    """Hold detection rules against what the logs write: dead names, renamed ones, siblings that are missed.

    Reads Sigma, Elastic (KQL, EQL, ES|QL), Panther (its Python is never executed), Athena SQL, Logs Insights, and plain
    lists of names; needs `pip install 's3logjam[rules]'`. Exit code 1 when anything but a note is found, or when a file
    cannot be read; docs/lint.md says how to suppress a finding.

    Examples: `s3logjam lint rules/` · `s3logjam lint rules/ --data-events --output sarif > lint.sarif`
    """
    from harness.lint.command import lint as hold  # noqa: PLC0415 - pandas loads slowly
    from harness.report.lint import FORMS  # noqa: PLC0415

    result = hold(rules, run_path, data_events=data_events)
    typer.echo(FORMS[output.value](result))
    raise typer.Exit(result.exit_code)


@app.command()
def baseline(
    run_path: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")] = Path("results/latest"),
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("baseline.json"),
    output: OutputOption = TextOutput.TEXT,
) -> None:
    """Write what `diff` needs of a run into one reviewable file: no account ids, nothing that differs between runs."""
    from harness.report.baseline import write  # noqa: PLC0415 - pandas loads slowly
    from harness.report.snapshots import load  # noqa: PLC0415

    written = write(load(run_path), out)
    if output is TextOutput.JSON:
        from harness.report.outcome import of_baseline  # noqa: PLC0415

        print_document(of_baseline(written))
        return
    typer.echo(f"Wrote {written}.")


@app.command()
def corpus(
    run_path: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")] = Path("results/latest"),
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("corpus.jsonl"),
    output: OutputOption = TextOutput.TEXT,
) -> None:
    """Export calls with their records as JSON Lines, names replaced, so that parsers can be tested on them."""
    from harness.corpus import export  # noqa: PLC0415 - pandas loads slowly

    done = export(run_path, out)
    if output is TextOutput.JSON:
        from harness.report.outcome import of_corpus  # noqa: PLC0415

        print_document(of_corpus(run_path, out, done))
        return
    withheld = f"; {done.withheld} withheld, because a name might have survived" if done.withheld else ""
    typer.echo(f"Wrote {done.written} pairs to {out}{withheld}.")
