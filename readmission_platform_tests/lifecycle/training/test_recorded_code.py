"""The code of a recorded commit: brought back from git and really run, or refused with what to do instead."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform.foundation.errors import BadInput
from readmission_platform.lifecycle.training.rebuilding import rebuild
from readmission_platform.lifecycle.training.recorded_code import RebuildFailed, is_running, rebuild_with, sources_of
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.storage.skops_content import content_digest
from readmission_platform_tests.support.small_study import OVERCONFIDENT, SmallStudy, make_small_study

SETTINGS = {"boosting": {**OVERCONFIDENT, "max_iter": 5}, "target_smoothing": 50.0}
PACKAGE = "readmission_platform.models.readmission_30d"
MODEL = "readmission_platform/models/boosting/recalibrated.py"


def nobody_listens(line: str) -> None:
    """Take no notice of progress."""


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A repository with the sources of today, a commit in which every risk is halved, and one that cannot be used."""
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(PROJECT_ROOT / "readmission_platform", folder / "readmission_platform",
                    ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
    shutil.copytree(PROJECT_ROOT / "configs", folder / "configs")
    git(folder, "init", "--quiet")
    model = (folder / MODEL).read_text()
    commits = []
    for change in (
        "\n_whole = score\n\n\ndef score(model, inputs):\n    return _whole(model, inputs) / 2\n",
        "\nunknown_name\n",
    ):
        (folder / MODEL).write_text(model + change)
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "--message", "a change")
        commits.append(git(folder, "rev-parse", "HEAD"))
    (folder / MODEL).write_text(model)
    return folder, commits[0], commits[1]


@pytest.fixture(scope="module")
def study() -> SmallStudy:
    return make_small_study(encounters=3000, seed=11)


@pytest.fixture(scope="module")
def features(study: SmallStudy) -> pd.DataFrame:
    return study.inputs.assign(readmitted_30d=study.labels, entity_key=study.development["entity_key"])


@pytest.fixture(scope="module")
def stored(study: SmallStudy) -> bytes:
    from skops.io import dumps

    return dumps(study.fitted.model)


def test_the_recorded_commit_is_what_is_run_whatever_the_checkout_holds_now(
    repository: tuple[Path, str, str], study: SmallStudy, features: pd.DataFrame, stored: bytes, tmp_path: Path
):
    folder, halving, _ = repository
    told: list[str] = []
    (tmp_path / "code").mkdir()
    sources = sources_of(halving, tmp_path / "code", repository=folder)
    recorded = rebuild_with(sources, PACKAGE, features, study.folds, stored, settings=SETTINGS, seed=3,
                            progress=told.append, folder=tmp_path)  # fmt: skip
    running = rebuild(PACKAGE, features, study.folds, stored, settings=SETTINGS, seed=3, progress=nobody_listens)
    assert np.array_equal(recorded.scores, running.scores)
    assert np.array_equal(recorded.test_scores, running.test_scores / 2)
    assert np.array_equal(recorded.stored_scores, running.stored_scores / 2)
    assert content_digest(recorded.model) == content_digest(running.model)
    assert told[-1] == "fold 5 of 5 fitted"
    assert git(folder, "worktree", "list").count("\n") == 0, "the repository was written to"


def test_recorded_code_that_cannot_be_run_is_told_by_the_kind_of_error_alone(
    repository: tuple[Path, str, str], study: SmallStudy, features: pd.DataFrame, stored: bytes, tmp_path: Path
):
    sources = sources_of(repository[2], tmp_path, repository=repository[0])
    with pytest.raises(RebuildFailed, match=r"NameError$"):
        rebuild_with(sources, PACKAGE, features, study.folds, stored, settings=SETTINGS, seed=3,
                     progress=nobody_listens, folder=tmp_path)  # fmt: skip


@pytest.mark.parametrize(
    ("recorded", "reason"),
    [
        (None, "not recorded"),
        ("0" * 40 + "-dirty", "uncommitted changes"),
        ("1.0+0123456789ab", "not a commit"),
        ("0" * 40, "does not have"),
    ],
)
def test_code_that_cannot_be_had_again_is_refused_with_what_to_do(
    repository: tuple[Path, str, str], tmp_path: Path, recorded: str | None, reason: str
):
    with pytest.raises(BadInput, match=reason) as refused:
        sources_of(recorded, tmp_path, repository=repository[0])
    assert "--with-this-code" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_only_committed_code_of_the_same_name_is_surely_the_running_one():
    assert is_running("a" * 40, "a" * 40)
    assert not is_running("a" * 40 + "-dirty", "a" * 40 + "-dirty")
    assert not is_running("a" * 40, "b" * 40)
    assert not is_running(None, "a" * 40)


def test_the_content_of_a_model_file_does_not_depend_on_when_and_where_it_was_packed(study: SmallStudy, stored: bytes):
    from skops.io import dumps, loads

    again = dumps(loads(stored, trusted=list(CONTRACT.estimator.artifact.trusted_types)))
    assert hashlib.sha256(again).digest() != hashlib.sha256(stored).digest()
    assert content_digest(again) == content_digest(stored)


def test_a_model_that_differs_in_one_number_has_other_content(study: SmallStudy, stored: bytes):
    from skops.io import dumps, loads

    other = loads(stored, trusted=list(CONTRACT.estimator.artifact.trusted_types))
    other.slope += 1e-12
    assert content_digest(dumps(other)) != content_digest(stored)
