"""Pseudonyms: keyed, and apart by what they stand for."""

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.foundation.pseudonyms import pseudonym_of, pseudonyms

KEY = b"one key"


def test_a_pseudonym_is_the_keyed_hash_of_purpose_and_identifier() -> None:
    expected = hmac.new(KEY, b"patient\x0042", hashlib.sha256).hexdigest()[:32]
    assert pseudonyms([42], KEY, purpose="patient") == [expected]


def test_pseudonyms_differ_by_key_and_by_purpose() -> None:
    one, other_key, other_purpose = (
        set(pseudonyms(range(100), KEY, purpose="patient")),
        set(pseudonyms(range(100), b"another key", purpose="patient")),
        set(pseudonyms(range(100), KEY, purpose="encounter")),
    )
    assert len(one) == len(other_key) == len(other_purpose) == 100
    assert not one & other_key
    assert not one & other_purpose


@given(
    identifier=st.integers() | st.text(alphabet=st.characters(codec="utf-8")),
    key=st.binary(),
    purpose=st.text(max_size=9),
)
def test_one_pseudonym_is_that_of_a_column(identifier: int | str, key: bytes, purpose: str) -> None:
    assert [pseudonym_of(identifier, key, purpose=purpose)] == pseudonyms([identifier], key, purpose=purpose)
