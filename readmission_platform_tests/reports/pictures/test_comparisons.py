"""Further pictures of the evidence: real PNG files of the promised size, also when there is next to nothing to draw."""

import struct

import pytest

from readmission_platform.evaluation.disclosure import suppress_small_cells
from readmission_platform.evaluation.estimates.evidence import evaluate
from readmission_platform.reports.pictures import comparisons as evidence_plots
from readmission_platform_tests.support.evidence_rows import WORDING

POINT = {"label": "0", "n": 40, "risk": 0.1, "low": 0.09, "high": 0.11}
EFFECTS = [
    {"feature": "age", "name": "age", "kind": "number", "unit": "years", "points": [
        POINT | {"value": 45.0}, POINT | {"value": 65.0, "low": None, "high": None},
        POINT | {"value": "not recorded", "label": "not recorded"},
    ]},
    {"feature": "gender", "name": "gender", "kind": "category", "points": [
        POINT | {"value": "Female", "label": "a name that is much longer than there is room for it"},
        POINT | {"value": "Male", "low": None, "high": None},
    ]},
    {"feature": "race", "name": "race", "kind": "category", "points": []},
]  # fmt: skip
SEEDS = {"figures": [{"name": "auroc", "mean": 0.67, "values": [0.66, 0.67, 0.68]}]}


def assert_small_png(picture: bytes, *, width: int = 700) -> None:
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">I", picture[16:20])[0] == width
    assert len(picture) < 60_000


@pytest.fixture(scope="module")
def evidence(make_rows, settings):
    return suppress_small_cells(evaluate(make_rows(900, seed=4), **settings, replicates=20))


def test_groups_are_drawn_hidden_ones_among_them(evidence):
    assert any(group.get("suppressed") for group in evidence["groups"]["race"].values())
    assert_small_png(evidence_plots.groups_png(evidence["groups"], WORDING))
    assert_small_png(evidence_plots.groups_png({}, WORDING))


def test_comparisons_are_drawn_with_and_without_any(evidence):
    assert_small_png(evidence_plots.comparisons_png(evidence["comparisons"], WORDING))
    assert_small_png(evidence_plots.comparisons_png([], WORDING))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_effects_of_numbers_and_categories_are_drawn(count):
    assert_small_png(evidence_plots.effects_png(EFFECTS[:count]))


def test_single_effects_are_drawn_to_the_scale_of_all_and_as_narrow_as_asked():
    steep = {**EFFECTS[0], "points": [POINT | {"value": 45.0, "high": 0.9}]}
    highest = evidence_plots.highest_risk([*EFFECTS, steep])
    assert highest == 0.9
    alone = evidence_plots.effects_png(EFFECTS[:1], width=4.0)
    scaled = evidence_plots.effects_png(EFFECTS[:1], highest=highest, width=4.0)
    assert_small_png(scaled, width=400)
    assert alone != scaled


def test_seeds_are_drawn_with_and_without_any():
    assert_small_png(evidence_plots.seeds_png(SEEDS, WORDING))
    assert_small_png(evidence_plots.seeds_png({"figures": []}, WORDING))
