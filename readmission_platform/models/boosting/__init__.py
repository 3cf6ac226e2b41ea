"""Gradient boosting with recalibration, and what follows from it: shared by the models that are made this way.

What belongs here: everything about such models that does not know the columns of one. What does not: any model.
"""
