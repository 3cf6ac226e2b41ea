"""Making a new model from a table: looking at it, proposing limits, and writing the package.

What belongs here: what ``readmission new-model`` does. What does not: the parts that such models are made of
(``models.tabular``), and running one.
"""
