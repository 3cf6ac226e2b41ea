"""Fixtures of this folder: simulated evidence rows."""

from readmission_platform_tests.support.evidence_rows import make_rows, rows, settings

__all__ = ["make_rows", "rows", "settings"]
