"""Tests of a candidate against a concurrent control arm that may be looked at after every request.

Each test is an *e-process*: a bet against "no worse" that on average wins nothing while that holds. The chance that it
ever reaches ``1 / alpha`` is at most ``alpha``, however often one looks and whenever one stops (Ville 1939; Ramdas et
al. 2023, doi 10.1214/23-STS894). Intervals are what such bets do not rule out, and hold at all looks together.

What belongs here: pure functions on counts and samples. What does not: reading the prediction log, and acting on a
verdict.
"""
