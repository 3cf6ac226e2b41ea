"""The platform's room: how a model is judged. Pure functions on rows of labels, scores and subgroups.

What belongs here: metrics, calibration, fairness, decision curves, intervals, the evidence document and its
pictures. What does not: limits and verdicts (``governance.policy.gates``), fitting models (``models``), storage,
Dagster and MLflow.
"""
