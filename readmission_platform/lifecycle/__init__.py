"""What the platform does with a model, from training to monitoring, without Dagster."""
