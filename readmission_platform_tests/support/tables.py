"""Tables that nobody tuned for a model: with a known relation of some columns to the outcome."""

from pathlib import Path

import numpy as np
import pandas as pd

_FIRST = np.datetime64("2022-01-01")


def _event(rng: np.random.Generator, rows: int, columns: int, shift: float = -1.6) -> tuple[np.ndarray, np.ndarray]:
    values = rng.normal(size=(rows, columns))
    log_odds = shift + values[:, :3] @ np.array([0.9, 0.6, -0.4])
    return values, rng.random(rows) < 1 / (1 + np.exp(-log_odds))


def appointments(rows: int = 6_000, *, seed: int = 1) -> pd.DataFrame:
    """Texts and dates: whether somebody comes to an appointment. Free text and a constant are among the columns."""
    rng = np.random.default_rng(seed)
    values, missed = _event(rng, rows, 3)
    day = _FIRST + np.sort(rng.integers(0, 900, rows))
    frame = pd.DataFrame({
        "visit_id": 1000 + rng.permutation(rows),
        "mrn": [f"M{code:05d}" for code in rng.integers(0, rows * 2 // 3, rows)],
        "booked_for": day.astype(str),
        "booked_on": (day - np.exp(2 + 0.5 * values[:, 0]).astype(int)).astype(str),
        "clinic": rng.choice(["Cardiology", "Oncology", "ENT", "Dental"], rows),
        "note": [f"called back {code}" for code in rng.integers(0, 10**9, rows)],
        "earlier_no_shows": np.maximum(0, (1.5 * values[:, 1]).astype(int)),
        "age": np.clip(45 - 14 * values[:, 2], 1, 95).astype(int),
        "gender": rng.choice(["Female", "Male"], rows),
        "site": 1,
        "no_show": np.where(missed, "No-show", "Came"),
    })  # fmt: skip
    frame.loc[rng.random(rows) < 0.05, "clinic"] = None
    return frame


def laboratory(rows: int = 500, *, seed: int = 1) -> pd.DataFrame:
    """Thirty columns and few rows, which have no number of their own: whether a sepsis follows."""
    rng = np.random.default_rng(seed)
    values, sepsis = _event(rng, rows, 26, shift=-0.2)
    frame = pd.DataFrame(values.round(2), columns=[f"lab_{number}" for number in range(26)])
    frame.loc[rng.random(rows) < 0.1, "lab_5"] = np.nan
    return frame.assign(
        patient=rng.integers(1, rows, rows), drawn_on=(_FIRST + np.sort(rng.integers(0, 600, rows))).astype(str),
        sex=rng.choice(["f", "m"], rows), sepsis=np.where(sepsis, "yes", "no"),
    )  # fmt: skip


def claims(rows: int = 100_000, *, seed: int = 1) -> pd.DataFrame:
    """Ten columns and many rows, whose time is a number: whether a claim is denied."""
    rng = np.random.default_rng(seed)
    values, denied = _event(rng, rows, 4)
    return pd.DataFrame({
        "claim_id": np.arange(1, rows + 1),
        "member": rng.integers(1, rows * 6 // 10, rows),
        "month": np.sort(rng.integers(1, 60, rows)),
        "age": np.clip(50 + 15 * values[:, 0], 0, 99).astype(int),
        "visits": np.maximum(0, (2 + 2 * values[:, 1]).astype(int)),
        "cost": np.exp(6 + values[:, 2]).round(2),
        "plan": rng.choice(["A", "B", "C"], rows),
        "region": rng.choice(["north", "south", "east"], rows),
        "score": values[:, 3].round(3),
        "denied": denied.astype(int),
    })  # fmt: skip


def written(frame: pd.DataFrame, path: Path) -> Path:
    """Write a table as CSV; returns its path."""
    frame.to_csv(path, index=False)
    return path
