"""Governed models in production, as a Dagster asset project."""

import gc

__version__ = "0.1.0"

# Python looks for cycles at every 700 objects more. Loading definitions makes several hundred thousand that stay, and
# a fifth of the time went into looking (readmission_platform_tests.benchmarks.definitions_load).
gc.set_threshold(20_000)
