"""Sources: a usable archive or one clear line, and nothing written when it is not."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pandas as pd
import pytest

from readmission_platform.encounters import sources
from readmission_platform.encounters.contract import ENCOUNTERS_WITH_OUTCOME
from readmission_platform.encounters.sources import SYNTHETIC, UCI, UCI_MEMBER
from readmission_platform.encounters.synthetic import generate
from readmission_platform.foundation.errors import BadInput, Unavailable
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.intake.sources import Loaded, SourceRequest
from readmission_platform.storage.lake import Lake


@pytest.fixture(scope="module")
def published() -> bytes:
    """A file in the form of the published one."""
    raw = generate(encounters=300, seed=9)
    return raw.astype(object).where(raw.notna(), "?").to_csv(index=False).encode()


@pytest.fixture(autouse=True)
def _pinned(published: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest of that file is the pinned one, and nothing is fetched from outside."""
    monkeypatch.setattr(sources, "UCI_SHA256", hashlib.sha256(published).hexdigest())
    monkeypatch.setattr(sources, "UCI_URL", "http://127.0.0.1:9/archive.zip")
    monkeypatch.setenv("no_proxy", "*")


def zipped(content: bytes, *, member: str = UCI_MEMBER) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
        archive.writestr("IDS_mapping.csv", "admission_type_id,description\n")
    return packed.getvalue()


def load_uci(*, archive: Path | None, cache: Path | None) -> Loaded:
    return UCI.load(SourceRequest(archive=archive, cache=cache))


def synthetic(*, rows: int, seed: int) -> Loaded:
    return SYNTHETIC.load(SourceRequest(rows=rows, seed=seed))


def refused(archive: Path, cache: Path) -> str:
    """Load an unusable archive; returns the message, which is one line."""
    with pytest.raises(BadInput) as caught:
        load_uci(archive=archive, cache=cache)
    assert "\n" not in str(caught.value)
    assert not cache.exists()
    return str(caught.value)


def test_a_local_archive_is_read_into_the_types_of_the_contract(published: bytes, tmp_path: Path) -> None:
    archive = tmp_path / "archive.zip"
    archive.write_bytes(zipped(published))
    loaded = load_uci(archive=archive, cache=tmp_path / "cache")
    assert ENCOUNTERS_WITH_OUTCOME.broken_rules(loaded.frame).empty
    assert len(loaded.frame) == 300
    assert loaded.digest == loaded.expected_digest == "sha256:" + hashlib.sha256(published).hexdigest()
    assert loaded.origin == "local archive archive.zip"
    assert "None" in set(loaded.frame["A1Cresult"])
    assert not (tmp_path / "cache").exists()


def test_an_archive_packed_again_holds_the_same_data(published: bytes, tmp_path: Path) -> None:
    archive = tmp_path / "again.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr(UCI_MEMBER, published)
    assert len(load_uci(archive=archive, cache=tmp_path / "cache").frame) == 300


def test_a_file_that_differs_by_one_byte_is_refused(published: bytes, tmp_path: Path) -> None:
    archive = tmp_path / "archive.zip"
    archive.write_bytes(zipped(published + b"\n"))
    assert "not the published one" in refused(archive, tmp_path / "cache")


def test_an_archive_that_was_cut_short_is_refused_wherever_it_was_cut(published: bytes, tmp_path: Path) -> None:
    archive, whole = tmp_path / "archive.zip", zipped(published)
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        archive.write_bytes(whole[:length])
        assert "not a complete zip archive" in refused(archive, tmp_path / "cache")


def test_an_archive_with_a_damaged_byte_is_refused_wherever_it_is(published: bytes, tmp_path: Path) -> None:
    archive, whole = tmp_path / "archive.zip", zipped(published)
    accepted = 0
    for position in range(0, len(whole), len(whole) // 60):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        archive.write_bytes(bytes(damaged))
        try:
            loaded = load_uci(archive=archive, cache=tmp_path / "cache")
        except BadInput as error:
            assert "\n" not in str(error)  # noqa: PT017  # some bytes, such as the dates of members, do not matter
        else:
            accepted += 1
            assert loaded.digest == "sha256:" + hashlib.sha256(published).hexdigest()
    assert accepted < 10


def test_an_encrypted_archive_is_refused(published: bytes, tmp_path: Path) -> None:
    whole = bytearray(zipped(published))
    whole[6] |= 1  # the flag "encrypted", in the local header and in the directory
    whole[whole.index(b"PK\x01\x02") + 8] |= 1
    archive = tmp_path / "archive.zip"
    archive.write_bytes(bytes(whole))
    assert "not a complete zip archive" in refused(archive, tmp_path / "cache")


def test_an_archive_of_something_else_is_refused(published: bytes, tmp_path: Path) -> None:
    archive = tmp_path / "archive.zip"
    archive.write_bytes(zipped(published, member="other.csv"))
    assert f"holds no {UCI_MEMBER}" in refused(archive, tmp_path / "cache")


def test_what_is_no_zip_is_refused(published: bytes, tmp_path: Path) -> None:
    archive = tmp_path / "diabetic_data.csv"
    archive.write_bytes(published)
    assert "not a complete zip archive" in refused(archive, tmp_path / "cache")


def test_a_missing_column_is_named(published: bytes, tmp_path: Path) -> None:
    lacking = pd.read_csv(io.BytesIO(published), dtype=str).drop(columns=["gender", "readmitted"])
    archive = tmp_path / "archive.zip"
    archive.write_bytes(zipped(lacking.to_csv(index=False).encode()))
    assert refused(archive, tmp_path / "cache").endswith("column(s) missing: gender, readmitted")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x01", b"\x00" * 64])
def test_a_member_that_is_no_table_is_refused(content: bytes, tmp_path: Path) -> None:
    archive = tmp_path / "archive.zip"
    archive.write_bytes(zipped(content))
    assert UCI_MEMBER in refused(archive, tmp_path / "cache")


def test_an_archive_that_is_not_there_or_is_a_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot be read (No such file or directory)" in refused(tmp_path / "none.zip", tmp_path / "cache")
    assert "cannot be read" in refused(tmp_path, tmp_path / "cache")


def test_without_a_network_the_way_out_is_named_and_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="--archive") as caught:
        load_uci(archive=None, cache=tmp_path / "cache")
    assert caught.value.exit_code == 5
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


class _Repository(BaseHTTPRequestHandler):
    answer: bytes
    announced: int
    asked: int

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(self.announced))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def repository(published: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Repository]]:
    """A repository on this machine that hands out the archive."""
    _Repository.answer = zipped(published)
    _Repository.announced = len(_Repository.answer)
    _Repository.asked = 0
    server = HTTPServer(("127.0.0.1", 0), _Repository)
    serving = threading.Thread(target=server.serve_forever, args=(0.01,))
    serving.start()
    monkeypatch.setattr(sources, "UCI_URL", f"http://127.0.0.1:{server.server_port}/archive.zip")
    yield _Repository
    server.shutdown()
    serving.join()
    server.server_close()


def test_the_archive_is_downloaded_once_and_then_taken_from_the_cache(
    repository: type[_Repository], tmp_path: Path
) -> None:
    first = load_uci(archive=None, cache=tmp_path / "cache")
    second = load_uci(archive=None, cache=tmp_path / "cache")
    assert repository.asked == 1
    assert first.digest == second.digest
    assert second.origin == "cached download from the UCI repository"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["diabetes_130_us_hospitals.zip"]


def test_without_a_cache_the_archive_is_downloaded_each_time(repository: type[_Repository]) -> None:
    assert load_uci(archive=None, cache=None).digest == load_uci(archive=None, cache=None).digest
    assert repository.asked == 2


def test_a_download_that_breaks_off_is_not_kept(repository: type[_Repository], tmp_path: Path) -> None:
    repository.announced += 100
    with pytest.raises(Unavailable, match="could not be downloaded"):
        load_uci(archive=None, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_download_that_is_not_the_archive_is_not_kept(repository: type[_Repository], tmp_path: Path) -> None:
    repository.answer = b"<html>moved</html>"
    repository.announced = len(repository.answer)
    with pytest.raises(BadInput, match="the download: not a complete zip archive"):
        load_uci(archive=None, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_the_synthetic_cohort_says_what_it_is_and_keeps_its_digest_in_the_lake(tmp_path: Path) -> None:
    loaded = synthetic(rows=300, seed=2)
    assert loaded.origin == "synthetic cohort of 300 encounters, seed 2"
    assert loaded.digest == loaded.expected_digest == synthetic(rows=300, seed=2).digest
    assert loaded.digest != synthetic(rows=300, seed=3).digest
    lake = Lake(tmp_path / "lake")
    assert lake.write("raw_encounters", loaded.frame).digest == loaded.digest
    assert frame_digest(lake.read("raw_encounters")) == loaded.digest


def test_a_cohort_too_small_to_be_one_is_refused() -> None:
    with pytest.raises(BadInput, match="200"):
        synthetic(rows=50, seed=1)
