"""What the platform knows of its own running: observed runs, alerts, and who is told."""
