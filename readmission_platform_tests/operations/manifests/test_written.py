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


def test_a_folder_with_something_else_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "old.yaml").write_text("a: 1")
    with pytest.raises(FileExistsError, match="something else"):
        write(texts_of(FLAVOURS["ray"](SITE, ONE)), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "old.yaml"}
