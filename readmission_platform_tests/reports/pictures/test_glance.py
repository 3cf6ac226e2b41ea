"""The small picture of the first screen: it fits where the UI shows Markdown at once, and shows what is defined."""

import re
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import numpy as np

from readmission_platform.reports.pictures.glance import LONGEST, glance_markdown


def curves(points: int = 400) -> dict[str, Any]:
    """Return curves with as many points as there are, so that each has to be thinned."""
    x = np.linspace(0, 1, points)
    thresholds = np.arange(1, 51) / 100
    return {
        "roc": {"auroc": {"value": 0.6861}, "fpr": x.tolist(), "tpr": np.sqrt(x).tolist()},
        "calibration": {
            "slope": {"value": -1.004},
            "bins": [{"mean_score": risk, "observed": risk * 0.97} for risk in np.linspace(0.031, 0.413, 10)],
        },
        "decision": {
            "thresholds": thresholds.tolist(),
            "model": (0.12 * np.exp(-9 * thresholds)).tolist(),
            "treat_all": (0.12 - thresholds).tolist(),
        },
    }


def drawn(markdown: str) -> tuple[list[str], list[str]]:
    """Return the titles and the paths of the picture."""
    found = re.fullmatch(r"!\[[^\]]+\]\(data:image/svg\+xml,([^()\s]+)\)", markdown)
    assert found is not None
    root = ET.fromstring(unquote(found[1]))
    space = "{http://www.w3.org/2000/svg}"
    return [str(each.text) for each in root.iter(f"{space}text")], [
        each.get("d", "") for each in root.iter(f"{space}path")
    ]


def test_the_picture_is_short_enough_to_be_shown_without_a_click():
    markdown = glance_markdown(curves())
    assert len(markdown) <= LONGEST
    titles, (references, lines, dots) = drawn(markdown)
    assert titles == ["ROC curve, area 0.686", "Calibration, slope -1.00", "Net benefit of acting"]
    assert dots.count("h0") == 10  # one point for each tenth of the rows
    assert references.count("v100h100") == 3
    assert lines.startswith("M0,100,")
    assert ",100,0M" in lines  # the last point of the ROC curve is kept


def test_what_is_not_defined_leaves_its_panel_empty():
    nothing = curves()
    nothing["roc"] |= {"auroc": {"value": None}, "fpr": [], "tpr": []}
    nothing["calibration"] = {"slope": {"value": None}, "bins": [{"mean_score": None, "observed": None}]}
    nothing["decision"] = {"thresholds": [], "model": [], "treat_all": []}
    titles, (_, lines, dots) = drawn(glance_markdown(nothing))
    assert titles == ["ROC curve", "Calibration", "Net benefit of acting"]
    assert (lines, dots) == ("", "")
