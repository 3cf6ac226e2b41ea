"""Promises of the data part: the cohort, what is delivered, inputs, subgroups and baselines.

What belongs here: shapes, names and order. What does not: what is known when (``history``).
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from readmission_platform.models.conformance.subject import REPLAY_SHARE, Subject, differing

Promise = tuple[str, str | None]
_OTHER_KEY = b"another key that is only used to try a model"


def promises(subject: Subject) -> Iterator[Promise]:
    """Yield each promise with what is wrong, or None."""
    yield "the cohort has the promised columns", _columns(subject)
    yield "pseudonyms hide the entities", _visible_entities(subject)
    yield "the cohort is in the order of time, with the latest rows for replay", _disorder(subject)
    yield "the flow from the source adds up", _flow(subject)
    yield "who is not scored is not studied", _excluded(subject)
    yield "rows are delivered as the feed says", _delivery(subject)
    yield "inputs are those of the contract, one row each, in order", _inputs(subject)
    yield "a row may miss whatever the feed allows", _missing(subject)
    yield "the outcome can be forgotten", _remembered(subject)
    yield "subgroups fit the evidence schema", _subgroups(subject)
    yield "baselines fit the evidence schema", _baselines(subject)


def _columns(subject: Subject) -> str | None:
    contract, found = subject.contract, set(subject.cohort.columns)
    carried = {name for name in contract.feed.columns if name != contract.feed.entity}
    promised = carried | {"entity_key", "clock", "part", contract.outcome, *contract.data.source_columns}
    if promised - found:
        return f"missing: {', '.join(sorted(promised - found))}"
    if not set(subject.cohort[contract.outcome].unique()) <= {0, 1}:
        return "an outcome is neither 0 nor 1"
    return f"not promised: {', '.join(sorted(found - promised))}" if found - promised else None


def _visible_entities(subject: Subject) -> str | None:
    contract, cohort = subject.contract, subject.cohort
    entity = subject.raw.set_index(contract.row)[contract.feed.entity].loc[cohort[contract.row]]
    pseudonym = pd.Series(cohort["entity_key"].to_numpy(), index=entity.index)
    if not pseudonym.astype(str).str.fullmatch("[0-9a-f]{32}").all():
        return "entity_key holds something other than 32 hexadecimal digits"
    if (pd.factorize(entity)[0] != pd.factorize(pseudonym)[0]).any():
        return "entities and pseudonyms are not one to one"
    ids = entity.astype(str).to_numpy()
    beside = [str(name) for name in cohort if name != "entity_key"]
    plain = [name for name in beside if (cohort[name].astype(str).to_numpy() == ids).all()]
    if plain:
        return f"the entity itself stands in {', '.join(plain)}"
    others = contract.data.cohort(subject.raw, key=_OTHER_KEY, replay_share=REPLAY_SHARE)["entity_key"]
    return "another key gives the same pseudonyms" if set(others) & set(pseudonym) else None


def _disorder(subject: Subject) -> str | None:
    cohort = subject.cohort
    clock, replay = cohort["clock"].to_numpy(), (cohort["part"] == "replay").to_numpy()
    if not (np.diff(clock) >= 0).all() or clock.min() < 0 or clock.max() >= 1:
        return "clock does not rise from 0 to below 1"
    if not set(cohort["part"].unique()) <= {"development", "replay"}:
        return "part is neither development nor replay"
    if (np.diff(replay.astype(int)) < 0).any():
        return "a development row comes after a replay row"
    return None if replay.sum() == int(len(cohort) * REPLAY_SHARE) else "the replay part is not the share asked for"


def _flow(subject: Subject) -> str | None:
    flow = subject.contract.data.flow(subject.raw, subject.cohort)
    steps, eligible = list(flow), next((step for step in flow if step.startswith("eligible")), None)
    if flow[steps[0]] != len(subject.raw) or eligible is None:
        return "it has to begin with the source's rows, and to have a step that begins with 'eligible'"
    excluded, added, *parts = (
        sum(count for step, count in flow.items() if step.startswith(beginning))
        for beginning in ("excluded", "added", "development", "replay")
    )
    if flow[steps[0]] - excluded + added != flow[eligible]:
        return "source, excluded and added rows do not add up to the eligible ones"
    if sum(parts) != flow[eligible]:
        return "development and replay do not add up to the eligible rows"
    return None if flow[eligible] == len(subject.cohort) else "the eligible rows are not those of the cohort"


def _excluded(subject: Subject) -> str | None:
    contract = subject.contract
    rows = subject.presented(subject.cohort)
    codes = [excluded.code for excluded in contract.feed.excluded if excluded.rows(rows).any()]
    return f"the cohort holds rows that are excluded when delivered: {', '.join(codes)}" if codes else None


def _delivery(subject: Subject) -> str | None:
    contract = subject.contract
    delivered = contract.data.as_delivered(subject.raw)
    if list(delivered.columns) != [*contract.feed.columns, contract.outcome]:
        return "the columns are not those of the feed and then the outcome"
    if not delivered[contract.row].equals(subject.raw[contract.row]):
        return "the rows are others than the raw ones, or in another order"
    outcome = delivered.set_index(contract.row)[contract.outcome]
    if (outcome.loc[subject.cohort[contract.row]].to_numpy() != subject.cohort[contract.outcome].to_numpy()).any():
        return "an outcome is another than in the cohort"
    broken = contract.feed.broken_rules(delivered[list(contract.feed.columns)])
    return f"broken rules in {', '.join(sorted(set(broken['column'])))}" if len(broken) else None


def _inputs(subject: Subject) -> str | None:
    inputs, rows = subject.inputs, subject.development
    if tuple(inputs.columns) != subject.contract.inputs:
        return "the columns are not those of the contract, in its order"
    if not inputs.index.equals(rows.index):
        return "the index is not that of the rows"
    some = rows.sample(frac=0.2, random_state=subject.seed)
    again = subject.contract.data.inputs_of(some, rows.iloc[::-1])
    if not again.index.equals(some.index):
        return "rows come back in another order"
    changed = differing(inputs.loc[some.index], again)
    return f"they depend on the order or number of rows: {', '.join(changed)}" if changed else None


def _missing(subject: Subject) -> str | None:
    contract = subject.contract
    few = subject.presented(subject.development.head(50))
    empty = pd.Series(None, index=few.index, dtype=object)
    nullable = [name for name in contract.feed.columns if name in few and contract.feed.may_miss(name)]
    bare = contract.feed.typed(few.assign(**dict.fromkeys(nullable, empty)))
    inputs = contract.data.inputs_of(bare, subject.known(subject.development))
    risk = contract.estimator.score(subject.fitted.model, inputs)
    contract.estimator.unsound(subject.fitted.model, inputs, risk)
    return None if ((risk > 0) & (risk < 1)).all() else "such a row gets no probability"


def _remembered(subject: Subject) -> str | None:
    contract, rows = subject.contract, subject.development
    which = np.arange(len(rows)) % 2 == 0
    forgotten = contract.data.forget(rows, which)
    told = [contract.outcome, *contract.data.source_columns]
    if forgotten.loc[which, told].notna().any().any():
        return "something that tells it is left"
    if not forgotten.loc[~which, told].equals(rows.loc[~which, told].astype(forgotten[told].dtypes.to_dict())):
        return "it is forgotten of other rows as well"
    changed = differing(forgotten.drop(columns=told), rows.drop(columns=told))
    return f"other columns change: {', '.join(changed)}" if changed else None


def _subgroups(subject: Subject) -> str | None:
    schema = subject.contract.evidence
    groups = subject.contract.data.subgroups(subject.development)
    if list(groups.columns) != [attribute.name for attribute in schema.attributes]:
        return "the columns are not the attributes, in their order"
    # Evidence is kept of inputs, and live performance is judged on rows as they were delivered.
    for kept in (subject.inputs, subject.presented(subject.development)):
        if not subject.contract.data.subgroups(kept).equals(groups):
            return "groups of inputs or of delivered rows are others than those of the cohort"
    for name in groups:
        known = groups[name].dropna()
        if not known.map(lambda value: isinstance(value, str)).all():
            return f"{name} holds something other than text"
        if known.nunique() < 2:
            return f"{name} has no two groups"
    return None


def _baselines(subject: Subject) -> str | None:
    schema, data = subject.contract.evidence, subject.contract.data
    scores = data.baselines(subject.inputs, subject.labels, subject.folds)
    if list(scores.columns) != [baseline.name for baseline in schema.baselines]:
        return "the columns are not the baselines, in their order"
    unfitted = data.baselines(subject.inputs, subject.labels, subject.folds, fitted=False)
    if list(unfitted.columns) != [baseline.name for baseline in schema.baselines if not baseline.fitted]:
        return "without those that are fitted, the others are not all there"
    if not scores.index.equals(subject.inputs.index):
        return "the index is not that of the inputs"
    for baseline in schema.baselines:
        values = scores[baseline.name]
        if values.dtype != "float64" or not np.isfinite(values).all():
            return f"{baseline.name} holds something other than finite numbers"
        if baseline.probability and not values.between(0, 1).all():
            return f"{baseline.name} is said to be a probability and is none"
    return None
