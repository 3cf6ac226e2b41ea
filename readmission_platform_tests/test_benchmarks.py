"""What the benchmarks promise before anybody runs them: that they start. They take minutes, so no test runs them."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from readmission_platform_tests import benchmarks

MODULES = sorted(module.name for module in pkgutil.walk_packages(benchmarks.__path__, f"{benchmarks.__name__}."))
MAKEFILE = Path(__file__).parents[1] / "Makefile"


@pytest.mark.parametrize("name", MODULES)
def test_every_benchmark_still_fits_the_platform_it_measures(name: str):
    importlib.import_module(name)


def test_every_benchmark_that_make_calls_is_there_and_can_be_called():
    called = re.findall(r"-m (readmission_platform_tests\.[\w.]+)", MAKEFILE.read_text())
    assert called
    assert all(callable(importlib.import_module(name).main) for name in called)
