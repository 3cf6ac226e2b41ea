"""From a table to a governed model in production, as an engineer goes it: by the commands of the guide."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform_tests.support.homes import BIN
from readmission_platform_tests.support.tables import appointments, written

pytestmark = pytest.mark.slow

GUIDE = PROJECT_ROOT / "docs" / "GOLDEN_PATH.md"
NAME = "no_show"
TEMPLATE = "readmission_platform/templates/table/readmission_platform/models/{{ name }}/features.py.jinja"


def guided() -> list[list[str]]:
    """The guide's calls of `readmission`, in order, without its name."""
    text = GUIDE.read_text(encoding="utf-8").replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("    readmission ")]


MAKE, RUN, *AFTERWARDS, UPDATE = guided()
ASKED = MAKE[MAKE.index("--target") :]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Checkout:
    """A checkout of this project, as a clone is, with a home of its own."""

    path: Path

    @property
    def package(self) -> Path:
        return self.path / "readmission_platform" / "models" / NAME

    @property
    def configs(self) -> Path:
        return self.path / "configs" / "models" / NAME

    def run(self, *command: str, timeout: float = 600) -> Ended:
        ours = {key: value for key, value in os.environ.items() if not key.startswith(("READMISSION_", "DAGSTER_"))}
        environment = ours | {
            "PYTHONPATH": os.pathsep.join([str(self.path), os.environ.get("PYTHONPATH", "")]),
            "READMISSION_HOME": str(self.path / "var"),
            "READMISSION_ACTOR": "engineer",
        }
        done = subprocess.run(
            command, cwd=self.path, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def readmission(self, *arguments: str) -> Ended:
        return self.run(str(BIN / "readmission"), *arguments)

    def json(self, *arguments: str) -> Any:
        ended = self.readmission(*arguments, "--json")
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=engineer", "-c", "user.email=engineer@example.org")
        ended = self.run("git", *who, *arguments)
        assert ended.code == 0, ended.err
        return ended.out


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """What git has of this project, and what it would take, committed."""
    made = Checkout(tmp_path_factory.mktemp("checkout") / "platform")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT_ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (PROJECT_ROOT / name).is_file():
            (made.path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PROJECT_ROOT / name, made.path / name)
    made.git("init", "-q")
    made.git("add", "-A")
    made.git("commit", "-qm", "the platform")
    return made


@pytest.fixture(scope="module")
def table(checkout: Checkout) -> Path:
    """The table of the guide, where whoever follows it stands; git is told to leave it alone."""
    with (checkout.path / ".git" / "info" / "exclude").open("a", encoding="utf-8") as excluded:
        excluded.write("*.csv\n")
    return written(appointments(4_000), checkout.path / MAKE[MAKE.index("--from") + 1])


@pytest.fixture(scope="module")
def model(checkout: Checkout, table: Path) -> Any:
    """The new model: what the command said of it."""
    return checkout.json(*MAKE)


@pytest.fixture(scope="module")
def lived(model: Any, checkout: Checkout) -> Checkout:
    """The checkout after the model's whole life, as it was generated."""
    ended = checkout.readmission(*RUN)
    assert ended.code == 0, ended.err + ended.out
    return checkout


def test_a_table_that_is_refused_leaves_nothing_behind(checkout: Checkout, tmp_path: Path) -> None:
    leaking = appointments(1_000).assign(billed=lambda frame: (frame["no_show"] == "Came").astype(int))
    ended = checkout.readmission("new-model", "leaking", "--from", str(written(leaking, tmp_path / "t.csv")), *ASKED)
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "billed tells the outcome by itself" in ended.err
    assert checkout.git("status", "--short", "--", "readmission_platform", "configs") == ""


def test_a_model_without_a_cost_center_is_refused(checkout: Checkout, table: Path) -> None:
    ended = checkout.readmission("new-model", "free", "--from", str(table), *ASKED[:-2])
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "--cost-center is needed" in ended.err


@pytest.mark.parametrize(
    ("name", "owner", "code", "said"),
    [
        ("free", "clinics", 2, "--owner: give an e-mail address"),
        ("class", "team:clinics", 2, "no word of Python"),
        ("Free", "team:clinics", 2, "has lower-case letters"),
        ("test", "team:clinics", 4, "is what `make test` does already"),
    ],
)
def test_an_owner_or_a_name_that_cannot_be_is_refused(
    name: str, owner: str, code: int, said: str, checkout: Checkout, table: Path
) -> None:
    keys = ASKED[: ASKED.index("--owner")]
    ended = checkout.readmission(
        "new-model", name, "--from", str(table), *keys, "--owner", owner, "--cost-center", "C1"
    )
    assert (ended.code, ended.err.count("\n")) == (code, 1)
    assert said in ended.err


def test_texts_as_people_write_them_are_read_and_those_of_few_are_not_named(checkout: Checkout, tmp_path: Path) -> None:
    frame = appointments(2_000)
    quoted, rare = 'HNO "Süd", 1; {x}\\', "Huntington clinic"
    odd = frame.assign(
        clinic=frame["clinic"].replace({"ENT": quoted}).mask(frame.index < 5, rare),
        booked_for=frame["booked_for"] + " 08:30:00",
    )
    made = checkout.json("new-model", "odd", "--from", str(written(odd, tmp_path / "odd.csv")), *ASKED)
    python = [name for name in made["files"] if name.endswith(".py")]
    assert checkout.run(str(BIN / "ruff"), "format", "--check", *python).code == 0
    assert not [name for name in made["files"] if "Huntington" in (checkout.path / name).read_text(encoding="utf-8")]
    ended = checkout.run(sys.executable, "-m", "pytest", "-q", "readmission_platform_tests/models/test_odd.py")
    assert ended.code == 0, ended.out[-2000:]
    script = """
import sys
import pandas as pd
from readmission_platform.models.odd.feed import FEED
cells = pd.read_csv(sys.argv[1], dtype=str, keep_default_na=False)[list(FEED.columns)]
print(len(FEED.broken_rules(FEED.parse_text(cells))))
"""
    counted = checkout.run(sys.executable, "-c", script, str(tmp_path / "odd.csv"))
    assert counted.out.strip() == "0", counted.out + counted.err
    assert checkout.readmission("run", "--model", "odd").code in (0, 3)


def test_a_dry_run_writes_nothing(checkout: Checkout, table: Path) -> None:
    found = checkout.json("new-model", "dry", "--from", str(table), *ASKED, "--dry-run")
    assert found["files"] == []
    assert found["left_out"].keys() == {"note", "site"}
    assert not (checkout.path / "configs" / "models" / "dry").exists()


def test_a_package_passes_lint_and_format_as_it_is(model: Any, checkout: Checkout) -> None:
    python = [name for name in model["files"] if name.endswith(".py")]
    assert len(python) == 5
    for checked in (["check"], ["format", "--check"]):
        ended = checkout.run(str(BIN / "ruff"), *checked, *python)
        assert ended.code == 0, ended.out
    ended = checkout.run(str(BIN / "mypy"), *(name for name in python if "tests" not in name))
    assert ended.code == 0, ended.out


def test_its_own_test_passes(model: Any, checkout: Checkout) -> None:
    ended = checkout.run(sys.executable, "-m", "pytest", "-q", f"readmission_platform_tests/models/test_{NAME}.py")
    assert ended.code == 0, ended.out[-2000:]


def test_every_limit_is_marked_as_a_proposal(model: Any, checkout: Checkout) -> None:
    gates = (checkout.configs / "gates.yaml").read_text(encoding="utf-8")
    assert gates.count("why: ") == gates.count('why: "Proposed: ')


@pytest.mark.parametrize("command", AFTERWARDS, ids=" ".join)
def test_the_guides_commands_do_what_it_says(command: list[str], lived: Checkout) -> None:
    ended = lived.readmission(*command)
    assert ended.code == 0, ended.err + ended.out


def test_the_model_goes_from_its_table_into_production(lived: Checkout) -> None:
    status = lived.json("status", "--model", NAME)
    assert status["stages"]["production"]["version"] == "1"
    results = {each["result"] for each in lived.json("gates", "1", "--model", NAME)}
    assert "fail" not in results
    rows = lived.json("worklist", "--model", NAME)
    assert rows
    assert lived.readmission("audit", "verify").code == 0


@pytest.mark.parametrize(
    "command",
    [
        ("verify", "1"),
        ("card", "1"),
        ("review", "1"),
        ("drift", "list"),
        ("timeline",),
        ("policy", "show"),
        ("dossier", "1", "--out", "var/dossier"),
        ("study", "1"),
    ],
    ids=" ".join,
)
def test_it_has_everything_that_a_model_of_this_platform_has(command: tuple[str, ...], lived: Checkout) -> None:
    ended = lived.readmission(*command, "--model", NAME)
    assert ended.code == 0, ended.err + ended.out


def test_a_second_model_of_the_same_name_is_a_conflict(lived: Checkout, table: Path) -> None:
    ended = lived.readmission("new-model", NAME, "--from", str(table), *ASKED)
    assert (ended.code, ended.err.count("\n")) == (4, 1)
    assert "is there already" in ended.err


def test_a_change_made_by_hand_survives_an_update_of_the_template(model: Any, checkout: Checkout) -> None:
    checkout.git("add", "-A")
    checkout.git("commit", "-qm", "a model")
    features, template = checkout.package / "features.py", checkout.path / TEMPLATE
    replaced(features, "    return rows.assign", "    rows = rows.copy()  # ours\n    return rows.assign")
    replaced(template, "inputs of your own.", "your own inputs.")
    checkout.git("commit", "-qam", "our own input, and a newer template")
    assert checkout.json(*UPDATE) == {"model": NAME, "conflicts": []}
    merged = features.read_text(encoding="utf-8")
    assert "# ours" in merged
    assert "your own inputs." in merged
    assert "_src_path: ." in (checkout.configs / "template.yaml").read_text(encoding="utf-8")


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed: make pytorch")
def test_a_network_goes_the_same_way(checkout: Checkout, table: Path) -> None:
    made = checkout.json("new-model", "no_show_network", "--from", str(table), *ASKED, "--template", "pytorch")
    python = [name for name in made["files"] if name.endswith(".py")]
    assert checkout.run(str(BIN / "ruff"), "check", *python).code == 0
    assert checkout.run(str(BIN / "ruff"), "format", "--check", *python).code == 0
    ended = checkout.readmission("run", "--model", "no_show_network")
    assert ended.code == 0, ended.err + ended.out
    status = checkout.json("status", "--model", "no_show_network")
    assert status["stages"]["production"]["version"] == "1"
    assert list((checkout.path / "var" / "mlartifacts").rglob("*.safetensors"))


def replaced(file: Path, old: str, new: str) -> None:
    """Change a file by hand."""
    content = file.read_text(encoding="utf-8")
    assert old in content
    file.write_text(content.replace(old, new), encoding="utf-8")


def test_a_company_can_have_a_template_of_its_own(checkout: Checkout, table: Path, tmp_path: Path) -> None:
    theirs = Checkout(tmp_path / "template")
    shutil.copytree(
        checkout.path / "readmission_platform" / "templates", theirs.path / "readmission_platform/templates"
    )
    shutil.copyfile(checkout.path / "copier.yml", theirs.path / "copier.yml")
    replaced(theirs.path / TEMPLATE, "From rows to inputs", "As our house has it: from rows to inputs")
    theirs.git("init", "-q")
    theirs.git("add", "-A")
    theirs.git("commit", "-qm", "our template")
    checkout.json("new-model", "theirs", "--from", str(table), *ASKED, "--template", str(theirs.path))
    features = checkout.path / "readmission_platform" / "models" / "theirs" / "features.py"
    assert features.read_text(encoding="utf-8").startswith('"""As our house has it')
    ended = checkout.readmission(
        "new-model", "nobodys", "--from", str(table), *ASKED, "--template", str(tmp_path / "no")
    )
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "cannot be rendered" in ended.err


def test_only_a_model_that_was_made_so_is_updated(checkout: Checkout) -> None:
    ended = checkout.readmission("new-model", "readmission_30d", "--update")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "only a model that `readmission new-model` made" in ended.err
