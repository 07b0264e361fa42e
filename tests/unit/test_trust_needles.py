"""Needles are found in every form, at every place; what is not there is not found."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kohort.trust.needles import Needles

WHO = "Zoë.Müller+1@example.com"
NUMBER = 5_247_817_198_371_692_145
FORMS = {
    "as it is": WHO.encode(),
    "capitals": WHO.upper().encode(),
    "UTF-16": WHO.encode("utf-16-le"),
    "UTF-16, the other way": WHO.encode("utf-16-be"),
    "hexadecimal": WHO.encode().hex().encode(),
    "hexadecimal in capitals": WHO.encode().hex().upper().encode(),
    "percent": quote(WHO, safe="").encode(),
    "JSON": json.dumps(WHO).encode(),
    "base64": base64.b64encode(WHO.encode()),
    "base64, one later": base64.b64encode(b"x" + WHO.encode()),
    "base64, two later": base64.urlsafe_b64encode(b"xy" + WHO.encode() + b"z"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("before", range(9))
def test_a_text_is_found_in_every_form_at_every_place(form: str, before: int) -> None:
    data = b"." * before + FORMS[form] + b"."
    assert Needles(["nobody at all", WHO]).found_in(data) == {1}


@pytest.mark.parametrize("number", [NUMBER, -NUMBER])
def test_a_number_is_found_in_both_byte_orders_and_written(number: int) -> None:
    forms = [number.to_bytes(8, order, signed=True) for order in ("little", "big")]
    forms += [str(abs(number)).encode(), f"c-{abs(number):014x}".encode(), np.array([1, number]).tobytes()]
    for form in forms:
        for before in range(9):
            assert Needles([], [7, number]).found_in(b"\xff" * before + form) == {1}


@given(st.binary(max_size=300), st.integers(0, 300), st.lists(st.text(min_size=6, max_size=20), min_size=1, max_size=5))
def test_what_is_found_is_there_and_what_is_there_is_found(noise: bytes, at: int, texts: list[str]) -> None:
    data = noise[:at] + texts[0].encode() + noise[at:]
    found = Needles(texts).found_in(data)
    assert 0 in found
    assert found >= {i for i, text in enumerate(texts) if text.encode() in data}


def test_between_two_blocks_nothing_is_lost() -> None:
    block = 1 << 22
    for place in (block - 7, block - 1, block):
        data = bytearray(2 * block)
        data[place : place + len(WHO.encode())] = WHO.encode()
        assert Needles([WHO], [NUMBER]).found_in(bytes(data)) == {0}


def test_short_texts_are_counted_and_not_looked_for() -> None:
    needles = Needles(["12", "long enough"])
    assert needles.short == 1
    assert needles.found_in(b"12 and 12") == set()
    assert Needles([]).found_in(b"anything") == set()
