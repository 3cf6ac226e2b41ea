"""How one prediction came about: what is said of it at the terminal and on its page.

What belongs here: the words of a trace, and how its page looks. What does not: following a prediction back
(``lifecycle.days.tracing``), and putting the page in its place (``lifecycle.pages``). A page is written when somebody
asks for it, never in advance: it is about one person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from readmission_platform.evaluation.words import Words
from readmission_platform.foundation.counting import percent

if TYPE_CHECKING:
    from jinja2 import Template

FOLDER = "traces"
_TEMPLATE = "trace.html.j2"


@dataclass(frozen=True)
class Trace:
    """A row of a model and what its predictions rest on.

    ``found`` is what ``lifecycle.days.tracing.trace`` returns, ``replays`` what ``rescored`` does of each prediction
    that was scored again, ``answers_again`` what ``served_answers.answered_again`` does of each answer of the service.
    ``delivered`` and ``cohort`` are the names of the tables that it was scored from.
    """

    model: str
    row: int
    words: Words
    delivered: str
    cohort: str
    found: Mapping[str, Any]
    replays: Sequence[Mapping[str, Any]]
    answers_again: Sequence[Mapping[str, Any]]
    simulated: bool
    example: bool
    traced_at: str

    @property
    def days(self) -> list[str]:
        """The days on which it was scored, or was before its day was scored again, or that it was asked about."""
        parts = (self.found[name] for name in ("predictions", "replaced", "answers"))
        return sorted({each["date"] for part in parts for each in part})


def risk_of(prediction: Mapping[str, Any]) -> str:
    """Say which risk was predicted, or why none."""
    if prediction["risk"] is None:
        return f"not scored ({prediction['withheld_because']})"
    return f"risk {percent(prediction['risk'], 1)} ({prediction['band'].replace('_', ' ')}), rank {prediction['rank']}"


def listed_as(prediction: Mapping[str, Any]) -> str:
    """Say where the work list had it, and until when."""
    listed = "to be followed up" if prediction["flagged"] else "not to be followed up"
    if prediction["status"] == "withheld":
        listed = "to be assessed without a risk"
    if prediction["kind"] == "shadow":
        listed = "in shadow mode: seen by nobody"
    if "replaced_at" in prediction:
        listed += f", until {minute(prediction['replaced_at'])}"
    return listed


def answered(answer: Mapping[str, Any]) -> str:
    """Say what the service answered, by which version, and to whom."""
    if answer["status"] == "failed":
        said = f"no answer, it failed ({answer['error']})"
    elif answer["risk"] is None:
        said = f"not scored ({answer['withheld_because']})"
    else:
        said = f"risk {percent(answer['risk'], 1)} ({answer['band'].replace('_', ' ')})"
    seen = {"shadow": ", in shadow mode: seen by nobody", None: ""}.get(answer["arm"], f", arm {answer['arm']}")
    rollout = "" if answer["rollout"] is None else f" of the roll-out of event {answer['rollout']}"
    return (f"{answer['at'][:19].replace('T', ' ')} UTC, version {answer['model_version']}: {said}{seen}{rollout}; "
            f"request {answer['request_id']} of {answer['client']}")  # fmt: skip


def answered_from(answer: Mapping[str, Any], *, delivered: str, cohort: str) -> str:
    """Say from which versions of which tables it was answered."""
    outcomes = "none" if answer["outcomes_version"] is None else f"version {answer['outcomes_version']}"
    return (f"{delivered} version {answer['delivered_version']}, {cohort} version {answer['cohort_version']}, "
            f"outcomes: {outcomes}")  # fmt: skip


def scored_again(again: Mapping[str, Any]) -> str:
    """Say what came of an answer when it was scored again."""
    if again["identical"]:
        return "the same again"
    return f"{'different' if again['identical'] is False else 'not scored again'}: {again['because']}"


def read_from(prediction: Mapping[str, Any], *, delivered: str, cohort: str) -> str:
    """Say from which versions of which tables it was scored."""
    outcomes = "none" if prediction["outcomes_version"] is None else f"version {prediction['outcomes_version']}"
    return (
        f"{delivered} version {prediction['delivered_version']} ({short(prediction['delivered_digest'])}), "
        f"{cohort} version {prediction['cohort_version']}, outcomes: {outcomes}"
    )


def corrected(correction: Mapping[str, Any]) -> str:
    """Say which delivery corrected which, and in which columns."""
    return (f"{correction['date']}: {correction['newer_file']} corrected {correction['differing_columns']} of "
            f"{correction['older_file']}")  # fmt: skip


def rests_on(version: str, found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what the predictions of a version rest on: training, data, code, gates, approvals, by name."""
    record = found["versions"][version]
    training, data = record["training"], record["data"]
    entries = [each["put_into_stage_by"] for each in [*found["predictions"], *found["replaced"]]
               if each["model_version"] == version and each["put_into_stage_by"]]  # fmt: skip
    moves = {entry["event"]: f"event {entry['event']}, {entry['kind'].replace('_', ' ')} by {entry['by']} at "
             f"{entry['at'][:19]}: {entry['reason']}" for entry in entries}  # fmt: skip
    approvals = [f"event {each['event']}, {each['by']} as {each['role']}: {each['reason']}"
                 for each in record["approvals"]]  # fmt: skip
    return [
        ("trained by", f"{training['by']} at {training['at'][:19]}, seed {training['seed']}"),
        ("training runs", f"Dagster {training['dagster_run']}, MLflow {training['mlflow_run']}"),
        ("data", f"{data.get('table')} version {data.get('table_version')}, {data.get('digest')}"),
        ("code", record["code_version"] or "-"),
        ("artifact", record["artifact_digest"] or "-"),
        ("evidence", record["evidence"].get("digest") or "-"),
        ("judged", f"{record['verdict']} under policy {record['policy_digest'] or 'none'}"),
        ("gates", _gates(version, record["gates"])),
        ("put into its stage by", "\n".join(moves.values()) or "-"),
        ("approvals", "\n".join(approvals) or "none"),
    ]


def _gates(version: str, gates: Sequence[Mapping[str, Any]]) -> str:
    named = ((result, [gate["gate"] for gate in gates if gate["result"] == result])
             for result in ("fail", "insufficient"))  # fmt: skip
    passed = sum(gate["result"] == "pass" for gate in gates)
    others = [f"{len(names)} {result} ({', '.join(names)})" for result, names in named if names]
    return ", ".join([f"{passed} pass", *others]) + f"; `readmission gates {version}`"


def short(digest: str | None) -> str:
    """Return the beginning of a digest, by which people tell it from others."""
    return digest.removeprefix("sha256:")[:12] if digest else "-"


def minute(moment: str | None) -> str:
    """Return a moment (ISO 8601) to the minute; without one it is now."""
    return moment[:16].replace("T", " ") if moment else "now"


def trace_html(trace: Trace) -> str:
    """Render the page."""
    return _template().render(
        trace=trace,
        found=trace.found,
        risk_of=risk_of,
        listed_as=listed_as,
        read_from=read_from,
        answered=answered,
        answered_from=answered_from,
        scored_again=scored_again,
        corrected=corrected,
        rests_on=rests_on,
        minute=minute,
    )


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined  # the terminal needs none of it

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8"))
