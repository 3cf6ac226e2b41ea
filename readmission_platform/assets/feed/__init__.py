"""Assets of a model's feed: source, cohort, delivered rows, outcomes."""
