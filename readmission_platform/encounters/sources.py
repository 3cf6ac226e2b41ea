"""Where encounters come from: the public archive (downloaded or local) and the embedded synthetic cohort.

What belongs here: fetching, checking the digest, and reading into the contract's types.
What does not: anything done with the encounters afterwards.
"""

import hashlib
import io
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from readmission_platform.encounters.contract import ENCOUNTERS_WITH_OUTCOME
from readmission_platform.encounters.synthetic import MINIMUM_ENCOUNTERS, generate
from readmission_platform.foundation.errors import BadInput, Unavailable
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.intake.sources import Loaded, Source, SourceRequest

UCI_URL = "https://archive.ics.uci.edu/static/public/296/diabetes+130-us+hospitals+for+years+1999-2008.zip"
UCI_MEMBER = "diabetic_data.csv"
# Of the CSV, not of the zip: an archive packed again holds the same data.
UCI_SHA256 = "0689e7ec031237dc63031b938805c48377748761a3b26acab621567afa24df97"
DOWNLOAD_SECONDS = 60


def load_synthetic(request: SourceRequest) -> Loaded:
    """Generate the synthetic cohort; what is expected of it is what was generated.

    Raises
    ------
    BadInput
        When the number of encounters is too small to be a cohort.
    """
    try:
        frame = generate(encounters=request.rows, seed=request.seed)
    except ValueError as error:
        raise BadInput(str(error)) from error
    # Only missing values of one kind, as after reading from the lake.
    texts = frame.select_dtypes("object")
    frame = frame.assign(**texts.replace({np.nan: None}))
    digest = frame_digest(frame)
    origin = f"synthetic cohort of {request.rows:,} encounters, seed {request.seed}"
    return Loaded(frame, digest, expected_digest=digest, origin=origin)


def load_uci(request: SourceRequest) -> Loaded:
    """Read the public archive: the local one given, else the cached one, else downloaded and cached.

    Raises
    ------
    BadInput
        When the archive is not there, is no complete zip, lacks the file, or the file is not the pinned one.
    Unavailable
        When it has to be downloaded and cannot be.
    """
    if request.archive is not None:
        content = _member(_read(request.archive), request.archive.name)
        return _parsed(content, f"local archive {request.archive.name}")
    cached = request.cache / "diabetes_130_us_hospitals.zip" if request.cache is not None else None
    if cached is not None and cached.exists():
        return _parsed(_member(cached.read_bytes(), cached.name), "cached download from the UCI repository")
    packed = _download()
    loaded = _parsed(_member(packed, "the download"), "downloaded from the UCI repository")
    if cached is not None:
        _keep(packed, cached)
    return loaded


def _keep(packed: bytes, cached: Path) -> None:
    cached.parent.mkdir(parents=True, exist_ok=True)
    staged = cached.with_suffix(f".{os.getpid()}")
    staged.write_bytes(packed)
    staged.replace(cached)


def _read(archive: Path) -> bytes:
    try:
        return archive.read_bytes()
    except OSError as error:
        raise BadInput(f"{archive}: cannot be read ({error.strerror}); give the path of the zip archive") from error


def _download() -> bytes:
    from http.client import HTTPException
    from urllib.error import URLError
    from urllib.request import urlopen

    try:
        with urlopen(UCI_URL, timeout=DOWNLOAD_SECONDS) as response:
            return bytes(response.read())
    except (URLError, HTTPException, OSError) as error:
        raise Unavailable(
            f"the archive could not be downloaded ({type(error).__name__}); fetch {UCI_URL} elsewhere and give "
            "its path with --archive (ARCHIVE= for make)"
        ) from error


def _member(packed: bytes, name: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            return archive.read(UCI_MEMBER)
    except KeyError as error:
        raise BadInput(f"{name}: holds no {UCI_MEMBER}; is it the archive of Diabetes 130-US Hospitals?") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise BadInput(f"{name}: not a complete zip archive; download it again") from error


def _parsed(content: bytes, origin: str) -> Loaded:
    try:
        header = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, nrows=0)
    except ValueError as error:  # empty, not text, or not a table
        raise BadInput(f"{UCI_MEMBER}: cannot be read as CSV; the file is not the published one") from error
    missing = ENCOUNTERS_WITH_OUTCOME.missing_columns(header)
    if missing:
        raise BadInput(f"{UCI_MEMBER}: column(s) missing: {', '.join(missing)}")
    digest = hashlib.sha256(content).hexdigest()
    if digest != UCI_SHA256:
        raise BadInput(
            f"{UCI_MEMBER}: sha256 is {digest[:12]}..., expected {UCI_SHA256[:12]}...; "
            "the file is not the published one"
        )
    frame = ENCOUNTERS_WITH_OUTCOME.parse_text(pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False))
    return Loaded(frame, f"sha256:{digest}", expected_digest=f"sha256:{UCI_SHA256}", origin=origin)


UCI = Source(
    name="uci",
    words="Diabetes 130-US Hospitals for Years 1999-2008",
    limits="real",
    options=frozenset({"archive"}),
    load=load_uci,
)
SYNTHETIC = Source(
    name="synthetic",
    words="embedded synthetic cohort",
    limits="synthetic",
    options=frozenset({"rows", "seed"}),
    load=load_synthetic,
    least_rows=MINIMUM_ENCOUNTERS,
)
