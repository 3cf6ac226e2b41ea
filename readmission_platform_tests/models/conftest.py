"""Fixtures of this folder: a small study of readmission with a trained model."""

import pytest

from readmission_platform_tests.support.small_study import SmallStudy, make_small_study


@pytest.fixture(scope="session")
def small_study() -> SmallStudy:
    """Return 6,000 synthetic encounters with a trained model; do not change anything in place."""
    return make_small_study(encounters=6_000, seed=11)
