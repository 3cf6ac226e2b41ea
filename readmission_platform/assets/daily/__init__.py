"""Assets of the day: predictions, the shadow beside them, the work list."""
