"""Private keys in every form that IDaaS's SDK reads, and the algorithm that each key signs with."""

from __future__ import annotations

import base64
import datetime
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import pkcs12
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from app.core.errors import ConfigError
from app.emulator import Emulator, World
from app.identity import private_key
from app.system import secrets
from app.upstream.keys import certificates, encodings, key_forms

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
PASSWORD = "of-the-key"
ENCRYPTION = serialization.BestAvailableEncryption(PASSWORD.encode())
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey


def pem(
    key: Key,
    format: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
    encryption: serialization.KeySerializationEncryption | None = None,
) -> str:
    """Return a key as PEM."""
    return key.private_bytes(serialization.Encoding.PEM, format, encryption or serialization.NoEncryption()).decode()


def der(
    key: Key,
    format: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
    encryption: serialization.KeySerializationEncryption | None = None,
) -> str:
    """Return a key as DER in base64."""
    return base64.b64encode(
        key.private_bytes(serialization.Encoding.DER, format, encryption or serialization.NoEncryption())
    ).decode()


TRADITIONAL = serialization.PrivateFormat.TraditionalOpenSSL
PLAIN = {
    "PKCS#8 RSA": (pem(RSA), RSA),
    "PKCS#8 EC": (pem(EC), EC),
    "PKCS#1": (pem(RSA, TRADITIONAL), RSA),
    "SEC1": (pem(EC, TRADITIONAL), EC),
    "bare DER PKCS#8": (der(RSA), RSA),
    "bare DER PKCS#1": (der(RSA, TRADITIONAL), RSA),
    "bare DER SEC1": (der(EC, TRADITIONAL), EC),
    "bare DER in lines": ("\n".join((der(RSA)[:70], der(RSA)[70:])), RSA),
    "newlines became spaces": (pem(RSA).replace("\n", " "), RSA),
    "newlines became spaces, SEC1": (pem(EC, TRADITIONAL).replace("\n", " "), EC),
    "newlines became two characters": (pem(RSA).replace("\n", "\\n"), RSA),
    "newlines became four characters": (pem(EC).replace("\n", "\\r\\n"), EC),
    "no newlines at all": (pem(RSA).replace("\n", ""), RSA),
    "empty lines": (pem(RSA).replace("\n", "\n\n"), RSA),
    "lines of white space": (pem(EC).replace("\n", "\n \n"), EC),
    "Windows newlines": (pem(RSA).replace("\n", "\r\n"), RSA),
    "after parameters": (
        f"-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n{pem(EC, TRADITIONAL)}",
        EC,
    ),
    "beside a certificate": (f"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{pem(RSA)}", RSA),
}
OTHER_FORMS = {
    "base64 of a PEM": (base64.b64encode(pem(RSA).encode()).decode(), RSA),
    "JWK RSA": (json.dumps(RSAAlgorithm.to_jwk(RSA, as_dict=True)), RSA),
    "JWK EC": (json.dumps(ECAlgorithm.to_jwk(EC, as_dict=True) | {"kid": "k", "use": "sig"}), EC),
    "base64url of a PEM": (base64.urlsafe_b64encode(pem(EC).encode()).decode().rstrip("="), EC),
    "base64 of a JWK": (base64.b64encode(json.dumps(ECAlgorithm.to_jwk(EC, as_dict=True)).encode()).decode(), EC),
    "JWK set of several": (
        json.dumps(
            {"keys": [RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), RSAAlgorithm.to_jwk(RSA, as_dict=True)]}
        ),
        RSA,
    ),
    "JWK set": (json.dumps({"keys": [ECAlgorithm.to_jwk(EC, as_dict=True)]}), EC),
    "PKCS#12": (
        base64.b64encode(
            pkcs12.serialize_key_and_certificates(b"app", RSA, None, None, serialization.NoEncryption())
        ).decode(),
        RSA,
    ),
}
ENCRYPTED = {
    "PKCS#12": base64.b64encode(pkcs12.serialize_key_and_certificates(b"a", RSA, None, None, ENCRYPTION)).decode(),
    "PKCS#8": pem(RSA, encryption=ENCRYPTION),
    "PKCS#8 EC": pem(EC, encryption=ENCRYPTION),
    "PKCS#1 with headers": pem(RSA, TRADITIONAL, ENCRYPTION),
    "bare DER": der(RSA, encryption=ENCRYPTION),
    "newlines became spaces": pem(RSA, encryption=ENCRYPTION).replace("\n", " "),
    "newlines became two characters": pem(RSA, encryption=ENCRYPTION).replace("\n", "\\n"),
}


def certificate_alone() -> str:
    """Return a PKCS#12 in base64 that holds a certificate and no key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "app")])
    begin = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = x509.CertificateBuilder(
        name, name, EC.public_key(), 1, begin, begin + datetime.timedelta(days=1)
    ).sign(EC, hashes.SHA256())
    return base64.b64encode(
        pkcs12.serialize_key_and_certificates(b"app", None, certificate, None, serialization.NoEncryption())
    ).decode()


CLIENT_USE = bytes.fromhex("300c300a06082b06010505070302")
"""The use clientAuth, as OpenSSL writes it after a certificate."""

CERTIFICATE_ALONE = certificate_alone()


@pytest.mark.parametrize("name", PLAIN)
def test_every_form_of_a_key_is_read(name: str) -> None:
    """A key is read whatever tool wrote it."""
    text, key = PLAIN[name]

    assert key_forms.load_private_key(text, None, "place").private_numbers() == key.private_numbers()


@pytest.mark.parametrize("name", OTHER_FORMS)
def test_other_forms_of_a_key_are_read(name: str) -> None:
    """base64 of a PEM or a JWK, in either alphabet, a JWK and PKCS#12 are read."""
    text, key = OTHER_FORMS[name]
    found = key_forms.load_private_key(text, None, "place")

    assert not isinstance(found, ed25519.Ed25519PrivateKey)
    assert found.private_numbers() == key.private_numbers()


@pytest.mark.parametrize("format", [serialization.PrivateFormat.PKCS8, TRADITIONAL])
def test_binary_file_is_read(format: serialization.PrivateFormat, tmp_path: Path) -> None:
    """A file with binary DER is read as it is."""
    path = tmp_path / "key.der"
    path.write_bytes(RSA.private_bytes(serialization.Encoding.DER, format, serialization.NoEncryption()))
    path.chmod(0o600)
    text = secrets.from_file(str(path), "place", private=True, binary=True)()

    assert key_forms.load_private_key(text, None, "place")


def test_openssh_key_is_refused_with_the_command_that_converts_it() -> None:
    """OpenSSH's own format is refused, and the message has the command for a conversion."""
    with pytest.raises(ConfigError, match="ssh-keygen -p -m PKCS8 -f KEY_FILE") as caught:
        key_forms.load_private_key(pem(EC, serialization.PrivateFormat.OpenSSH), None, "place")

    assert caught.value.error_code == "IDS-115"


@pytest.mark.parametrize("key", [RSA, EC, ED], ids=["RSA", "EC", "Ed25519"])
def test_command_of_the_message_converts_an_openssh_key(key: Key, tmp_path: Path) -> None:
    """The printed command makes a key that is read; ssh-keygen itself does not convert Ed25519."""
    path = tmp_path / "key"
    path.write_text(pem(key, serialization.PrivateFormat.OpenSSH))
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        key_forms.load_private_key(path.read_text(), None, "place")
    command = str(caught.value).partition("convert a copy with: ")[2].partition(" (")[0].replace("KEY_FILE", str(path))
    argv = [sys.executable if word == "python3" else word for word in shlex.split(command)]
    if shutil.which(argv[0]) is None:
        pytest.skip("skipped: needs ssh-keygen (openssh-client)")

    done = subprocess.run([*argv, "-N", ""] if "-p" in argv else argv, capture_output=True, text=True, check=True)

    assert isinstance(key_forms.load_private_key(done.stdout if key is ED else path.read_text(), None, "p"), type(key))


@pytest.mark.parametrize(
    "text",
    [
        EC.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode(),
        json.dumps(ECAlgorithm.to_jwk(EC.public_key(), as_dict=True)),
    ],
    ids=["PEM", "JWK"],
)
def test_public_key_is_refused_by_name(text: str) -> None:
    """The public half in the place of the private key is named."""
    with pytest.raises(ConfigError, match=r"^place: a public key; name the private key$"):
        key_forms.load_private_key(text, None, "place")


@pytest.mark.parametrize("text", ['{"kty": "RSA"}', "{", '{"keys": []}', '{"kty": "oct", "k": "c2Vj"}'])
def test_invalid_jwk_is_refused(text: str) -> None:
    """A JWK without a private key is refused, and nothing of it is quoted."""
    with pytest.raises(ConfigError, match=r"^place: (no usable private key|neither an RSA)") as caught:
        key_forms.load_private_key(text, None, "place")

    assert caught.value.error_code == "IDS-115"


def test_key_of_another_kind_is_refused() -> None:
    """A key that signs no JWT, such as X25519, is refused."""
    with pytest.raises(ConfigError, match=r"^place: neither an RSA, nor an EC, nor an Ed25519 key$") as caught:
        key_forms.load_private_key(pem(x25519.X25519PrivateKey.generate()), None, "place")

    assert caught.value.error_code == "IDS-115"


@pytest.mark.parametrize("name", ENCRYPTED)
def test_every_form_of_an_encrypted_key_is_read(name: str) -> None:
    """An encrypted key is read with its password; without it or with another one, the error says which is wrong."""
    text = ENCRYPTED[name]

    assert key_forms.load_private_key(text, PASSWORD, "place")
    with pytest.raises(ConfigError, match="it is encrypted; name its password with privateKeyPasswordEnvVarName"):
        key_forms.load_private_key(text, None, "place")
    with pytest.raises(ConfigError, match="the password is wrong, or the key damaged"):
        key_forms.load_private_key(text, "another", "place")


def jwk_set(*kids: str | None) -> tuple[str, list[ec.EllipticCurvePrivateKey]]:
    """Return a JWK set of private keys with these ids, and the keys."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in kids]
    members = [ECAlgorithm.to_jwk(key, as_dict=True) | {"kid": kid} for key, kid in zip(keys, kids, strict=True)]
    return json.dumps({"keys": members}), keys


@pytest.mark.parametrize(("key_id", "index"), [("a", 0), ("b", 1), (None, 0)])
def test_key_of_a_set_is_chosen_by_its_id(key_id: str | None, index: int) -> None:
    """`keyId` chooses the key of a JWK set, so that the assertion names the key that signs it."""
    text, keys = jwk_set("a", "b")
    found = key_forms.load_private_key(text, None, "place", key_id=key_id)

    assert key_forms.load_private_key(pem(keys[index]), None, "place").public_key() == found.public_key()


def test_only_key_may_have_another_id() -> None:
    """A provider gives a registered key an id of its own, so that of a single JWK does not have to be keyId."""
    text, _ = jwk_set("local")

    assert key_forms.load_private_key(text, None, "place", key_id="registered")


def test_set_without_the_configured_id_is_refused() -> None:
    """With several private keys and none of the configured id, no signature could be the right one."""
    text, _ = jwk_set("a", None)
    with pytest.raises(ConfigError) as caught:
        key_forms.load_private_key(text, None, "place", key_id="b")

    assert str(caught.value) == (
        "place: several private keys, and none has the kid of keyId; write the kid of one of the keys into keyId"
    )
    assert caught.value.error_code == "IDS-115"


@pytest.mark.parametrize(
    ("text", "password", "message"),
    [
        ("", None, "damaged, or not a private key"),
        ("s3cr3t", None, "damaged, or not a private key"),
        ("ünicode", None, "damaged, or not a private key"),
        (pem(RSA)[:400], None, "damaged, or not a private key"),
        (pem(RSA).replace("M", "N"), None, "damaged, or not a private key"),
        (base64.b64encode(b"s3cr3t" * 9).decode(), None, "damaged, or not a private key"),
        (der(EC)[:40] + "!" + der(EC)[40:], None, "damaged, or not a private key"),
        (CERTIFICATE_ALONE, None, "damaged, or not a private key"),
        (pem(RSA), PASSWORD, "a password is configured, but the key is not encrypted"),
    ],
    ids=[
        "empty",
        "a word",
        "not ASCII",
        "cut",
        "changed",
        "other base64",
        "not base64",
        "no key in PKCS#12",
        "needless password",
    ],
)
def test_invalid_key_is_refused(text: str, password: str | None, message: str) -> None:
    """An invalid key is a configuration error that quotes nothing of it."""
    with pytest.raises(ConfigError) as caught:
        key_forms.load_private_key(text, password, "identity.authnConfiguration")

    assert str(caught.value) == f"identity.authnConfiguration: no usable private key: {message}"
    assert caught.value.error_code == "IDS-115"


def test_ed25519_key_is_refused() -> None:
    """An Ed25519 key is loaded for other providers, and refused for IDaaS, which accepts only RSA and EC keys."""
    key = key_forms.load_private_key(pem(ED), None, "place")

    assert private_key.fitting_algorithms(key, "place") == ("EdDSA",)
    with pytest.raises(ConfigError, match="neither an RSA nor an EC key; IDaaS takes no other") as caught:
        private_key.algorithm_for(key, "place")

    assert caught.value.error_code == "IDS-115"


ALGORITHMS = [
    (RSA, "RS256"),
    (rsa.generate_private_key(65537, 2056), "RS384"),
    (rsa.generate_private_key(65537, 3072), "RS384"),
    (rsa.generate_private_key(65537, 3080), "RS512"),
    (EC, "ES256"),
    (ec.generate_private_key(ec.SECP384R1()), "ES384"),
    (ec.generate_private_key(ec.SECP521R1()), "ES512"),
]


@pytest.mark.parametrize(("key", "algorithm"), ALGORITHMS, ids=[f"{key.key_size}" for key, _ in ALGORITHMS])
def test_algorithm_follows_the_key(key: key_forms.PrivateKey, algorithm: str) -> None:
    """The modulus or the curve decides the algorithm, as in the official SDKs."""
    assert private_key.algorithm_for(key, "place") == algorithm
    private_key.check_algorithm(algorithm, key, "place")


def test_curve_without_an_algorithm_is_refused() -> None:
    """A curve without a JWS algorithm is refused by name."""
    key = ec.generate_private_key(ec.BrainpoolP256R1())

    with pytest.raises(
        ConfigError, match=r"^place: the curve brainpoolP256r1 is none of P-256, P-384, P-521$"
    ) as caught:
        private_key.algorithm_for(key, "place")

    assert caught.value.error_code == "IDS-115"


@pytest.mark.parametrize(
    ("key", "algorithm", "fits"),
    [
        *((RSA, f"{family}{bits}", True) for family in ("RS", "PS") for bits in (256, 384, 512)),
        (ED, "EdDSA", True),
        (RSA, "ES256", False),
        (EC, "ES384", False),
        (EC, "RS256", False),
        (ED, "ES256", False),
    ],
)
def test_configured_algorithm_must_fit_the_key(key: key_forms.PrivateKey, algorithm: str, fits: bool) -> None:
    """Any RS or PS algorithm fits an RSA key, and a curve has only its own algorithm."""
    if fits:
        private_key.check_algorithm(algorithm, key, "place")
        return
    with pytest.raises(
        ConfigError, match=rf"^place\.algorithm: {algorithm} does not fit the key, whose own is "
    ) as caught:
        private_key.check_algorithm(algorithm, key, "place")

    assert caught.value.error_code == "IDS-115"


def test_certificate_is_that_of_its_key(signing_key: rsa.RSAPrivateKey) -> None:
    """The first certificate of a PEM file is read, and belongs to its own key alone."""
    issued = Emulator(World.default(), signing_key=signing_key).issue_certificate()
    key = key_forms.load_private_key(issued.key_pem, None, "place")

    leaf = certificates.load_certificate(issued.leaf_pem + issued.chain_pem, "place")

    assert certificates.belongs(leaf, key)
    assert not certificates.belongs(leaf, RSA)


@pytest.mark.parametrize(
    "text", ["", "s3cr3t", pem(EC), "-----BEGIN CERTIFICATE-----\ns3cr3t\n-----END CERTIFICATE-----"]
)
def test_invalid_certificate_is_refused(text: str) -> None:
    """Text without a certificate is a configuration error that quotes nothing of it."""
    with pytest.raises(ConfigError) as caught:
        certificates.load_certificate(text, "place")

    assert str(caught.value).startswith(
        "place: no usable certificate, neither PEM (-----BEGIN CERTIFICATE-----) nor DER"
    )
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.error_code == "IDS-115"


@pytest.mark.parametrize("form", ["DER", "PKCS#12"])
@pytest.mark.parametrize("in_base64", [False, True])
def test_certificate_of_an_openid_client(
    form: str, in_base64: bool, signing_key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    """A certificate is read as portals export it: DER, or a PKCS#12 with its key, binary or base64."""
    issued = Emulator(World.default(), signing_key=signing_key).issue_certificate()
    wanted = certificates.load_certificate(issued.leaf_pem, "place")
    key = key_forms.load_private_key(issued.key_pem, None, "place")
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    raw = {
        "DER": wanted.public_bytes(serialization.Encoding.DER),
        "PKCS#12": pkcs12.serialize_key_and_certificates(b"a", key, wanted, None, ENCRYPTION),
    }[form]
    path = tmp_path / "certificate"
    path.write_bytes(base64.encodebytes(raw) if in_base64 else raw)

    text = secrets.from_file(str(path), "place", binary=True)()

    assert certificates.load_certificate(text, "place", password=PASSWORD) == wanted


def test_certificate_of_the_key_is_first_wherever_it_stands(signing_key: rsa.RSAPrivateKey) -> None:
    """Some tools write the CA before the certificate. A file without the key's certificate keeps its order."""
    issued = Emulator(World.default(), signing_key=signing_key).issue_certificate()
    key = key_forms.load_private_key(issued.key_pem, None, "place")
    reversed_bundle = issued.key_pem + issued.chain_pem + issued.leaf_pem

    found = certificates.certificate_chain(reversed_bundle, None, "place", key=key)

    assert x509.load_pem_x509_certificates(found.encode()) == x509.load_pem_x509_certificates(
        (issued.leaf_pem + issued.chain_pem).encode()
    )
    assert "PRIVATE KEY" not in found
    assert certificates.belongs(certificates.load_certificate(reversed_bundle, "place", key=key), key)
    assert certificates.certificate_chain(reversed_bundle, None, "place", key=RSA) == issued.chain_pem + issued.leaf_pem


def test_needless_password_of_a_certificate(signing_key: rsa.RSAPrivateKey) -> None:
    """The password belongs to the key or to the certificate; the one without a password is read, too."""
    issued = Emulator(World.default(), signing_key=signing_key).issue_certificate()
    key = key_forms.load_private_key(issued.key_pem, PASSWORD, "place", needless_password=True)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    wanted = certificates.load_certificate(issued.leaf_pem, "place")
    bundle = pkcs12.serialize_key_and_certificates(b"a", key, wanted, None, serialization.NoEncryption())

    assert certificates.load_certificate(base64.b64encode(bundle).decode(), "place", password=PASSWORD) == wanted


def test_certificate_with_trusted_uses(signing_key: rsa.RSAPrivateKey) -> None:
    """`openssl x509 -trustout` writes uses after the certificate, which no server reads; the certificate is found."""
    issued = Emulator(World.default(), signing_key=signing_key).issue_certificate()
    key = key_forms.load_private_key(issued.key_pem, None, "place")
    wanted = certificates.load_certificate(issued.leaf_pem, "place")
    raw = wanted.public_bytes(serialization.Encoding.DER) + CLIENT_USE
    text = encodings.block("TRUSTED CERTIFICATE", base64.b64encode(raw).decode())

    assert certificates.load_certificate(text, "place") == wanted
    assert certificates.load_certificate(issued.chain_pem + text, "place", key=key) == wanted


@pytest.mark.parametrize("text", ["s3cr3t", base64.b64encode(b"s3cr3t" * 9).decode(), CERTIFICATE_ALONE])
def test_no_certificate_of_an_openid_client(text: str) -> None:
    """Anything else is a configuration error that quotes nothing of it."""
    with pytest.raises(ConfigError, match=r"^place: no usable certificate, neither PEM .* nor DER, nor a PKCS#12"):
        certificates.load_certificate(text, "place")


@pytest.mark.parametrize("label", ["CERTIFICATE", "RSA PRIVATE KEY", "PRIVATE KEY"])
def test_beginnings_without_ends_are_passed_over(label: str) -> None:
    """A text of many beginnings is read in one pass: a search for an end from each one would take minutes."""
    text = f"-----BEGIN {label}-----\n" * 30_000
    with pytest.raises(ConfigError, match=r"no usable|a certificate without its key"):
        key_forms.load_any_key(text, None, "p")
    with pytest.raises(ConfigError, match="no usable"):
        certificates.certificate_chain(text, None, "p")


def test_block_after_a_beginning_without_an_end(signing_key: rsa.RSAPrivateKey) -> None:
    """A block that was cut off does not hide the whole one after it."""
    whole = signing_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()

    found = key_forms.load_private_key("-----BEGIN RSA PRIVATE KEY-----\nMII\n" + whole, None, "p")

    assert found.private_numbers() == signing_key.private_numbers()
