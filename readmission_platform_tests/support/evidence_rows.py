"""Simulated evidence rows with known truth, for the tests of evaluation and of its pictures."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from readmission_platform.evaluation.words import Wording
from readmission_platform.models.readmission_30d.evidence import SCHEMA, WORDS

SETTINGS = {"schema": SCHEMA, "flag_share": 0.1, "wide_flag_share": 0.2, "thresholds": (0.1, 0.15, 0.2, 0.3), "seed": 7}

WORDING = Wording(WORDS, SCHEMA, flag_share=0.1, wide_flag_share=0.2)


def simulate_rows(n: int, *, seed: int = 0) -> pd.DataFrame:
    """Evidence rows whose scores are the true risks: prevalence about 11 %, AUROC about .67."""
    generator = np.random.default_rng(seed)
    patient = generator.integers(0, max(1, int(0.7 * n)), size=n)
    logit = -2.25 + 0.3 * generator.normal(size=int(0.7 * n) + 1)[patient] + 0.5 * generator.normal(size=n)
    risk = 1 / (1 + np.exp(-logit))
    missing = np.array([None], dtype=object)[0]
    race = generator.choice(
        np.array(["Caucasian", "AfricanAmerican", "Hispanic", "Asian", "Other", missing], dtype=object),
        p=[0.74, 0.19, 0.02, 0.007, 0.02, 0.023],
        size=n,
    )
    return pd.DataFrame(
        {
            "row_key": [f"e{i:08d}" for i in generator.permutation(n)],
            "entity_key": [f"p{i:08d}" for i in patient],
            "fold": (patient % 5).astype("int8"),
            "clock": np.linspace(0, 1, n),
            "label": (generator.random(n) < risk).astype("int8"),
            "score": risk,
            "gender": generator.choice(np.array(["Female", "Male"], dtype=object), p=[0.54, 0.46], size=n),
            "race": race,
            "age_band": generator.choice(np.array(["<50", "50-70", "70+"], dtype=object), p=[0.16, 0.39, 0.45], size=n),
            "lace": np.clip(np.round(6 + 2 * logit + 3 * generator.normal(size=n)), 0, 19),
            "hospital": np.clip(np.round(3 + 2 * logit + 2 * generator.normal(size=n)), 0, 13),
            "number_inpatient": generator.poisson(0.6, size=n).astype("float64"),
        }
    )


@pytest.fixture(scope="session")
def make_rows() -> Callable[..., pd.DataFrame]:
    """Return the simulation, for tests that need a size or seed of their own."""
    return simulate_rows


@pytest.fixture(scope="session")
def settings() -> dict[str, object]:
    """Return the settings of ``evaluate`` apart from the number of replicates."""
    return dict(SETTINGS)


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    """Return 4,000 simulated encounters; do not change them in place."""
    return simulate_rows(4000)
