"""Typed, frozen settings: the only reader of ``configs/`` and of environment variables.

What belongs here: the shape of every configuration file, and where state lives.
What does not: deciding anything with these values; that is the business of the modules that receive them.
"""
