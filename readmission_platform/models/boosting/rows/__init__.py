"""Scoring rows one at a time with a boosting: compiled models, and answers with the bits of the batch.

What belongs here: what such models share: the stored form, trees, reasons and withholding of a single row, without data
frames and scikit-learn. What does not: the inputs and encoding of a model, which its package adds.
"""
