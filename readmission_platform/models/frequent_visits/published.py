"""The published data: the RAND Health Insurance Experiment, from the copy that comes with statsmodels.

What belongs here: finding the file, checking its digest, and reading it into the columns of the feed. What does not:
anything done with the enrolments afterwards.

The experiment paid for the care of families in six places of the United States from 1974 to 1982, under plans that were
assigned at random, for three or five years each (Newhouse and the Insurance Experiment Group, Free for All?, 1993). The
file has 20,190 years of 5,912 persons and is in the public domain. statsmodels documents ten columns of it; the file in
the folder ``src`` of that data set, installed since 0.15, has all of them, with the person and the year, in the same
order.

Where the file fills in a mean for what nobody was asked, the value is taken as missing: it would be no observation.
"""

import hashlib
import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from readmission_platform.foundation.errors import BadInput
from readmission_platform.intake.sources import Loaded, SourceRequest
from readmission_platform.models.frequent_visits.feed import HEALTH, PERSON, RAW, ROW, VISITS, YEAR

FILE = Path("datasets", "randhie", "src", "randhie.csv")
SHA256 = "fe64f3c8e987779daa6052dd756d9ce277e025330f5549126c7c2f6a3c9c5541"


def load_published(_request: SourceRequest) -> Loaded:
    """Read the file that is installed with statsmodels, which is not imported for it.

    Raises
    ------
    BadInput
        When the file is not there or is not the pinned one.
    """
    content = _content()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise BadInput(
            f"{FILE.name}: sha256 is {digest[:12]}..., expected {SHA256[:12]}...; install the locked statsmodels again"
        )
    frame = _enrolments(pd.read_csv(io.BytesIO(content)))
    return Loaded(frame, f"sha256:{digest}", expected_digest=f"sha256:{SHA256}", origin="installed with statsmodels")


def _content() -> bytes:
    spec = find_spec("statsmodels")
    if spec is None or spec.origin is None:
        raise BadInput("statsmodels, which brings the data, is not installed; install the locked requirements")
    try:
        return (Path(spec.origin).parent / FILE).read_bytes()
    except OSError as error:
        raise BadInput(
            f"{FILE.name}: cannot be read ({error.strerror}); install the locked statsmodels again"
        ) from error


def _enrolments(published: pd.DataFrame) -> pd.DataFrame:
    health = published[["hlthg", "hlthf", "hlthp"]].to_numpy()
    rated = np.where(health.any(axis=1), health.argmax(axis=1) + 1, 0)
    frame = pd.DataFrame({
        ROW: np.arange(1, len(published) + 1),
        PERSON: published["zper"].astype("int64"),
        YEAR: published["year"].astype("int64"),
        "age": published["xage"].astype("int64"),
        "sex": _named(published["female"], {0: "male", 1: "female"}),
        "family_size": published["num"].astype("int64"),
        "coinsurance": published["coins"].astype("int64"),
        "deductible_plan": _named(published["idp"], {0: "no", 1: "yes"}),
        "incentive_payment": published["pioff"],
        "maximum_expenditure": published["mdeoff"],
        # A limitation is there or not; what lies between is a mean.
        "physical_limitation": _named(published["physlm"], {0: "no", 1: "yes"}),
        # Published as a count; by its values it is the percentage of 23 or 29 diseases that were asked about, with one
        # decimal. Adults were asked; where there are more decimals, a mean was filled in.
        "chronic_diseases": published["disea"].where(published["disea"].round(1) == published["disea"]),
        "self_rated_health": pd.Series(np.array(HEALTH, dtype=object)[rated]),
        VISITS: published["mdvis"].astype("int64"),
    })  # fmt: skip
    return frame[list(RAW.columns)]


def _named(values: pd.Series, names: dict[int, str]) -> pd.Series:
    """Return the name of each value, None where it has none."""
    return pd.Series([names.get(value) for value in values], index=values.index, dtype=object)
