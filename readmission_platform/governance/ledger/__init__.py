"""The append-only, hash-chained record, and how anybody can verify it."""
