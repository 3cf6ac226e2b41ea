"""Pictures: real PNG files of the promised size, also when there is nothing to draw."""

import struct
from dataclasses import replace

import pytest

from readmission_platform.evaluation.estimates.evidence import evaluate
from readmission_platform.evaluation.estimates.schema import Baseline, EvidenceSchema
from readmission_platform.reports.pictures import evidence as plots
from readmission_platform_tests.support.evidence_rows import WORDING

PICTURES = [plots.roc_png, plots.precision_recall_png, plots.calibration_png, plots.decision_curve_png]


@pytest.fixture(scope="module")
def curves(rows, settings):
    return evaluate(rows, **settings, replicates=20)["curves"]


def assert_small_png(picture):
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">I", picture[16:20])[0] == 700
    assert len(picture) < 40_000


@pytest.mark.parametrize("draw", PICTURES)
def test_a_picture_is_a_small_png_seven_hundred_pixels_wide(draw, curves):
    assert_small_png(draw(curves, WORDING))


@pytest.mark.parametrize("draw", PICTURES)
@pytest.mark.parametrize("count", [0, 30])
def test_a_picture_of_next_to_nothing_is_still_a_picture(draw, count, rows, settings):
    few = rows.head(count).assign(label=0)
    assert_small_png(draw(evaluate(few, **settings, replicates=2)["curves"], WORDING))


@pytest.mark.parametrize("draw", [plots.roc_png, plots.decision_curve_png])
def test_every_baseline_that_is_there_is_drawn(draw, curves):
    """More baselines than colours, and one that is fitted and was left out, are no obstacle."""
    names = [f"score_{place}" for place in range(9)]
    baselines = tuple(Baseline(name, words=name, required=True) for name in names)
    wording = replace(WORDING, schema=EvidenceSchema(WORDING.schema.attributes, baselines))
    roc, benefit = curves["roc"]["baselines"]["lace"], curves["decision"]["baselines"]["lace"]
    drawn = {
        count: draw({
            "roc": curves["roc"] | {"baselines": dict.fromkeys(names[:count], roc)},
            "decision": curves["decision"] | {"baselines": dict.fromkeys(names[:count], benefit)},
        }, wording)
        for count in (0, 8, 9)
    }  # fmt: skip
    assert len(set(drawn.values())) == 3


def test_importances_are_drawn_with_and_without_intervals():
    known = {"name": "Inpatient stays in the past year", "value": 0.03, "low": 0.02, "high": 0.04}
    unknown = {"name": "Age", "value": -0.001, "low": None, "high": None}
    for importances in ([known, unknown], []):
        assert_small_png(plots.importances_png(importances, title="What counts", axis="Loss of AUROC"))
