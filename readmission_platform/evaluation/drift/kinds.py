"""The names of what drift is measured by, light enough for every command."""

RISK = "risk"
DRIFT, MISSING, UNSEEN = "drift", "missing", "unseen"
