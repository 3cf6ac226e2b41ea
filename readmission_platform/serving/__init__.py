"""The service: risks of single rows over HTTP, while somebody waits.

What belongs here: everything between a request and its answer. What does not: how a row is scored (``models``), which
version is live (``governance``), and anything of Dagster, MLflow or scikit-learn, which none of this imports.
"""
