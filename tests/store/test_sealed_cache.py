"""The sealed cache on real files: it returns what was written, and refuses entries that were changed."""

from __future__ import annotations

import contextlib
import hmac
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.config.loader import Loaded
from app.config.settings import Profile
from app.store.errors import EntryError, StoreError
from app.store.sealed_cache import FORMAT, SealedCache, _bound_to
from app.system.runtime_dir import KeptKey

from ..conftest import configuration, exchange, identity
from ..spoiled import spoil
from .sessions import KEY, OTHER_SESSION, SESSION, assert_refused, mode_of

Load = Callable[..., Loaded]


# --- reading and writing ----------------------------------------------------------------------------------------------


def test_last_session_is_read_back(cache: SealedCache, profile: Profile) -> None:
    """The session that was written last is read back complete; before the first write there is none."""
    assert cache.read("default", profile) is None
    cache.write("default", profile, OTHER_SESSION)
    cache.write("default", profile, SESSION)

    assert cache.read("default", profile) == SESSION


def test_entry_is_readable_in_another_process(
    cache: SealedCache, profile: Profile, directory: Path, entry: Path, tmp_path: Path
) -> None:
    """An entry is readable after a restart: its binding depends on no state of the process."""
    script = (
        "import sys; from app.store.sealed_cache import SealedCache; from app.config.loader import load;"
        "config, directory, key = sys.argv[1:];"
        "profile = load(config, {'IDAAS_SECRET': 'x'}, hostname='host-1', now=lambda: 0).settings.profiles['default'];"
        "print(SealedCache(directory, lambda: key).read('default', profile).access_key_id)"
    )
    arguments = (str(tmp_path / "config.json"), str(directory), KEY)
    for seed in ("1", "2"):
        result = subprocess.run(
            (sys.executable, "-c", script, *arguments),
            env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
        )

        assert result.stdout == "STS.key-1\n", result.stderr


def test_files_show_neither_key_nor_session(entry: Path) -> None:
    """No file of the cache contains the key or a value of the session in plain text."""
    text = b"".join(path.read_bytes() for path in entry.parents[1].rglob("*") if path.is_file())

    assert text.startswith(FORMAT)
    assert not [word for word in (KEY, "canary-secret", "canary-token", "STS.key-1") if word.encode() in text]


def test_no_nonce_is_used_twice(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """The same session is sealed with another nonce each time."""
    nonces = set()
    for _ in range(50):
        cache.write("default", profile, SESSION)
        nonces.add(entry.read_bytes()[len(FORMAT) :][:12])

    assert len(nonces) == 50


@pytest.mark.usefixtures("lax_umask")
def test_files_are_private_under_any_umask(cache: SealedCache, profile: Profile, directory: Path) -> None:
    """Under umask 000 files are 0600, and the directory and its new parents 0700."""
    deep = directory / "a" / "b"
    SealedCache(str(deep), lambda: KEY).write("default", profile, SESSION)

    assert mode_of(deep / "idaas-sidecar" / "default.sealed") == 0o600
    assert {mode_of(path) for path in (directory, directory / "a", deep, deep / "idaas-sidecar")} == {0o700}


def test_shared_directory_keeps_its_mode(cache: SealedCache, profile: Profile, directory: Path) -> None:
    """A configured directory that all users share, as an emptyDir, keeps its mode, and gets a private subdirectory."""
    directory.mkdir()
    directory.chmod(0o1777)
    cache.write("default", profile, SESSION)

    assert (mode_of(directory), mode_of(directory / "idaas-sidecar")) == (0o1777, 0o700)
    assert cache.read("default", profile) == SESSION


def test_removed_entry_is_gone(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """A removed entry is gone from the disk, and removing an absent entry is no error."""
    cache.remove("default")
    cache.remove("default")

    assert cache.read("default", profile) is None
    assert list(entry.parent.iterdir()) == []


def test_tidy_removes_entries_of_removed_profiles(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """`tidy` removes entries of removed profiles and drafts, and keeps other entries and foreign files."""
    cache.write("gone", profile, OTHER_SESSION)
    cache.write("gone.sealed", profile, OTHER_SESSION)
    for name in ("default.sealed.new", "README"):
        (entry.parent / name).write_text("x")
    cache.tidy(["default", "p2"])

    assert sorted(path.name for path in entry.parent.iterdir()) == ["README", "default.sealed"]


def test_instance_survives_a_restart(cache: SealedCache, directory: Path, tmp_path: Path) -> None:
    """The instance's bytes stay with the directory, and differ with the key and with the directory."""
    found = cache.instance()
    seed = directory / "idaas-sidecar" / "instance"

    assert SealedCache(str(directory), lambda: KEY).instance() == found
    assert found == KeptKey(hmac.digest(KEY.encode(), b"instance" + seed.read_bytes(), "sha256"))
    assert (len(seed.read_bytes()), mode_of(seed)) == (32, 0o600)
    assert SealedCache(str(directory), lambda: KEY[::-1]).instance() != found
    assert SealedCache(str(tmp_path / "other"), lambda: KEY).instance() != found


@pytest.mark.parametrize("broken", ["emptied", "cut", "longer", "readable", "link", "second name", "FIFO", "foreign"])
def test_damaged_instance_is_replaced(cache: SealedCache, directory: Path, tmp_path: Path, broken: str) -> None:
    """A seed that was changed is named and replaced, so that session tokens survive the next restart again."""
    before = cache.instance()
    seed = directory / "idaas-sidecar" / "instance"
    spoil(seed, broken, tmp_path)

    after = cache.instance()

    assert after.lost.startswith(f"{seed}: ")
    assert after.lost.endswith("; a new key replaces it")
    assert (after.key is not None, after.key != before.key) == (True, True)
    assert (len(seed.read_bytes()), mode_of(seed), seed.is_symlink()) == (32, 0o600, False)
    assert cache.instance() == KeptKey(after.key)


def test_instance_that_is_a_directory_is_reported(cache: SealedCache, directory: Path) -> None:
    """A directory cannot be replaced by a file: the error names it, and nothing is removed."""
    cache.instance()
    seed = directory / "idaas-sidecar" / "instance"
    seed.unlink()
    (seed / "inside").mkdir(parents=True)

    with pytest.raises(StoreError, match=r"idaas-sidecar/instance: .*cannot be replaced"):
        cache.instance()

    assert (seed / "inside").exists()


def test_instance_is_not_tidied(cache: SealedCache) -> None:
    """Tidying keeps the seed of the instance."""
    found = cache.instance()
    cache.tidy([])

    assert cache.instance() == found


def test_format_of_an_entry(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """An entry is the format's line, a nonce of 12 bytes, and the session in AES-256-GCM with a derived key."""
    raw = entry.read_bytes()
    cipher = AESGCM(hmac.digest(KEY.encode(), b"idaas-sidecar cache 1\n", "sha256"))
    text = cipher.decrypt(raw[22:34], raw[34:], _bound_to("default", profile))

    assert raw.startswith(b"idaas-sidecar cache 1\n")
    assert msgspec.json.decode(text)["access_key_secret"] == "canary-secret"


# --- changed entries --------------------------------------------------------------------------------------------------


def test_every_flipped_bit_is_refused(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """An entry with any single bit flipped is refused with an error."""
    whole = entry.read_bytes()
    accepted = []
    for position in range(len(whole) * 8):
        changed = bytearray(whole)
        changed[position // 8] ^= 1 << position % 8
        entry.write_bytes(changed)
        with contextlib.suppress(EntryError):
            accepted.append((position, cache.read("default", profile)))
    entry.write_bytes(whole)

    assert accepted == []
    assert cache.read("default", profile) == SESSION


def test_every_truncation_is_refused(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """A file of any other length is refused: truncated anywhere, or with bytes appended."""
    whole = entry.read_bytes()
    accepted = []
    for content in (*(whole[:length] for length in range(len(whole))), whole + b"\0", whole + whole):
        entry.write_bytes(content)
        with contextlib.suppress(EntryError):
            accepted.append(cache.read("default", profile))

    assert accepted == []


def test_huge_file_is_refused(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """A huge file is refused, and no more of it is read than the largest entry has."""
    for length, message in ((10 << 30, "larger than 65536 bytes"), (65_537, "larger than 65536"), (65_536, "damaged")):
        with entry.open("r+b") as file:
            file.truncate(length)

        assert_refused(cache, profile, f"default.sealed: {message}")


def test_entry_of_another_profile_is_refused(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """An entry that is renamed to another profile is refused, although all else is equal."""
    entry.rename(entry.with_name("p2.sealed"))

    assert_refused(cache, profile, "of another configuration", "p2")


CHANGED: dict[str, dict[str, Any]] = {
    "role": {"exchange": exchange("p2")},
    "account": {"exchange": exchange(roleArn="acs:ram::6543210987654321:role/demo-default")},
    "session name": {"exchange": exchange(roleSessionName="session-2")},
    "policy": {"exchange": exchange(policy='{"Version":"1","Statement":[]}')},
    "endpoint": {"exchange": exchange(endpoints=["http://127.0.0.1:7081"])},
    "chain": {"chain": [{"roleArn": "acs:ram::1234567890123456:role/demo-chained"}]},
    "client": {"identity": identity(clientId="app_other")},
    "issuer": {"identity": identity(issuer="https://other.example/oauth2")},
    "kind of identity": {"identity": {"type": "tokenFile", "tokenFile": "/token"}},
}


@pytest.mark.parametrize("change", CHANGED)
def test_entry_of_another_configuration_is_refused(change: str, cache: SealedCache, entry: Path, loaded: Load) -> None:
    """An entry is refused when the profile's identity, exchange or chain has changed."""
    changed = configuration()
    changed["profiles"]["default"] |= CHANGED[change]

    assert_refused(cache, loaded(changed).settings.profiles["default"], "of another configuration")


def test_order_of_a_chain_is_part_of_the_binding(cache: SealedCache, loaded: Load) -> None:
    """The same roles in another order are another configuration."""
    roles = [{"roleArn": f"acs:ram::1234567890123456:role/{name}"} for name in "ab"]
    one, other = configuration(), configuration()
    one["profiles"]["default"]["chain"] = roles
    other["profiles"]["default"]["chain"] = roles[::-1]
    cache.write("default", loaded(one).settings.profiles["default"], SESSION)

    assert_refused(cache, loaded(other).settings.profiles["default"], "of another configuration")


def test_irrelevant_settings_may_change(cache: SealedCache, entry: Path, loaded: Load) -> None:
    """Settings that do not decide whose credentials these are may change: callers, required, onDenied."""
    changed = configuration()
    changed["profiles"]["default"] |= {"required": False, "callers": {"uids": [1001]}, "onDenied": "stop"}

    assert cache.read("default", loaded(changed).settings.profiles["default"]) == SESSION


def test_entry_of_another_key_is_refused(cache: SealedCache, profile: Profile, directory: Path, entry: Path) -> None:
    """An entry of another key is refused."""
    assert_refused(SealedCache(str(directory), lambda: KEY[::-1]), profile, "of another key")


@pytest.mark.parametrize("number", [b"2", b"0", b"x"])
def test_entry_of_another_version_is_refused(number: bytes, cache: SealedCache, profile: Profile, entry: Path) -> None:
    """An entry of another format version is refused, whatever its contents."""
    entry.write_bytes(entry.read_bytes().replace(b"cache 1\n", b"cache " + number + b"\n"))

    assert_refused(cache, profile, "of another version")


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[1]", b"\xff", b"null", msgspec.json.encode(SESSION).replace(b'"STS.key-1"', b"1")]
)
def test_sealed_text_that_is_not_a_session_is_refused(
    text: bytes, cache: SealedCache, profile: Profile, entry: Path
) -> None:
    """Text that is sealed correctly but is not a session is refused as damaged."""
    cipher = AESGCM(hmac.digest(KEY.encode(), FORMAT, "sha256"))
    nonce = bytes(12)
    entry.write_bytes(FORMAT + nonce + cipher.encrypt(nonce, text, _bound_to("default", profile)))

    assert_refused(cache, profile, "damaged")
