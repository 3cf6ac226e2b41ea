"""What models of one table share: a model is declared by its columns, and these parts do the rest.

What belongs here: parts of the contract for rows whose inputs are numbers and texts of a list. What does not: any
model.
"""
