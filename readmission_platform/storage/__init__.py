"""Where state lives: lake, landing zone, artifacts, home. Opens without Dagster or MLflow."""
