"""What every layer stands on: errors with exit codes, the database engine, and the steps that fault tests stop at."""
