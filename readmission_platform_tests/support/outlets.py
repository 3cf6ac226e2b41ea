"""Everything that leaves the process about a version and about days, in every form, as text and as records.

A record is a row of a table, wherever it stands: in JSON, on a page, in a CSV file, in the terminal, in the metadata of
a materialization or a check. The rows of patients (the work list, the trace of one encounter, the lines to repair in
the quarantine) are for those who care for them, no statistics, and are not collected.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from readmission_platform.commands import terminal
from readmission_platform_tests.support.homes import MODEL, Home

_PICTURE = re.compile(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+")
_COLUMNS = re.compile(r"\s*[┃│]\s*")


@dataclass(frozen=True)
class Said:
    """What one outlet says: all of it as text, and what it says in tables as records; of which day, where it is one."""

    outlet: str
    text: str
    records: tuple[Mapping[str, Any], ...] = ()
    day: str | None = None


def said_of_version(home: Home, version: str, folder: Path) -> list[Said]:
    """Return what every command and page says of a version; ``folder`` is for what is written on the way."""
    commands = [
        ("status",), ("gates", version), ("verify", version), ("timeline",), ("models",),
        ("promote", "--version", version, "--to-stage", "production", "--replace", "--dry-run"),
    ]  # fmt: skip
    said = [one for command in commands for one in _in_both_forms(home, *command)]
    for command in ("report", "card"):
        said.append(_in_json(home, command, version))
    for command in ("report", "review", "card"):
        page = folder / f"{command}.html"
        _done(home, command, version, "--out", str(page))
        said.append(said_by_page(command, page.read_text(encoding="utf-8")))
    _done(home, "dossier", version, "--out", str(folder / "dossier"))
    for file in sorted((folder / "dossier").iterdir()):
        if file.suffix == ".html":
            said.append(said_by_page(f"dossier {file.name}", file.read_text(encoding="utf-8")))
        elif file.suffix == ".md":
            said.append(Said(f"dossier {file.name}", file.read_text(encoding="utf-8")))
        elif file.name in ("evidence.json", "gates.json"):
            said.append(said_by_json(f"dossier {file.name}", json.loads(file.read_text(encoding="utf-8"))))
    return said


def said_of_days(home: Home, days: Sequence[str], folder: Path) -> list[Said]:
    """Return what commands, pages and files say of days that were scored, taking the last one in once more."""
    page = folder / "monitor.html"
    _done(home, "monitor", "--days", "3660", "--out", str(page))
    said = [
        said_by_page("monitor", page.read_text(encoding="utf-8")),
        said_by_metrics("Prometheus", _done(home, "monitor", "--days", "3660", "--prometheus", "-")),
        _in_json(home, "monitor", "--days", "3660"),
        *_in_both_forms(home, "quarantine", "list"),
        *_in_both_forms(home, "alerts", "list", "--all"),
    ]
    for command in ("score", "outcomes"):
        landed = days if command == "score" else [day for day in home.landing.days("outcomes") if day in days]
        if landed:
            said += _in_both_forms(home, command, "--from", landed[0], "--to", landed[-1])
    return said


def said_in_dagster(instance: dg.DagsterInstance) -> list[Said]:
    """Return what the UI shows of every run: messages, and the metadata of materializations and checks."""
    said = []
    for run in instance.get_runs():
        for entry in instance.all_logs(run.run_id):
            event = entry.dagster_event
            data: Any = event.event_specific_data if event else None
            what = getattr(data, "materialization", data)
            step = f"UI {run.job_name} {entry.step_key or ''}".strip()
            said.append(Said(f"{step} message", entry.user_message))
            metadata = getattr(what, "metadata", None)
            if not isinstance(metadata, Mapping) or not metadata:
                continue
            name = getattr(what, "check_name", None) or getattr(what, "label", "")
            text = "\n".join([str(getattr(what, "description", "") or ""), *map(_plain_text, metadata.items())])
            said.append(Said(f"{step} {name}", text, tuple(_records_of_metadata(metadata)),
                             day=getattr(what, "partition", None)))  # fmt: skip
    return said


def said_in_mlflow(home: Home) -> list[Said]:
    """Return what MLflow shows of every run: parameters, metrics, tags, and artifacts that are text."""
    client = home.registry()
    said = []
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            shown = {**run.data.params, **run.data.metrics, **run.data.tags}
            said.append(Said(f"MLflow run {run.info.run_name}", json.dumps(shown), (shown,)))
    with home.workspace() as workspace:
        said += [
            Said(f"MLflow artifact {path.name}", path.read_text(encoding="utf-8"))
            for path in workspace.registry.root.rglob("*")
            if path.is_file() and (path.name == "MLmodel" or path.suffix in (".json", ".yaml", ".txt"))
        ]
    return said


def said_by_json(outlet: str, content: Any) -> Said:
    return Said(outlet, json.dumps(content), tuple(_dictionaries(content)))


def said_by_terminal(outlet: str, text: str) -> Said:
    return Said(outlet, text, tuple(_records_of_terminal(text)))


def said_by_page(outlet: str, html: str) -> Said:
    page = _Page()
    page.feed(_PICTURE.sub("", html))
    return Said(outlet, "\n".join(page.words), tuple(page.records))


def said_by_csv(outlet: str, text: str) -> Said:
    return Said(outlet, text, tuple(csv.DictReader(io.StringIO(text))))


def said_by_metrics(outlet: str, text: str) -> Said:
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    newest = [{"figure": sample.name.removeprefix("readmission_"), "value": sample.value, **sample.labels}
              for sample in samples if sample.labels.get("model") in (MODEL, None)]  # fmt: skip
    return Said(outlet, text, tuple(newest))


def _in_both_forms(home: Home, *command: str) -> Iterator[Said]:
    name = " ".join(command[:2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(terminal.out, "width", 400)  # a narrow one tears a number into two that are small
        said = home.command(*command).out
    yield said_by_terminal(name, said)
    yield said_by_json(f"{name} --json", json.loads(home.command(*command, "--json").out))


def _in_json(home: Home, *command: str) -> Said:
    return said_by_json(f"{command[0]} --json", json.loads(_done(home, *command, "--json")))


def _done(home: Home, *command: str) -> str:
    outcome = home.command(*command)
    assert outcome.code == 0, outcome.err
    return outcome.out


def _dictionaries(content: Any, name: str = "") -> Iterator[Mapping[str, Any]]:
    """Yield every object of a document; one that stands under a name tells it as ``called``."""
    if isinstance(content, Mapping):
        plain = {key: value for key, value in content.items() if not isinstance(value, Mapping | list)}
        yield {"called": name, **plain}
        for key, value in content.items():
            yield from _dictionaries(value, str(key))
    elif isinstance(content, list):
        for value in content:
            yield from _dictionaries(value, name)


def _records_of_terminal(text: str) -> Iterator[dict[str, str]]:
    header: list[str] = []
    for line in text.splitlines():
        cells = _COLUMNS.split(line.strip())
        if "┃" in line:
            header = cells
        elif "│" in line and len(cells) == len(header):
            yield dict(zip(header, cells, strict=True))


def _records_of_metadata(metadata: Mapping[str, dg.MetadataValue]) -> Iterator[Mapping[str, Any]]:
    yield {name: value.value for name, value in metadata.items() if isinstance(value.value, int | float | str)}
    for name, value in metadata.items():
        if isinstance(value, dg.TableMetadataValue):
            yield from ({"called": name, **record.data} for record in value.records)
        elif isinstance(value, dg.JsonMetadataValue):
            yield from _dictionaries(value.value, name)


def _plain_text(entry: tuple[str, dg.MetadataValue]) -> str:
    name, value = entry
    if isinstance(value, dg.TableMetadataValue):
        return f"{name}: {json.dumps([record.data for record in value.records])}"
    return f"{name}: {_PICTURE.sub('', str(value.value))}"


class _Page(HTMLParser):
    """Collects the words of a page, and the rows of its tables by the words of their headers."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.records: list[dict[str, str]] = []
        self._header: list[str] = []
        self._row: list[str] = []
        self._heads, self._hidden = 0, 0

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        if tag in ("style", "script"):
            self._hidden += 1
        elif tag == "tr":
            self._row, self._heads = [], 0
        elif tag in ("td", "th"):
            self._row.append("")
            self._heads += tag == "th"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("style", "script"):
            self._hidden -= 1
        elif tag == "tr" and self._row:
            if self._heads == len(self._row):
                self._header = self._row
            elif len(self._row) == len(self._header):
                self.records.append(dict(zip(self._header, self._row, strict=True)))
            self._row = []

    def handle_data(self, data: str) -> None:
        if self._hidden or not data.strip():
            return
        self.words.append(data.strip())
        if self._row:
            self._row[-1] = f"{self._row[-1]} {data.strip()}".strip()
