"""Other processes for tests, forked from a server that has everything imported already: a fresh one costs seconds.

There is one server for all, because the list of what it imports belongs to the process: of two lists the later counts.
"""

import multiprocessing

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(
    [
        "readmission_platform.cli",
        "readmission_platform.launcher",
        "readmission_platform.intake.rows",
        "readmission_platform.models.readmission_30d.scoring",
        "readmission_platform.evaluation.estimates.evidence",
        "readmission_platform_tests.support.home_rounds",
        "readmission_platform_tests.support.hostile_dossiers",
        "readmission_platform_tests.support.ledger_rounds",
        "readmission_platform_tests.support.racers",
        "readmission_platform_tests.support.vandalism",
        "readmission_platform_tests.support.homes",
        "dagster._daemon.daemon",
        "deltalake",
        "hypothesis.extra.pandas",
        "mlflow.store.model_registry.sqlalchemy_store",
        "mlflow.store.tracking.sqlalchemy_store",
        "opentelemetry.sdk.metrics",
        "pandera.backends.pandas",
        "pandera.pandas",
        "pyarrow.dataset",
        "pyarrow.parquet",
        "skops.io",
        "upath.implementations.local",
    ]
)
