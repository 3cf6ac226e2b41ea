"""Assets of a model version: features, training, validation, promotion."""
