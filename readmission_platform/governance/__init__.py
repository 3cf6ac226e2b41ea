"""Who may promote which model version on what evidence, and the record of it."""
