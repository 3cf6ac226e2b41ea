"""The steps of an operation that changes state, told as they are reached.

A debug log shows how far an operation came. Fault tests listen to the same messages to interrupt it there.
"""

import logging

logger = logging.getLogger("readmission.steps")


def reached(step: str) -> None:
    """Tell that a step has been reached; ``step`` reads ``operation: what has just been done``."""
    logger.debug(step)
