"""How results look in the Dagster UI: tables, pictures and check results from plain values.

What belongs here: turning values into Dagster metadata. What does not: computing them.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
import pandas as pd

from readmission_platform.evaluation.disclosure import HIDDEN, shown_cells

DATA_TEAM = "team:data-engineering"
SCIENCE_TEAM = "team:data-science"
PLATFORM_TEAM = "team:ml-platform"
CARE_TEAM = "team:care-management"


def table(rows: Iterable[Mapping[Any, Any]]) -> dg.MetadataValue:
    """Show rows as a table; all rows have the same keys."""
    records = [{key: plain(value) for key, value in row.items()} for row in rows]
    if not records:
        return dg.MetadataValue.text("nothing to show")
    columns = [dg.TableColumn(name, _column_type(records, name)) for name in records[0]]
    return dg.MetadataValue.table([dg.TableRecord(record) for record in records], dg.TableSchema(columns))


def hideable(counts: Mapping[str, int | None]) -> dict[str, int | str]:
    """Return counts for the UI, with a word in place of those that may not be shown."""
    return {name: HIDDEN if count is None else count for name, count in counts.items()}


def reasons_table(lines: pd.DataFrame, by: Sequence[str], *, counted: str, hidden: bool = False) -> dg.MetadataValue:
    """Show why lines were set aside, and how many of each kind as far as that may be shown; none where ``hidden``."""
    sizes = lines.groupby(list(by)).size()
    cells = {str(place): int(size) for place, size in enumerate(sizes)}
    numbers = [HIDDEN] * len(cells) if hidden else hideable(shown_cells(cells, total=len(lines))).values()
    return table(sizes.reset_index(name=counted).assign(**{counted: list(numbers)}).to_dict("records"))


def picture(png: bytes, caption: str) -> dg.MetadataValue:
    """Show a PNG; it opens in a dialog."""
    return dg.MetadataValue.md(f"![{caption}](data:image/png;base64,{base64.b64encode(png).decode()})\n\n{caption}")


def column_schema(frame: pd.DataFrame) -> dg.TableSchema:
    """Describe a frame's columns for the asset's page."""
    return dg.TableSchema([dg.TableColumn(str(name), str(dtype)) for name, dtype in frame.dtypes.items()])


def plain(value: Any) -> Any:
    """Return a builtin value that a table cell can hold, rounded to four significant digits where it is a float."""
    if value is None or value is pd.NA:
        return ""
    item = value.item() if hasattr(value, "item") else value
    return float(f"{item:.4g}") if isinstance(item, float) else item


def check_result(
    name: str,
    passed: bool,
    *,
    observed: Any,
    rule: str,
    action: str,
    more: Mapping[str, Any] | None = None,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """Return a check result that says rule, observation and what to do."""
    description = rule if passed else f"{rule} {action}"
    metadata = {
        "rule": rule,
        "observed": observed if isinstance(observed, dg.MetadataValue) else str(observed),
    }
    return dg.AssetCheckResult(
        check_name=name,
        passed=bool(passed),
        severity=severity,
        description=description,
        metadata={**metadata, "what to do if it fails": action, **(more or {})},
    )


def nothing_to_check(name: str, why: str) -> dg.AssetCheckResult:
    """Return the result of a check on an asset that is skipped; Dagster wants one either way."""
    return dg.AssetCheckResult(check_name=name, passed=True, description=f"Nothing to check: {why}.")


def nothing_made(what: str, why: str, checks: Iterable[str]) -> dg.MaterializeResult:
    """Return the result of days that are settled with nothing to make: they do not show as missing, and say why.

    Nothing is written. Days that somebody still has to do something about are skipped instead, and stay missing.
    """
    return dg.MaterializeResult(
        metadata={what: dg.MetadataValue.text(f"none: {why}")},
        check_results=[nothing_to_check(check, why) for check in checks],
    )


def blocking_specs(asset: str, descriptions: Mapping[str, str]) -> Sequence[dg.AssetCheckSpec]:
    """Return specs of checks that the asset itself reports, so that no selection can leave them out."""
    return [
        dg.AssetCheckSpec(name, asset=asset, description=description, blocking=True)
        for name, description in descriptions.items()
    ]


def _column_type(records: Sequence[Mapping[str, Any]], name: str) -> str:
    kinds = {type(record[name]) for record in records} - {str} or {str}
    if kinds <= {int}:
        return "int"
    return "float" if kinds <= {int, float} else "string"
