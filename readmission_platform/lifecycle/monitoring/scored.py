"""What each version scored, beside what has become of it: the rows that live performance is judged on.

What belongs here: reading and joining. What does not: measuring (``evaluation.operation.live``) and judging
(``assets.monitoring.performance``).
"""

from collections.abc import Mapping

import pandas as pd

from readmission_platform.foundation.pseudonyms import pseudonyms
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.lifecycle.versions.version_facts import evidence_rows
from readmission_platform.storage.tables import OUTCOMES, PREDICTIONS, ModelLake


def scored_rows(lake: ModelLake, maturity: pd.DataFrame) -> pd.DataFrame:
    """Return every prediction of the work lists with the outcome, where its day has matured.

    Parameters
    ----------
    maturity
        Of ``outcomes.day_maturity``.

    Returns
    -------
    ``version``, ``row``, ``day``, ``month`` (YYYY-MM), ``entity_key``, ``score``, ``flagged``,
    ``withheld``, ``due`` (the day is old enough), ``label`` (missing unless the day has matured), and the subgroups of
    the model.
    """
    one = [lake.day, lake.row]
    rows = lake.read(PREDICTIONS, columns=[*one, "entity_key", "risk", "flagged", "status", "model_version"])
    rows["withheld"] = rows["status"].eq("withheld")
    rows["due"] = rows[lake.day].isin(maturity.index[maturity["due"].astype(bool)])
    delivered = lake.read(lake.names.delivered)
    groups = pd.concat([delivered[one], lake.contract.data.subgroups(delivered)], axis=1)
    found = rows.merge(groups, on=one, how="left").merge(_outcomes(lake, maturity), on=one, how="left")
    named = {"risk": "score", "model_version": "version", lake.outcome: "label", lake.row: "row", lake.day: "day"}
    return found.rename(columns=named).assign(month=found[lake.day].str[:7])


def _outcomes(lake: ModelLake, maturity: pd.DataFrame) -> pd.DataFrame:
    columns = [lake.day, lake.row, lake.outcome]
    matured = [str(day) for day in maturity.index[maturity["matured"].astype(bool)]]
    if not matured:
        return pd.DataFrame(columns=columns).astype({lake.row: "int64"})
    return lake.read(OUTCOMES, columns=columns, where={lake.day: matured})


def rows_to_judge(
    rows: pd.DataFrame, records: Mapping[str, VersionRecord], lake: ModelLake, *, key: bytes
) -> pd.DataFrame:
    """Return the rows that say something of a version: neither withheld nor among those it was trained on.

    A version that learnt from matured discharges may score one of their days again; it is not judged on these.

    Parameters
    ----------
    rows
        Of ``scored_rows``.
    key
        Secret key of the pseudonyms, under which the evidence knows rows.

    Returns
    -------
    The rows with ``seen``: whether the version was fitted on the entity. Entities of fold 0, the test entities of the
    model that is shipped, count as unseen. Missing where the evidence of a version is gone.
    """
    parts = [rows.head(0).assign(seen=pd.Series(dtype=object))]
    for version, own in rows[~rows["withheld"]].groupby("version", sort=True):
        evidence = evidence_rows(lake, records[str(version)]) if version in records else None
        if evidence is None:
            parts.append(own.assign(seen=None))
            continue
        known = own[own["entity_key"].isin(evidence["entity_key"])]
        keys = pseudonyms(known["row"], key, purpose=lake.contract.words.row)
        learnt = known.index[pd.Series(keys, dtype=object).isin(evidence["row_key"]).to_numpy(dtype=bool)]
        fitted = evidence.loc[evidence["fold"] != 0, "entity_key"]
        parts.append(own.assign(seen=own["entity_key"].isin(fitted)).drop(index=learnt))
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)
