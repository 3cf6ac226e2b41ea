"""Running the service: uvicorn, its workers, and what they share.

What belongs here: how the server is started. What does not: the application (``app``), which its workers import.
"""

import os
import shutil
import signal
import ssl
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from readmission_platform.config.environment import Settings
from readmission_platform.config.files import serving_config
from readmission_platform.foundation.errors import BadInput, Unavailable
from readmission_platform.storage.home import has_pseudonym_key

# What the workers are told: which models, whether each request has a line in the log, and the folder in which they keep
# their counts, which prometheus_client has to find when it is imported.
MODELS, REQUEST_LOG, SHARED = "READMISSION_SERVED_MODELS", "READMISSION_SERVED_LOG", "PROMETHEUS_MULTIPROC_DIR"
_APP = "readmission_platform.serving.http.app:app_of_process"
_PROTOCOL = "readmission_platform.serving.http.connection:ImpatientProtocol"
_KEEP_ALIVE_SECONDS = 30


@dataclass(frozen=True)
class Address:
    """Where to listen; with certificate and key over TLS."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None

    @property
    def url(self) -> str:
        """The address for clients."""
        here = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - of all addresses, one
        host = f"[{here}]" if ":" in here and not here.startswith("[") else here
        return f"http{'s' if self.certificate else ''}://{host}:{self.port}"


def check_startable(settings: Settings) -> None:
    """Make sure that workers can start, so that what is wrong is said once, in a line.

    Raises
    ------
    ConfigurationError
        When ``serving.yaml`` is wrong.
    Unavailable
        When the secret that pseudonyms are keyed with is not there: with a new one, nobody's past would be found.
    """
    serving_config(settings)
    if not has_pseudonym_key(settings):
        raise Unavailable(f"the key of the pseudonyms is not in {settings.keys}: restore it from a backup (a new home "
                          "has one once data were read: `readmission run` or `train`)")  # fmt: skip


def check_certificate(certificate: Path, key: Path) -> None:
    """Make sure that a certificate and its key can be used; raises ``BadInput`` where they cannot."""

    def asked() -> str:
        raise ValueError("it is encrypted: give one without a pass phrase")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=asked)
    except (ssl.SSLError, OSError, ValueError) as error:
        why = getattr(error, "reason", None) or str(error)
        raise BadInput(f"the certificate and its key cannot be used ({why})") from error


def serve(settings: Settings, address: Address, *, models: Sequence[str], workers: int, request_log: bool) -> None:
    """Serve until told to stop (SIGTERM, SIGINT): then requests in hand are answered, and no new ones taken.

    A worker that dies is replaced, where there are several.
    """
    import uvicorn

    config = serving_config(settings)
    shared = tempfile.mkdtemp(prefix="readmission-serving-")
    # One row is not worth a second thread, and threads that wait for work slow each other down.
    os.environ |= {
        SHARED: shared,
        MODELS: ",".join(models),
        REQUEST_LOG: "1" if request_log else "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # What reading the tables needed is given back to the machine.
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }
    # uvicorn sends itself again the signal that ended it, once everything is answered.
    for wanted in (signal.SIGINT, signal.SIGTERM):
        signal.signal(wanted, lambda *_: sys.exit(0))
    try:
        uvicorn.run(
            _APP,
            factory=True,
            host=address.host,
            port=address.port,
            workers=workers,
            http=_PROTOCOL,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=config.connections,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=config.drain_seconds,
            ssl_certfile=address.certificate,
            ssl_keyfile=address.key,
        )
    finally:
        shutil.rmtree(shared, ignore_errors=True)
