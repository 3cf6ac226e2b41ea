"""Other servers of the same model, to hold the service against: MLflow's, BentoML's, and a plain one on the pipeline.

What belongs here: starting each on the artifact of a version, and how it is asked for a row. What does not: measuring.

Each of them scores inputs whose history is worked out already, which the service does itself, and gives no reasons.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

# A plain service on the pipeline: what is written in an afternoon.
PLAIN = """
import os
import pandas as pd
from fastapi import FastAPI, Request
from readmission_platform.models.{package}.estimator import {estimator} as Estimator

estimator = Estimator()
model = estimator.load(open(os.environ["ARTIFACT"], "rb").read())
app = FastAPI()

@app.post("/score")
async def score(request: Request):
    inputs = pd.DataFrame((await request.json())["rows"])
    return {{"risk": estimator.score(model, inputs).tolist()}}
"""
BENTO = """
import os
import bentoml
import pandas as pd
from readmission_platform.models.{package}.estimator import {estimator} as Estimator

@bentoml.service(workers=1, traffic={{"timeout": 60, "concurrency": 256}})
class Readmission:
    def __init__(self) -> None:
        self.estimator = Estimator()
        self.model = self.estimator.load(open(os.environ["ARTIFACT"], "rb").read())

    @bentoml.api
    def score(self, rows: list) -> dict:
        return {{"risk": self.estimator.score(self.model, pd.DataFrame(rows)).tolist()}}
"""


@dataclass(frozen=True)
class Peer:
    """A server: how it is started, where it is asked, and the body for some inputs."""

    name: str
    command: Sequence[str]
    path: str
    environment: dict[str, str]
    folder: Path

    def bodies(self, inputs: pd.DataFrame) -> list[dict[str, Any]]:
        """Return the body of a request for each row."""
        records = json_records(inputs)
        if self.name == "MLflow":
            columns = list(inputs.columns)
            return [{"dataframe_split": {"columns": columns, "data": [[row[name] for name in columns]]}}
                    for row in records]  # fmt: skip
        return [{"rows": [row]} for row in records]


def json_records(inputs: pd.DataFrame) -> list[dict[str, Any]]:
    """Return inputs as JSON would have them: None where a value is missing."""
    return inputs.astype(object).where(inputs.notna(), None).to_dict("records")


def peers(artifact: Path, *, port: int, bento: Path | None, package: str, estimator: str) -> list[Peer]:
    """Return the servers that can be started here.

    Parameters
    ----------
    artifact
        The stored model; MLflow's description lies beside it.
    bento
        Python of an environment with BentoML; left out without one.
    """
    folder = Path(tempfile.mkdtemp(prefix="peers-"))
    for name, text in (("plain_peer", PLAIN), ("bento_peer", BENTO)):
        (folder / f"{name}.py").write_text(text.format(package=package, estimator=estimator), encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parents[2])]),
        "ARTIFACT": str(artifact),
        "OMP_NUM_THREADS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "BENTOML_DO_NOT_TRACK": "true",
    }
    python, at = sys.executable, ["--port", str(port)]
    plain = [python, "-m", "uvicorn", "plain_peer:app", "--no-access-log", *at]
    mlflow = [python, "-m", "mlflow", "models", "serve", "-m", str(artifact.parent), "--env-manager", "local",
              "--workers", "1", *at]  # fmt: skip
    found = [
        Peer("plain FastAPI", plain, "/score", environment, folder),
        Peer("MLflow", mlflow, "/invocations", environment, folder),
    ]
    if bento is not None:
        found.append(Peer("BentoML", [str(bento), "-m", "bentoml", "serve", "bento_peer:Readmission", *at], "/score",
                          environment, folder))  # fmt: skip
    return found


def bento_environment(folder: Path) -> Path:
    """Make an environment with BentoML that sees the packages of this one; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "bentoml"], check=True)
    own = next((folder / "lib").glob("python3.*")) / "site-packages"
    ours = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    (own / "platform.pth").write_text(f"{ours}\n", encoding="utf-8")
    return python
