"""Taking in delivered rows, of any model: the contract of a row, files, decisions about rows, outcomes, quarantine."""
