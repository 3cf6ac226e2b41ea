"""The service as one object: models that are followed, what answers for each, who may ask, what is counted.

What belongs here: putting these together, starting and ending them. What does not: HTTP (``app``, ``routes``).
"""

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from readmission_platform.config.environment import Settings
from readmission_platform.config.files import serving_config
from readmission_platform.config.serving import ServingConfig
from readmission_platform.lifecycle.workspace import Platform
from readmission_platform.serving.answering import FAILED, REFUSED, Answer, Answering
from readmission_platform.serving.following import Follower, Following, Snapshot
from readmission_platform.serving.journal import Journal, Shipper
from readmission_platform.serving.metrics import Metrics
from readmission_platform.serving.problems import Problem
from readmission_platform.serving.tokens import Tokens, tokens_file


@dataclass
class ServedModel:
    """A model that answers: who follows it, who answers, and where its answers are kept."""

    follower: Follower
    answering: Answering
    journal: Journal
    counted: str | None = None

    def snapshot(self) -> Snapshot:
        """Return what to answer by now; raises ``Problem`` where no version is ready."""
        found = self.follower.snapshot
        if found is None:
            raise Problem(503, "not_ready", "no version is ready to answer; /readyz says why", {"retry-after": "10"})
        return found


class Service:
    """All that one worker needs to answer for some models.

    Parameters
    ----------
    models
        Names; all models in use without any.

    Raises
    ------
    ConfigurationError
        When there is no such model, or it is broken.
    """

    def __init__(self, settings: Settings, models: Sequence[str] = ()) -> None:
        platform = Platform(settings)
        self.config: ServingConfig = serving_config(settings)
        self.metrics = Metrics()
        self.tokens = Tokens(tokens_file(settings))
        names = list(models) or [workspace.name for workspace in platform.workspaces]
        self.following = Following(platform, names, self.config)
        self.models: Mapping[str, ServedModel] = {
            name: ServedModel(
                follower,
                Answering(follower.workspace),
                Journal(settings.serving / name, most_bytes=self.config.journal_bytes),
            )
            for name, follower in self.following.followers.items()
        }
        folders: Mapping[Path, Any] = {
            settings.serving / name: (served.journal, served.follower.workspace.lake)
            for name, served in self.models.items()
        }
        self.shipper = Shipper(folders, every_seconds=self.config.journal_seconds)
        self.draining = False

    def start(self) -> None:
        """Begin to follow the ledger and to ship answers; returns when every model was looked at once."""
        self.tokens.refresh()
        for follower in self.following.followers.values():
            follower.look()
        self._after_look()
        self.following.after.append(self._after_look)
        # What is loaded stays: the collector need not walk through it again and again.
        gc.collect()
        gc.freeze()
        self.following.start()
        self.shipper.start()

    def stop(self) -> None:
        """End: the last answers are shipped."""
        self.draining = True
        self.following.stop()
        self.shipper.stop()

    def model(self, name: str) -> ServedModel:
        """Return a model that is served; raises ``Problem`` (404) when there is none of that name."""
        found = self.models.get(name)
        if found is None:
            raise Problem(404, "no_such_model", f"there is no such model here; there are {', '.join(self.models)}")
        return found

    def state(self) -> dict[str, Any]:
        """Return whether the service is ready, and how each model stands."""
        models = {}
        for name, served in self.models.items():
            snapshot, standing = served.follower.snapshot, served.follower.standing()
            behind = standing.problem is not None or (standing.seconds or 0) > self.config.stale_seconds
            models[name] = {
                "ready": snapshot is not None,
                "version": snapshot.production if snapshot else None,
                "seconds_since_look": None if standing.seconds is None else round(standing.seconds, 1),
                "behind": behind,
                "problem": standing.problem,
            }
        ready = not self.draining and all(each["ready"] for each in models.values())
        problems = [problem for problem in (self.tokens.problem, self.shipper.problem) if problem]
        return {"ready": ready, "draining": self.draining, "models": models, "problems": problems}

    def count(self, name: str, answer: Answer, lines: Sequence[Mapping[str, Any]]) -> None:
        """Count what became of a row."""
        if answer.status == REFUSED:
            self.metrics.count_row(name, "", REFUSED)
        for line in lines:
            fate = FAILED if line["status"] == FAILED else "answered"
            self.metrics.count_row(name, line["model_version"], fate)
            self.metrics.row_seconds.labels(name).observe(line["latency_ms"] / 1000)

    def _after_look(self) -> None:
        self.tokens.refresh()
        self.metrics.ready.set(self.state()["ready"])
        for name, served in self.models.items():
            snapshot = served.follower.snapshot
            self.metrics.last_look.labels(name).set(served.follower.last_look)
            for fate in ("written", "dropped"):
                self.metrics.journal.labels(name, fate).set(getattr(served.journal, fate))
            if snapshot is not None and snapshot.production != served.counted:
                if served.counted is not None:
                    self.metrics.switches.labels(name).inc()
                served.counted = snapshot.production
