"""A version's training data and what it scored later, read from the lake in a form that can be compared.

What belongs here: reading, with digests verified. What does not: measuring (``evaluation.drift.stability``).
"""

import numpy as np
import pandas as pd

from readmission_platform.config.monitoring import DriftConfig
from readmission_platform.evaluation.drift.stability import RISK, Reference, reference_of
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.lifecycle.days.scoring import DAY, DISCHARGES_TABLE, InputVersions, known_encounters
from readmission_platform.lifecycle.versions.version_facts import EvidenceMissing, recorded_evidence
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.storage.lake import Lake, TableMissing


def training_reference(lake: Lake, record: VersionRecord, columns: list[str], config: DriftConfig) -> Reference:
    """Return what windows of a version are compared with: its own training data and out-of-fold risks.

    Raises
    ------
    EvidenceMissing
        When either is gone or is not what the ledger recorded.
    """
    training = _training_rows(lake, record)
    risks = _out_of_fold_risks(lake, record)
    return reference_of(
        CONTRACT.watch.comparable(training, columns),
        risks,
        encounters=config.reference_encounters,
        rare_share=config.rare_category_share,
        seed=record.seed or 0,
    )


def _training_rows(lake: Lake, record: VersionRecord) -> pd.DataFrame:
    from deltalake.exceptions import DeltaError
    from pyarrow import ArrowException

    data = record.trained.get("data") or {}
    try:
        rows = lake.read(data["table"], version=data["table_version"])
    except (TableMissing, KeyError, OSError, ArrowException, DeltaError) as error:
        raise EvidenceMissing(f"the training data of version {record.version} cannot be read") from error
    if frame_digest(rows) != record.data_version:
        raise EvidenceMissing(f"the training data of version {record.version} are not those recorded in the ledger")
    return rows


def _out_of_fold_risks(lake: Lake, record: VersionRecord) -> np.ndarray:
    return recorded_evidence(lake, record)["score"].to_numpy(dtype=np.float64)


def scored_inputs(lake: Lake, record: VersionRecord, scored: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return what a version was given for encounters it scored: the discharge and the history known on that day.

    Parameters
    ----------
    scored
        As ``lifecycle.monitoring.windows.scored_by`` returns it.

    Returns
    -------
    The columns in comparable form, with ``encounter_id``, ``discharge_date`` and ``risk``.
    """
    days = sorted(set(scored[DAY]))
    discharges = lake.read(DISCHARGES_TABLE, where={DAY: days})
    discharges = discharges[discharges["encounter_id"].isin(scored["encounter_id"])]
    known = known_encounters(lake, discharges, InputVersions.newest(lake, record.encounters_version))
    given = discharges.reset_index(drop=True)
    inputs = CONTRACT.watch.comparable(CONTRACT.data.inputs_of(given, known), columns)
    identified = pd.concat([given[["encounter_id", DAY]], inputs], axis=1)
    return identified.merge(scored[["encounter_id", RISK]], on="encounter_id", how="left")
