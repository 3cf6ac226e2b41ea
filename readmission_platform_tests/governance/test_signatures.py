"""Keys and signatures."""

from pathlib import Path

import pytest

from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.promotion.approvals import create_key, load_key, public_key_text, sign
from readmission_platform.governance.signatures import is_signed_by


def test_a_key_is_written_once_for_its_owner_only_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "me.pem"
    public = create_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["me.pem"]
    assert public_key_text(load_key(path)) == public
    before = path.read_bytes()
    with pytest.raises(BadInput, match="already"):
        create_key(path)
    assert path.read_bytes() == before


def test_what_is_no_key_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nonsense")
    for name in ("x.pem", "absent.pem"):
        with pytest.raises(BadInput):
            load_key(tmp_path / name)


def test_a_signature_holds_for_its_statement_and_key_only(tmp_path: Path) -> None:
    public, other = create_key(tmp_path / "a.pem"), create_key(tmp_path / "b.pem")
    signed = sign({"b": 1, "a": "é"}, load_key(tmp_path / "a.pem"))
    assert is_signed_by(signed, public)
    assert is_signed_by({**signed, "statement": {"a": "é", "b": 1}}, public)
    for wrong in (
        {**signed, "statement": {"b": 2, "a": "é"}},
        {**signed, "signature": "not base64!"},
        {**signed, "signature": None},
        {**signed, "public_key": other},
        {"statement": {}},
        {},
    ):
        assert not is_signed_by(wrong, public)
    assert not is_signed_by(signed, other)
    assert not is_signed_by({**signed, "public_key": "AAAA"}, "AAAA")
    with pytest.raises(BadInput):
        sign({"x": float("nan")}, load_key(tmp_path / "a.pem"))
