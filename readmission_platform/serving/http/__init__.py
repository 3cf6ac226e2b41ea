"""HTTP: between the bytes of a request and those of its answer.

What belongs here: connections, limits, routes, bodies, errors and their documentation. What does not: which version
answers, and how (the modules above).
"""
