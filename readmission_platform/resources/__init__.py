"""The IO manager of the lake, and tracking in MLflow: what needs Dagster to reach where state lives."""
