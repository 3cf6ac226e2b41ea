"""The Dagster UI as `readmission dev` starts it: it answers, shows the graph and the runs, and decides nothing."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform_tests.support.homes import BIN, Home
from readmission_platform_tests.test_definitions import ASSETS, JOBS

START_SECONDS = 120
LOCATION = {"repositoryName": "__repository__", "repositoryLocationName": "readmission_platform"}
# The UI lists on a job's page the runs with this tag.
REPOSITORY = {"key": ".dagster/repository", "value": "__repository__@readmission_platform"}

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Server:
    """A running UI, its address and the home it shows."""

    address: str
    home: Home

    def ask(self, query: str, **variables: Any) -> Any:
        found = self.post("/graphql", query=query, variables=variables)
        assert "errors" not in found, found
        return found["data"]

    def post(self, path: str, **content: Any) -> Any:
        body, kind = json.dumps(content).encode(), {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(f"{self.address}{path}", body, kind), timeout=30) as answer:
            return json.load(answer)

    def sensor_tick(self, sensor: str) -> tuple[float, str]:
        """Return when the sensor last looked, and what came of it; 0 while it has not looked yet."""
        query = """query($selector: SensorSelector!) { sensorOrError(sensorSelector: $selector) { ... on Sensor {
            sensorState { ticks(limit: 1) { timestamp status } } } } }"""
        found = self.ask(query, selector={**LOCATION, "sensorName": sensor})["sensorOrError"]
        ticks = found["sensorState"]["ticks"]
        return (ticks[0]["timestamp"], ticks[0]["status"]) if ticks else (0.0, "")


def wait_until_loaded(server: Server, process: subprocess.Popen[str]) -> None:
    query = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, "the server ended"
        try:
            if server.ask(query)["repositoriesOrError"].get("nodes"):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.5)
    pytest.fail(f"the server showed no repository within {START_SECONDS} s")


def living_in(home: Home) -> list[int]:
    """Return the processes that have this home in their environment (Linux)."""
    wanted = f"READMISSION_HOME={home.path}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def stop(process: subprocess.Popen[str], home: Home) -> list[int]:
    """Stop the server as Ctrl-C does, its children with it; return who is left after a while."""
    os.killpg(process.pid, signal.SIGINT)
    until = time.monotonic() + 30
    while time.monotonic() < until and (process.poll() is None or living_in(home)):
        time.sleep(0.2)
    left = living_in(home)
    if process.poll() is None or left:
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        process.kill()
    process.wait()
    return left


@pytest.fixture(scope="module")
def server(blocked_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`readmission dev` on a home with version 1 in production and version 2 rejected; sensors are running."""
    home = blocked_home.copy(tmp_path_factory.mktemp("ui") / "home")
    process = subprocess.Popen(
        [str(BIN / "readmission"), "dev"],
        cwd=PROJECT_ROOT,
        env=home.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    # Somebody has to read what the servers log, or they stop when the pipe is full.
    threading.Thread(target=process.stdout.read, daemon=True).start()
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+", first)
        assert address, first
        running = Server(address.group(), home)
        wait_until_loaded(running, process)
        yield running
    finally:
        left = stop(process, home)
    assert not left, "processes survived Ctrl-C"


def test_the_page_is_served(server: Server):
    with urllib.request.urlopen(f"{server.address}/asset-groups", timeout=30) as page:
        assert b"<html" in page.read().lower()


def test_the_graph_is_shown_with_its_groups(server: Server):
    nodes = server.ask("{ assetNodes { assetKey { path } groupName isMaterializable description } }")["assetNodes"]
    assert {node["assetKey"]["path"][-1]: node["groupName"] for node in nodes} == ASSETS
    assert all(node["isMaterializable"] and node["description"] for node in nodes)


def test_the_jobs_are_shown(server: Server):
    query = """query($selector: RepositorySelector!) {
        repositoryOrError(repositorySelector: $selector) { ... on Repository { jobs { name description } } } }"""
    found = server.ask(query, selector=LOCATION)["repositoryOrError"]["jobs"]
    jobs = {job["name"]: job["description"] for job in found}
    assert set(jobs) >= JOBS
    assert all(jobs[name] for name in JOBS)


@pytest.mark.parametrize(
    ("job", "statuses"),
    [
        ("training_job", ["FAILURE", "SUCCESS"]),
        ("promotion_job", ["SUCCESS", "SUCCESS"]),
        ("scoring_job", ["SUCCESS", "SUCCESS"]),
        ("replay_job", ["SUCCESS"]),
    ],
)
def test_a_jobs_page_lists_the_runs_that_the_command_started(server: Server, job: str, statuses: list[str]):
    query = """query($filter: RunsFilter!) {
        runsOrError(filter: $filter) { ... on Runs { results { runId status } } } }"""
    found = server.ask(query, filter={"pipelineName": job, "tags": [REPOSITORY]})["runsOrError"]["results"]
    assert [run["status"] for run in found] == statuses


def test_the_newest_check_results_are_on_the_report(server: Server):
    query = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
        assetChecksOrError { ... on AssetChecks { checks { name blocking
            executionForLatestMaterialization { status } } } } } } }"""
    found = server.ask(query, key={"path": ["validation_report"]})["assetNodeOrError"]["assetChecksOrError"]["checks"]
    statuses = {check["name"]: check["executionForLatestMaterialization"]["status"] for check in found}
    assert statuses["discrimination_auroc"] == "FAILED"
    assert all(check["blocking"] for check in found)


def test_production_shows_which_version_is_live(server: Server):
    query = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
        assetMaterializations(limit: 1) { tags { key value } } } } }"""
    node = server.ask(query, key={"path": ["production_model"]})["assetNodeOrError"]
    tags = {tag["key"]: tag["value"] for tag in node["assetMaterializations"][0]["tags"]}
    assert tags["model_version"] == "1"


def test_what_can_be_looked_at_in_a_browser_is_drawn(server: Server, tmp_path: Path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium: install Debian's package chromium")
    image = tmp_path / "graph.png"
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1600,1000", "--virtual-time-budget=20000",
        f"--screenshot={image}", f"{server.address}/asset-groups",
    ]  # fmt: skip
    subprocess.run(command, capture_output=True, timeout=180, check=True)
    from PIL import Image

    with Image.open(image) as picture:
        assert picture.size == (1600, 1000)
        colours = picture.convert("RGB").getcolors(maxcolors=1_000_000)
    # An empty page, or one that only says that it is loading, has a few dozen.
    assert colours is not None
    assert len(colours) > 300
    assert image.stat().st_size > 40_000


# Last, because it adds to what the pages above show.
def test_a_forged_passing_check_posted_to_the_server_promotes_nothing(server: Server):
    for gate in ("discrimination_auroc", "other_gates"):
        assert server.post("/report_asset_check/validation_report", check_name=gate, passed=True) == {}
    assert server.post("/report_asset_materialization/production_model", data_version="forged") == {}
    forged = time.time()
    before = server.home.kinds()
    outcome = server.home.command("promote", "--version", "2", "--to-stage", "staging")
    assert outcome.code == 3
    assert "version_accepted" in outcome.err
    until = time.monotonic() + 90  # the sensor looks every 30 s
    while (tick := server.sensor_tick("staging_promotion_sensor"))[0] < forged and time.monotonic() < until:
        time.sleep(1)
    assert tick[0] > forged, "the sensor did not look again"
    assert tick[1] in {"SKIPPED", "STARTED"}
    assert server.home.stages == {"staging": None, "production": "1"}
    assert server.home.kinds() == [*before, "promotion_refused"]
    assert server.home.command("score", "--date", server.home.landed()[0], "--json").json[0]["version"] == "1"


def test_the_server_takes_no_orders_from_other_sites_and_shows_no_variable_of_its_own(server: Server):
    launch = urllib.parse.quote("mutation { launchRun(executionParams: {}) { __typename } }")
    config = {"ops": {"replay_days": {"config": {"days": {"env": "PATH"}}}}}
    body = json.dumps({"query": "{ version }", "variables": {"runConfigData": config}}).encode()
    foreign = {"Content-Type": "application/json", "Origin": "https://evil.example"}
    asked = [
        urllib.request.Request(f"{server.address}/graphql?query={launch}"),
        urllib.request.Request(f"{server.address}/graphql", data=b'{"query": "{ version }"}', headers=foreign),
        urllib.request.Request(f"{server.address}/graphql", data=body, headers={"Content-Type": "application/json"}),
    ]
    refused = []
    for request in asked:
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(request, timeout=30)
        refused.append(raised.value.code)
        assert os.environ["PATH"] not in raised.value.read().decode()
    assert refused == [405, 403, 400]
