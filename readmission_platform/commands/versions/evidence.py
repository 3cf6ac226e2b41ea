"""Commands for whoever wants to see the evidence: ``report`` and ``study``."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from readmission_platform import tables
from readmission_platform.commands.terminal import Json, advice, err, launching, open_page, out, print_json, workspace
from readmission_platform.foundation.errors import BadInput, Unavailable

Version = Annotated[str, typer.Argument(help="Version number.")]
Target = Annotated[Path | None, typer.Option("--out", help="File to write; default: in the home's reports.")]


def report(
    version: Version,
    target: Target = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Write all of the evidence on a version: one self-contained HTML file, also for printing.

    --json prints the evidence document that the page is made from.
    """
    from readmission_platform.lifecycle.pages import write_page
    from readmission_platform.lifecycle.versions.evidence_document import evidence_document, write_document
    from readmission_platform.reports.evidence_report import evidence_html
    from readmission_platform.reports.page_links import EVIDENCE

    current = workspace()
    with current.ledger() as ledger:
        events, pointers = ledger.snapshot()
    document = evidence_document(version, events=events, pointers=pointers, workspace=current)
    try:
        stored = write_document(document, current)
        page = write_page(current.settings, target or stored.with_name(EVIDENCE), evidence_html(document))
    except OSError as error:
        why = f"the page cannot be written ({error.strerror})"
        raise (BadInput(f"--out: {why}") if target else Unavailable(why)) from error
    if as_json:
        print_json(document)
    else:
        out.print(str(page), markup=False, soft_wrap=True)
    if show:
        open_page(page)


def study(
    version: Version,
    seeds: Annotated[int, typer.Option(min=2, max=50, help="Number of seeds, beginning with the version's own.")] = 5,
    as_json: Json = False,
) -> None:
    """Refit a version with other seeds and cohort rules, to see how much is due to chance; takes minutes."""
    from readmission_platform.assets.model.study import STUDIED, STUDY, StudyConfig
    from readmission_platform.lifecycle.training.reproduction import record_of

    current = workspace()
    with current.ledger() as ledger:
        record_of(ledger, version)
    with launching(current, quiet=as_json) as launcher, _told(quiet=as_json):
        asked = StudyConfig(version=version, seeds=seeds)
        found = launcher.recorded("study_job", STUDIED, assets={STUDY: asked}).payload
    if as_json:
        print_json({"version": version, **found})
        return
    rows = ((row["name"], *(f"{row[name]:.4f}" for name in ("mean", "sd", "low", "high")))
            for row in found["seeds"]["figures"])  # fmt: skip
    out.print(tables.make_table(("over seeds", "mean", "sd", "lowest", "highest"), rows))
    gates = found["seeds"]["gates"]
    out.print(f"{gates['passed']} of {gates['of']} seeds pass every candidate gate")
    out.print(advice(f"`readmission report {version}` shows the rest"), markup=False)


@contextmanager
def _told(*, quiet: bool) -> Iterator[None]:
    """Tell what the running asset says of its progress on standard error."""
    from readmission_platform.definitions import TERMINAL_LOGGER

    handler = _Told(logging.INFO)
    logger = logging.getLogger(TERMINAL_LOGGER)
    if not quiet:
        logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Told(logging.Handler):
    """Prints what an asset logs by itself, and none of Dagster's own events."""

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", {})
        if meta.get("dagster_event") is None and meta.get("orig_message"):
            err.print(f"  {meta['orig_message']}", markup=False)
