"""The file ``serving.yaml``: how much the service takes on at once, and how long it waits.

What belongs here: the shape of the file. What does not: addresses, certificates and tokens, which belong to the machine
that the service runs on.
"""

from pydantic import Field

from readmission_platform.foundation.values import Frozen


class ServingConfig(Frozen):
    """Limits of the service; each holds for one worker."""

    most_body_bytes: int = Field(ge=1024, description="Larger requests are refused (413).")
    most_rows: int = Field(ge=1, description="More rows in one request are refused (422).")
    most_depth: int = Field(ge=4, description="JSON nested deeper is refused (400).")
    header_seconds: float = Field(gt=0, description="A client that takes longer to send its headers is let go.")
    body_seconds: float = Field(gt=0, description="The same for the body (408).")
    answer_seconds: float = Field(gt=0, description="A request that takes longer to answer is given up (503).")
    requests_at_once: int = Field(ge=1, description="In hand; what comes on top is told to come later (429).")
    answers_at_once: int = Field(ge=1, description="Of these, what is answered; the others wait for their turn.")
    retry_after_seconds: int = Field(ge=1, description="How much later that is.")
    connections: int = Field(ge=1, description="Open connections at most; further ones are refused (503).")
    look_seconds: float = Field(gt=0, description="Between two looks at the ledger and the tables.")
    stale_seconds: float = Field(gt=0, description="Without a look for so long, the service says that it is behind.")
    drain_seconds: int = Field(ge=1, description="For requests in hand when the service is told to stop.")
    journal_bytes: int = Field(
        ge=1_000_000, description="Answers not yet in the prediction log; what does not fit is counted and dropped."
    )
    journal_seconds: float = Field(gt=0, description="Between two commits to the prediction log.")
