"""What is not in the lock file: tests that need it are skipped where it is missing, and fail in CI."""

import os
from importlib.util import find_spec

import pytest


def need(module: str, words: str) -> None:
    """Skip the test at hand unless a module is installed; in CI let it fail."""
    if find_spec(module) is None:
        reason = f"{words} not installed: run `make pytorch`"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
