"""What each version scored, beside what has become of it: the rows that live performance is judged on.

What belongs here: reading and joining. What does not: measuring (``evaluation.operation.live``) and judging
(``performance``).
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from readmission_platform.encounters.cohort import subgroups
from readmission_platform.foundation.pseudonyms import pseudonyms
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.lifecycle.days.scoring import DAY, DISCHARGES_TABLE, OUTCOMES_TABLE
from readmission_platform.lifecycle.versions.version_facts import evidence_rows
from readmission_platform.storage.lake import Lake

PREDICTIONS_TABLE = "daily_predictions"
_READ = ["encounter_id", "entity_key", "risk", "flagged", "status", DAY, "model_version"]
_ONE = [DAY, "encounter_id"]


def scored_rows(lake: Lake, maturity: pd.DataFrame) -> pd.DataFrame:
    """Return every prediction of the work lists with the outcome, where its day has matured.

    Parameters
    ----------
    maturity
        Of ``outcomes.day_maturity``.

    Returns
    -------
    ``version``, ``discharge_date``, ``month`` (YYYY-MM), ``entity_key``, ``score``, ``flagged``, ``withheld``, ``due``
    (the day is old enough), ``label`` (missing unless the day has matured), ``gender``, ``race``, ``age_band``.
    """
    rows = _read(lake, PREDICTIONS_TABLE, _READ)
    # Rows of before there were withheld predictions have no status.
    rows["withheld"] = rows["status"].eq("withheld") if "status" in rows else False
    rows["due"] = rows[DAY].isin(maturity.index[maturity["due"].astype(bool)])
    people = _read(lake, DISCHARGES_TABLE, [*_ONE, "gender", "race", "age"])
    groups = pd.concat([people[_ONE], subgroups(people)], axis=1)
    found = rows.merge(groups, on=_ONE, how="left").merge(_outcomes(lake, maturity), on=_ONE, how="left")
    named = {"risk": "score", "model_version": "version", "readmitted_30d": "label"}
    return found.rename(columns=named).assign(month=found[DAY].str[:7])


def _outcomes(lake: Lake, maturity: pd.DataFrame) -> pd.DataFrame:
    matured = [str(day) for day in maturity.index[maturity["matured"].astype(bool)]]
    if not matured:
        return pd.DataFrame(columns=[*_ONE, "readmitted_30d"]).astype({"encounter_id": "int64"})
    return lake.read(OUTCOMES_TABLE, columns=[*_ONE, "readmitted_30d"], where={DAY: matured})


def rows_to_judge(rows: pd.DataFrame, records: Mapping[str, VersionRecord], lake: Lake, *, key: bytes) -> pd.DataFrame:
    """Return the rows that say something of a version: neither withheld nor of an encounter it was trained on.

    A version that learnt from matured discharges may score one of their days again; it is not judged on these.

    Parameters
    ----------
    rows
        Of ``scored_rows``.
    key
        Secret key of the pseudonyms, under which the evidence knows encounters.

    Returns
    -------
    The rows with ``seen``: whether the version was fitted on the patient. Patients of fold 0, the test patients of the
    model that is shipped, count as unseen. Missing where the evidence of a version is gone.
    """
    parts = [rows.head(0).assign(seen=pd.Series(dtype=object))]
    for version, own in rows[~rows["withheld"]].groupby("version", sort=True):
        evidence = evidence_rows(lake, records[str(version)]) if version in records else None
        if evidence is None:
            parts.append(own.assign(seen=None))
            continue
        known = own[own["entity_key"].isin(evidence["entity_key"])]
        keys = pseudonyms(known["encounter_id"], key, purpose="encounter")
        learnt = known.index[pd.Series(keys, dtype=object).isin(evidence["row_key"]).to_numpy(dtype=bool)]
        fitted = evidence.loc[evidence["fold"] != 0, "entity_key"]
        parts.append(own.assign(seen=own["entity_key"].isin(fitted)).drop(index=learnt))
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def _read(lake: Lake, table: str, columns: Sequence[str]) -> pd.DataFrame:
    stored = {field.name for field in lake.open(table).schema().fields}
    return lake.read(table, columns=[name for name in columns if name in stored])
