"""The application for Ray Serve: each replica is a worker of the service.

What belongs here: what Ray imports. What does not: the application (``app``) and its cluster
(``operations.manifests``).

Only imported by Ray, which the platform does not install.
"""

from ray import serve

from readmission_platform.serving.app import app_of_process


class Scoring:
    """Answers as a worker does; Ray says how many there are."""


app = serve.deployment(serve.ingress(app_of_process)(Scoring)).bind()
