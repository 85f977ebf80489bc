"""The cost of deriving a key: it is bounded, and each file and password is derived once."""

from __future__ import annotations

import asyncio
import base64
import datetime
from collections.abc import Callable, Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

from app.core.errors import ConfigError
from app.upstream.keys import key_derivation
from app.upstream.keys.certificates import certificate_chain
from app.upstream.keys.key_derivation import MOST_RESULTS, MOST_ROUNDS, TooManyRounds, once, rounds
from app.upstream.keys.key_forms import load_any_key

PASSWORD = "of-the-key"
KEY = ec.generate_private_key(ec.SECP256R1())
SUBJECT = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
CERTIFICATE = (
    x509.CertificateBuilder()
    .subject_name(SUBJECT)
    .issuer_name(SUBJECT)
    .public_key(KEY.public_key())
    .serial_number(1)
    .not_valid_before(START)
    .not_valid_after(START + datetime.timedelta(days=900))
    .sign(KEY, hashes.SHA256())
)


def bundle(count: int, algorithm: pkcs12.PBES = pkcs12.PBES.PBESv2SHA256AndAES256CBC) -> bytes:
    """Return a PKCS#12 whose key and certificate are encrypted with `count` rounds each."""
    encryption = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(count)
        .key_cert_algorithm(algorithm)
        .hmac_hash(hashes.SHA256())
        .build(PASSWORD.encode())
    )
    return pkcs12.serialize_key_and_certificates(b"a", KEY, CERTIFICATE, None, encryption)


SHROUDED_KEY = bytes.fromhex("060b2a864886f70d010c0a0102a081")
"""The kind of a PKCS#12's bag with an encrypted key (RFC 7292 4.2.2), and the beginning of its length."""


def pkcs8(count: int) -> bytes:
    """Return an encrypted key as `openssl pkcs8 -iter` writes it: that of a PKCS#12, which is the same form."""
    raw = bundle(count)
    begin = raw.index(SHROUDED_KEY) + len(SHROUDED_KEY)
    return raw[begin + 1 : begin + 1 + raw[begin]]


def with_rounds(raw: bytes, before: int, after: int) -> bytes:
    """Return `raw` with another number of rounds of the same length: no derivation is needed to make it."""
    old, new = (b"\x02\x03" + number.to_bytes(3) for number in (before, after))
    assert old in raw
    return raw.replace(old, new)


SCRYPT = bytes.fromhex("06092b06010401da47040b301404082be5bb3ffde8e6e502024000020108020101")


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (pkcs8(3000), 3000),
        (bundle(3000), 3000 + 3000 + 2048),
        (bundle(3000, pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC), 3000 + 3000 + 2048),
        (SCRYPT, 16384 * 8 * 1),
        (SCRYPT[:-3], 16384 * 8),
        (KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), 0),
        (CERTIFICATE.public_bytes(Encoding.DER), 0),
        (b"", 0),
    ],
)
def test_rounds(raw: bytes, found: int) -> None:
    """The rounds of all derivations of a file are added up."""
    assert rounds(raw) == found


@pytest.mark.parametrize("raw", [pkcs8(70_000), bundle(70_000)], ids=["PKCS#8", "PKCS#12"])
def test_every_truncation_is_counted(raw: bytes) -> None:
    """A damaged file has some number of rounds, and no more than the whole one."""
    assert all(0 <= rounds(raw[:end]) <= rounds(raw) for end in range(0, len(raw), 7))


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (with_rounds(pkcs8(70_000), 70_000, 9_000_000), 9_000_000),
        (with_rounds(bundle(70_000), 70_000, 9_000_000), 18_002_048),
    ],
    ids=["PKCS#8", "PKCS#12"],
)
@pytest.mark.parametrize("password", [PASSWORD, None])
def test_absurd_rounds_are_refused(raw: bytes, found: int, password: str | None) -> None:
    """A file whose derivation would hold up all clients for seconds is refused before it is derived."""
    text = base64.b64encode(raw).decode()
    pem = f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{text}\n-----END ENCRYPTED PRIVATE KEY-----"
    for form in (text, pem) if found == 9_000_000 else (text,):
        with pytest.raises(ConfigError) as caught:
            load_any_key(form, password, "p.keyFile")

        assert caught.value.error_code == "IDS-115"
        assert str(caught.value) == (
            f"p.keyFile: its key derivation has {found} rounds, and at most {MOST_ROUNDS} are accepted; "
            "write it again with fewer, such as the 2048 of `openssl pkcs8 -topk8` and `openssl pkcs12 -export`"
        )


def test_absurd_rounds_of_a_certificate_are_refused() -> None:
    """The certificate of a PKCS#12 needs the same derivation as the key."""
    raw = with_rounds(bundle(70_000), 70_000, 9_000_000)

    with pytest.raises(ConfigError, match="18002048 rounds"):
        certificate_chain(base64.b64encode(raw).decode(), PASSWORD, "p.certificateFile")


@pytest.fixture
def no_results() -> Iterator[None]:
    """Run a test without results of other tests."""
    key_derivation.forget()
    yield
    key_derivation.forget()


def counted(calls: list[bytes]) -> Callable[[bytes, bytes | None], bytes]:
    """Return a loader that records its calls, and refuses the password `wrong`."""

    def load(raw: bytes, password: bytes | None) -> bytes:
        calls.append(raw)
        if password == b"wrong":
            raise ValueError("wrong password")
        return raw[:4]

    return load


@pytest.mark.usefixtures("no_results")
def test_a_derivation_is_made_once() -> None:
    """The same file with the same password is derived once, and another file or password again."""
    calls: list[bytes] = []
    load = counted(calls)
    first, second = pkcs8(2048), pkcs8(2048)

    for _ in range(3):
        assert once(load, first, b"right") == first[:4]
    assert calls == [first]
    once(load, second, b"right")
    once(load, first, b"other")
    once(load, first, None)
    assert calls == [first, second, first, first]


@pytest.mark.usefixtures("no_results")
def test_a_wrong_password_is_tried_once() -> None:
    """A wrong password costs its derivation once, and each further request has the same error."""
    calls: list[bytes] = []
    load, raw = counted(calls), pkcs8(2048)

    for _ in range(3):
        with pytest.raises(ValueError, match="wrong password"):
            once(load, raw, b"wrong")

    assert len(calls) == 1


@pytest.mark.usefixtures("no_results")
def test_results_are_bounded() -> None:
    """The least recently used results are dropped: rotated keys do not stay in memory for ever."""
    calls: list[bytes] = []
    load, raw = counted(calls), pkcs8(2048)

    once(load, raw, b"kept")
    for number in range(2 * MOST_RESULTS):
        once(load, raw, b"%d" % number)
        once(load, raw, b"kept")
    once(load, raw, b"0")

    assert len(calls) == 1 + 2 * MOST_RESULTS + 1
    assert len(key_derivation._results) == MOST_RESULTS


@pytest.mark.usefixtures("no_results")
def test_a_file_without_derivation_is_not_kept() -> None:
    """A plain key is loaded at each use, and no copy of it stays in memory."""
    calls: list[bytes] = []
    load = counted(calls)
    plain = CERTIFICATE.public_bytes(Encoding.DER)

    once(load, plain, None)
    once(load, plain, None)

    assert len(calls) == 2
    assert not len(key_derivation._results)


@pytest.mark.usefixtures("no_results")
def test_key_and_certificates_share_a_derivation() -> None:
    """The key, the chain and the end of one PKCS#12 are three readers and one derivation."""
    text = base64.b64encode(bundle(2048)).decode()

    key = load_any_key(text, PASSWORD, "p")
    assert certificate_chain(text, PASSWORD, "p")
    assert load_any_key(text, PASSWORD, "p") is key
    assert len(key_derivation._results) == 1


@pytest.mark.usefixtures("no_results")
def test_all_keys_are_forgotten() -> None:
    """After `forget` no result is in memory, and the next use derives its key again."""
    calls: list[bytes] = []
    load, raw = counted(calls), pkcs8(2048)

    once(load, raw, b"right")
    key_derivation.forget()
    assert not len(key_derivation._results)
    once(load, raw, b"right")

    assert calls == [raw, raw]


@pytest.mark.usefixtures("no_results")
def test_key_that_is_forgotten_while_it_is_derived_is_not_kept() -> None:
    """A file that changes during its derivation leaves no key in memory."""
    calls: list[bytes] = []
    load, raw = counted(calls), pkcs8(2048)

    def slow(content: bytes, password: bytes | None) -> bytes:
        key_derivation.forget()
        return load(content, password)

    assert once(slow, raw, b"right") == raw[:4]
    assert not len(key_derivation._results)


@pytest.mark.usefixtures("no_results")
async def test_key_of_an_attempt_that_began_before_is_not_kept() -> None:
    """An attempt that read a file before its change keeps no key. The next attempt keeps the key."""
    calls: list[bytes] = []
    load, raw = counted(calls), pkcs8(2048)

    for kept in (0, 1):
        key_derivation.begin()
        if not kept:
            key_derivation.forget()
        for _ in range(2):
            assert await asyncio.to_thread(once, load, raw, b"right") == raw[:4]
        assert len(key_derivation._results) == kept

    assert len(calls) == 3


def test_too_many_rounds_is_no_wrong_password() -> None:
    """The refusal is a ValueError of its own, so that no reader takes it for another form."""
    with pytest.raises(TooManyRounds, match="9000000 rounds"):
        once(lambda _raw, _password: None, with_rounds(pkcs8(70_000), 70_000, 9_000_000), b"x")
