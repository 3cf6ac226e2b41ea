"""What is recognised in errors that libraries raise."""

import errno

from readmission_platform.foundation.errors import problem_of_disk


def test_a_chain_of_causes_that_leads_back_into_itself_is_looked_through_once():
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert problem_of_disk(one) is None
    other.__cause__ = OSError(errno.ENOSPC, "full")
    assert problem_of_disk(one) == "No space left on device"
