"""Governed prediction of 30-day hospital readmission, as a Dagster asset project."""

__version__ = "0.1.0"
