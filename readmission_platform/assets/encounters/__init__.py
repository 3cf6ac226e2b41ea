"""Assets of the hospital's feed: source, cohort, daily discharges, outcomes."""
