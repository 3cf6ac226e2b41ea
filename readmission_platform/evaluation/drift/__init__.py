"""How far the rows of a window are from a version's training data, and when that is an alarm."""
