"""Readmission within 30 days of discharge: features, model, explanations, and the scores it has to beat."""
