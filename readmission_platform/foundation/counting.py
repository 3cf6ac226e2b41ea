"""Saying how many, in words that agree with the number.

What belongs here: that. What does not: counts of people, of which few are hidden (``evaluation.disclosure``).
"""


def counted(number: int, one: str, many: str | None = None) -> str:
    """Say how many: "0 files", "1 file", "1,203 files", "2 entries"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
