"""Dagster's daemon, told where to begin in a home that it has not seen.

What belongs here: what the daemon needs to know before its first tick. What does not: starting the servers
(``servers``), and what its sensors and schedules do.

Run it as ``python -m readmission_platform.daemon`` with the options of ``dagster-daemon``.
"""

import dagster as dg


def begin_with_newest(instance: dg.DagsterInstance) -> None:
    """Have the daemon retry only runs that fail from now on.

    That is what it does of its own accord where it finds no cursor, with a warning that reads as if events were lost.
    """
    from dagster._daemon.auto_run_reexecution.event_log_consumer import DAGSTER_EVENT_TYPES, _create_cursor_key

    keys = {_create_cursor_key(event_type) for event_type in DAGSTER_EVENT_TYPES}
    missing = keys - set(instance.daemon_cursor_storage.get_cursor_values(keys))
    if missing:
        newest = instance.event_log_storage.get_maximum_record_id() or 0
        instance.daemon_cursor_storage.set_cursor_values(dict.fromkeys(missing, str(newest)))


def main() -> None:
    """Run Dagster's daemon with the options of its own command."""
    from dagster._daemon.cli import main as run_daemon

    with dg.DagsterInstance.get() as instance:
        begin_with_newest(instance)
    run_daemon()


if __name__ == "__main__":
    main()
