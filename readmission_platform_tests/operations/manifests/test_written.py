"""Manifests as files: read back as they were, and nothing of an earlier roll-out left beside them."""

from pathlib import Path

import pytest
import yaml

from readmission_platform.operations.manifests.written import FLAVOURS, as_one_text, texts_of, write
from readmission_platform_tests.support.cluster_sites import ONE, SITE, TWO


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_is_written_is_read_back(flavour: str, tmp_path: Path) -> None:
    manifests = FLAVOURS[flavour](SITE, TWO)
    texts = texts_of(manifests)
    assert [yaml.safe_load(path.read_text()) for path in write(texts, tmp_path / "out")] == manifests
    assert list(yaml.safe_load_all(as_one_text(texts))) == manifests
    assert not [text for text in texts.values() if "&id" in text or "!!" in text]


def test_a_variant_that_is_over_has_no_file_left(tmp_path: Path) -> None:
    for variants in (TWO, ONE):
        write(texts_of(FLAVOURS["kubernetes"](SITE, variants)), tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert "deployment-readmission-30d-v12.yaml" in left
    assert not [name for name in left if "v3" in name]


@pytest.mark.parametrize("name", ["notes.txt", "kustomization.yaml", "rayservice-readmission-30d.yaml"])
def test_what_somebody_else_wrote_is_neither_deleted_nor_replaced(tmp_path: Path, name: str) -> None:
    texts = texts_of(FLAVOURS["ray"](SITE, ONE))
    assert "rayservice-readmission-30d.yaml" in texts
    (tmp_path / name).write_text("a: 1")
    with pytest.raises(FileExistsError, match=f"something else .*: {name}"):
        write(texts, tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "a: 1"}


def test_the_manifests_of_another_service_are_left_alone(tmp_path: Path) -> None:
    first, second = (texts_of(FLAVOURS["ray"](SITE.model_copy(update={"name": name}), ONE)) for name in ("a", "b"))
    write(first, tmp_path)
    with pytest.raises(FileExistsError, match="something else"):
        write(second, tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == first
