"""Other processes for tests, forked from a server that has everything imported already: a fresh one costs seconds.

There is one server for all, because the list of what it imports belongs to the process: of two lists the later counts.
What is not there is left out without a word, and imported by each process again.
"""

import multiprocessing

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(
    [
        "readmission_platform.cli",
        "readmission_platform.launcher",
        "readmission_platform.intake.rows",
        "readmission_platform.models.scoring",
        "readmission_platform.models.boosting.contributions",
        "readmission_platform.models.boosting.crossvalidation",
        "readmission_platform.models.boosting.effects",
        "readmission_platform.models.readmission_30d.baseline",
        "readmission_platform.models.readmission_30d.features",
        "readmission_platform.models.readmission_30d.model",
        "readmission_platform.evaluation.estimates.comparison",
        "readmission_platform.evaluation.estimates.evidence",
        "readmission_platform_tests.support.home_rounds",
        "readmission_platform_tests.support.hostile_dossiers",
        "readmission_platform_tests.support.ledger_rounds",
        "readmission_platform_tests.support.racers",
        "readmission_platform_tests.support.vandalism",
        "readmission_platform_tests.support.homes",
        "dagster._core.execution.execute_in_process",
        "dagster._core.executor.in_process",
        "dagster._core.storage.local_compute_log_manager",
        "dagster._core.storage.root",
        "dagster._core.storage.runs",
        "dagster._core.storage.schedules",
        "dagster._core.storage.sqlite_storage",
        "dagster._daemon.daemon",
        "dagster_mlflow",
        "deltalake",
        "git",
        "hypothesis.extra.pandas",
        "matplotlib.backends.backend_agg",
        "matplotlib.figure",
        "mlflow.sklearn",
        "mlflow.store.model_registry.sqlalchemy_store",
        "mlflow.store.model_registry.sqlalchemy_workspace_store",
        "mlflow.store.tracking.sqlalchemy_store",
        "mlflow.store.tracking.sqlalchemy_workspace_store",
        "mlflow.tracing.export",
        "mlflow.tracing.processor",
        "opentelemetry.sdk.metrics",
        "pandera.backends.pandas.register",
        "pandera.pandas",
        "PIL.Image",
        "pyarrow.dataset",
        "pyarrow.parquet",
        "skops.io",
        "upath.implementations.local",
        "watchdog.observers.polling",
    ]
)
