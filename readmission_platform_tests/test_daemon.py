"""Dagster's daemon, as `readmission dev` starts it."""

import logging

import dagster as dg
import pytest
from dagster._daemon.auto_run_reexecution.event_log_consumer import DAGSTER_EVENT_TYPES, _fetch_persisted_cursors

from readmission_platform.daemon import begin_with_newest


@dg.job
def nothing_to_do():
    pass


def cursors(instance: dg.DagsterInstance) -> set[int | None]:
    return set(_fetch_persisted_cursors(instance, DAGSTER_EVENT_TYPES, logging.getLogger("dagster.daemon")).values())


def test_in_a_new_home_the_daemon_begins_with_the_newest_event_and_warns_of_nothing(caplog: pytest.LogCaptureFixture):
    instance = dg.DagsterInstance.ephemeral()
    nothing_to_do.execute_in_process(instance=instance)
    newest = instance.event_log_storage.get_maximum_record_id()
    begin_with_newest(instance)
    assert cursors(instance) == {newest}
    assert not caplog.records


def test_in_a_home_that_it_has_seen_the_daemon_goes_on_where_it_stopped():
    instance = dg.DagsterInstance.ephemeral()
    begin_with_newest(instance)
    before = cursors(instance)
    nothing_to_do.execute_in_process(instance=instance)
    begin_with_newest(instance)
    assert cursors(instance) == before
