"""``readmission rollout manifests``: by the ledger of a home, into a folder or onto the screen."""

from pathlib import Path

import pytest
import yaml

from readmission_platform_tests.support.cluster_shapes import SHAPES
from readmission_platform_tests.support.cluster_sites import IMAGE
from readmission_platform_tests.support.homes import Home

COMMAND = ("rollout", "manifests", "--image", IMAGE)


@pytest.mark.parametrize("flavour", ["kubernetes", "kserve", "ray"])
def test_what_a_dry_run_prints_is_what_is_written(lived_home: Home, tmp_path: Path, flavour: str) -> None:
    printed = lived_home.command(*COMMAND, "--flavour", flavour, "--dry-run")
    written = lived_home.command(*COMMAND, "--flavour", flavour, "--out", str(tmp_path / "out"))
    assert (printed.code, written.code) == (0, 0)
    files = [yaml.safe_load(path.read_text()) for path in sorted((tmp_path / "out").iterdir())]
    manifests = list(yaml.safe_load_all(printed.out))
    assert sorted(map(str, manifests)) == sorted(map(str, files))
    assert {each["kind"] for each in manifests} & set(SHAPES)
    assert ("version 1 100 % of the requests" in written.out) is (flavour != "ray")
    assert "version 1" in written.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--flavour", "helm", "--dry-run"), "--flavour is one of kubernetes, kserve, ray"),
        ((), "give a folder with --out"),
        (("--image", "readmission:latest", "--dry-run"), "--image cannot be used: name the image with its digest"),
        (("--name", "A Name", "--dry-run"), "--name cannot be used: a name has 1 to 40 small letters"),
        (("--namespace", "Mine", "--dry-run"), "--namespace cannot be used: a name has 1 to 40 small letters"),
        (("--hostname", "https://x", "--dry-run"), "--hostname cannot be used: a name such as scoring.example.org"),
        (("--gateway", "nope", "--dry-run"), "--gateway is NAMESPACE/NAME"),
        (("--gateway", "/nope", "--dry-run"), "--gateway is NAMESPACE/NAME"),
        (("--gateway", "a/b/c", "--dry-run"), "--gateway cannot be used"),
        (("--gateway", "a/B", "--dry-run"), "--gateway cannot be used"),
        (("--home-claim", "", "--dry-run"), "--home-claim cannot be used"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(lived_home: Home, options: tuple[str, ...], said: str) -> None:
    ended = lived_home.command(*COMMAND, *options)
    assert ended.code == 2
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert ended.out == ""


def test_a_folder_with_something_else_is_left_alone(lived_home: Home, tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("mine: 1")
    ended = lived_home.command(*COMMAND, "--out", str(tmp_path))
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine: 1"]


def test_nothing_is_made_before_a_version_is_in_production(trained_home: Home) -> None:
    ended = trained_home.command(*COMMAND, "--dry-run")
    assert ended.code == 3
    assert "promote one first" in ended.err
