"""The data scientists' rooms, one package per model, each behind the same contract."""
