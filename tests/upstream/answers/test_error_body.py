"""The body of an error answer, unpacked and in UTF-8."""

from __future__ import annotations

import gzip
import zlib

import pytest

from app.upstream.answers.error_body import in_utf8, unpacked


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"denied")),
        ("x-gzip", gzip.compress(b"denied")),
        ("deflate", zlib.compress(b"denied")),
        ("deflate", zlib.compress(b"denied", wbits=-zlib.MAX_WBITS)),
    ],
    ids=["gzip", "x-gzip", "deflate", "deflate without a header"],
)
def test_known_encoding_is_unpacked(encoding: str, packed: bytes) -> None:
    """Some servers compress an answer although the request does not allow it."""
    assert unpacked(packed, encoding) == b"denied"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", ""])
def test_other_bytes_give_no_text(encoding: str) -> None:
    """Bytes that cannot be decompressed do not appear in a message."""
    assert unpacked(b"denied", encoding) == b""


def test_unpacking_is_bounded() -> None:
    """A small body that unpacks to a large one fills no memory."""
    assert len(unpacked(gzip.compress(b"a" * 1_000_000), "gzip")) == 65_536


@pytest.mark.parametrize(
    ("charset", "body", "read"),
    [
        ("GBK", "拒绝".encode("gbk"), "拒绝".encode()),
        ("utf-16", "no".encode("utf-16"), b"no"),
        ("utf-16", b"n\0o\0", b"no"),
        ("utf-16", b"no", b"no"),
        ("utf-7", b"+AGE-", b"+AGE-"),
        ("idna", b"xn--a", b"xn--a"),
        ("gbk", b"\xff\xff", b"\xff\xff"),
        ("unknown", b"no", b"no"),
    ],
    ids=[
        "GBK",
        "UTF-16",
        "UTF-16 without a mark",
        "UTF-16 that is none",
        "UTF-7",
        "no encoding of text",
        "broken",
        "unknown",
    ],
)
def test_only_listed_encodings_are_decoded(charset: str, body: bytes, read: bytes) -> None:
    """An encoding that Python decodes in more than linear time, or that hides characters, is left as it is."""
    assert in_utf8(body, charset) == read
