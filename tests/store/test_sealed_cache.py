"""The sealed cache on real files: what it takes back, and all that it refuses without a crash."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.config.loader import Loaded
from app.config.settings import Profile
from app.core.values import Credentials
from app.store.errors import EntryError, StoreError
from app.store.sealed_cache import FORMAT, SealedCache

from ..conftest import configuration, exchange, identity

KEY = "0123456789abcdef" * 4
ISSUED = Credentials("STS.key-1", "canary-secret", "canary-token", 1_767_323_045.0, 1_767_326_645.0, "request-1")
OTHER = Credentials("STS.key-2", "secret-2", "token-2", 1_767_323_100.0, 1_767_326_700.0)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="skipped: needs root, to mount and to give files away")
Load = Callable[..., Loaded]


@pytest.fixture
def profile(loaded: Load) -> Profile:
    return loaded().settings.profiles["default"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(place: Path) -> SealedCache:
    return SealedCache(str(place), lambda: KEY)


@pytest.fixture
def entry(cache: SealedCache, profile: Profile, place: Path) -> Path:
    """The file of an entry that was written."""
    cache.write("default", profile, ISSUED)
    return place / "idaas-sidecar" / "default.sealed"


@pytest.fixture
def lax_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- what it gives back -----------------------------------------------------------------------------------------------


def test_a_round_trip(cache: SealedCache, profile: Profile) -> None:
    """What was written last is read, whole; before anything was written there is nothing."""
    assert cache.read("default", profile) is None
    cache.write("default", profile, OTHER)
    cache.write("default", profile, ISSUED)

    assert cache.read("default", profile) == ISSUED


def test_another_process_reads_it(
    cache: SealedCache, profile: Profile, place: Path, entry: Path, tmp_path: Path
) -> None:
    """It is there after a restart: nothing in the binding depends on the process."""
    script = (
        "import sys; from app.store.sealed_cache import SealedCache; from app.config.loader import load;"
        "config, place, key = sys.argv[1:];"
        "profile = load(config, {'IDAAS_SECRET': 'x'}, hostname='host-1', now=lambda: 0).settings.profiles['default'];"
        "print(SealedCache(place, lambda: key).read('default', profile).access_key_id)"
    )
    arguments = (str(tmp_path / "config.json"), str(place), KEY)
    for seed in ("1", "2"):
        done = subprocess.run(
            (sys.executable, "-c", script, *arguments),
            env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.stdout == "STS.key-1\n", done.stderr


def test_nothing_of_it_is_to_be_read(entry: Path) -> None:
    """Neither key nor credential lies in the directory in any form."""
    text = b"".join(path.read_bytes() for path in entry.parents[1].rglob("*") if path.is_file())

    assert text.startswith(FORMAT)
    assert not [word for word in (KEY, "canary-secret", "canary-token", "STS.key-1") if word.encode() in text]


def test_two_sealings_differ(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """The same credentials are sealed in another way each time: no nonce is used twice."""
    seals = set()
    for _ in range(50):
        cache.write("default", profile, ISSUED)
        seals.add(entry.read_bytes()[len(FORMAT) :][:12])

    assert len(seals) == 50


@pytest.mark.usefixtures("lax_umask")
def test_modes(cache: SealedCache, profile: Profile, place: Path) -> None:
    """Under umask 000 files are 0600, and the directory and those made above it 0700."""
    deep = place / "a" / "b"
    SealedCache(str(deep), lambda: KEY).write("default", profile, ISSUED)

    assert mode(deep / "idaas-sidecar" / "default.sealed") == 0o600
    assert {mode(path) for path in (place, place / "a", deep, deep / "idaas-sidecar")} == {0o700}


def test_a_directory_that_was_there(cache: SealedCache, profile: Profile, place: Path) -> None:
    """The configured directory may be everybody's, as an emptyDir is: ours is made in it, and its mode stays."""
    place.mkdir()
    place.chmod(0o1777)
    cache.write("default", profile, ISSUED)

    assert (mode(place), mode(place / "idaas-sidecar")) == (0o1777, 0o700)
    assert cache.read("default", profile) == ISSUED


def test_forgetting(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """What was removed is gone from the disk; removing it twice, or what never was, is nothing."""
    cache.remove("default")
    cache.remove("default")

    assert cache.read("default", profile) is None
    assert list(entry.parent.iterdir()) == []


def test_tidying(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """Entries of profiles that are none any more go, and drafts; wanted ones stay, and so does what is not ours."""
    cache.write("gone", profile, OTHER)
    cache.write("gone.sealed", profile, OTHER)
    for name in ("default.sealed.new", "README"):
        (entry.parent / name).write_text("x")
    cache.tidy(["default", "p2"])

    assert sorted(path.name for path in entry.parent.iterdir()) == ["README", "default.sealed"]


# --- what it does not believe -----------------------------------------------------------------------------------------


def refused(cache: SealedCache, profile: Profile, words: str, name: str = "default") -> None:
    with pytest.raises(EntryError) as caught:
        cache.read(name, profile)

    assert words in str(caught.value)
    assert "canary" not in str(caught.value)


def test_every_flipped_bit(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """Each single bit of the file counts: flipped, the entry is refused with a sentence."""
    whole = entry.read_bytes()
    believed = []
    for position in range(len(whole) * 8):
        changed = bytearray(whole)
        changed[position // 8] ^= 1 << position % 8
        entry.write_bytes(changed)
        with contextlib.suppress(EntryError):
            believed.append((position, cache.read("default", profile)))
    entry.write_bytes(whole)

    assert believed == []
    assert cache.read("default", profile) == ISSUED


def test_every_truncation(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """A file of any other length is refused: cut short anywhere, or with more behind it."""
    whole = entry.read_bytes()
    believed = []
    for content in (*(whole[:length] for length in range(len(whole))), whole + b"\0", whole + whole):
        entry.write_bytes(content)
        with contextlib.suppress(EntryError):
            believed.append(cache.read("default", profile))

    assert believed == []


def test_a_huge_file(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """No more of it is read than an entry can be long."""
    with entry.open("r+b") as file:
        file.truncate(10 << 30)

    refused(cache, profile, "larger than 65536 bytes")


def test_another_profiles_entry(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """A file that is given another profile's name is not that profile's, though all else is the same."""
    entry.rename(entry.with_name("p2.sealed"))

    refused(cache, profile, "of another configuration", "p2")


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


@pytest.mark.parametrize("what", CHANGED)
def test_another_configuration(what: str, cache: SealedCache, entry: Path, loaded: Load) -> None:
    """A profile that asks for somebody else's credentials, or as somebody else, does not read the old ones."""
    changed = configuration()
    changed["profiles"]["default"] |= CHANGED[what]

    refused(cache, loaded(changed).settings.profiles["default"], "of another configuration")


def test_the_order_of_a_chain(cache: SealedCache, loaded: Load) -> None:
    """The same roles in another order are another configuration."""
    links = [{"roleArn": f"acs:ram::1234567890123456:role/{name}"} for name in "ab"]
    one, other = configuration(), configuration()
    one["profiles"]["default"]["chain"] = links
    other["profiles"]["default"]["chain"] = links[::-1]
    cache.write("default", loaded(one).settings.profiles["default"], ISSUED)

    refused(cache, loaded(other).settings.profiles["default"], "of another configuration")


def test_what_does_not_matter(cache: SealedCache, entry: Path, loaded: Load) -> None:
    """What decides nothing about whose credentials they are may change: callers, whether it is required."""
    changed = configuration()
    changed["profiles"]["default"] |= {"required": False, "callers": {"uids": [1001]}, "onDenied": "stop"}

    assert cache.read("default", loaded(changed).settings.profiles["default"]) == ISSUED


def test_another_key(cache: SealedCache, profile: Profile, place: Path, entry: Path) -> None:
    """With another key it is refused; a key that is replaced while we run seals what comes next."""
    refused(SealedCache(str(place), lambda: KEY[::-1]), profile, "of another key")


@pytest.mark.parametrize("number", [b"2", b"0", b"x"])
def test_another_format(number: bytes, cache: SealedCache, profile: Profile, entry: Path) -> None:
    """The file of another version of this program is not read, whatever is in it."""
    entry.write_bytes(entry.read_bytes().replace(b"cache 1\n", b"cache " + number + b"\n"))

    refused(cache, profile, "of another version")


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[1]", b"\xff", b"null", msgspec.json.encode(ISSUED).replace(b'"STS.key-1"', b"1")]
)
def test_sealed_nonsense(text: bytes, cache: SealedCache, profile: Profile, entry: Path) -> None:
    """Well sealed, and yet no credentials: refused like damage."""
    import hmac

    from app.store.sealed_cache import _bound_to

    cipher = AESGCM(hmac.digest(KEY.encode(), FORMAT, "sha256"))
    nonce = bytes(12)
    entry.write_bytes(FORMAT + nonce + cipher.encrypt(nonce, text, _bound_to("default", profile)))

    refused(cache, profile, "damaged")


# --- what is no file of ours ------------------------------------------------------------------------------------------


def test_a_symbolic_link(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """A link in its place is not followed, though it leads to a good entry."""
    entry.rename(entry.with_name("elsewhere"))
    entry.symlink_to("elsewhere")

    refused(cache, profile, "default.sealed: a symbolic link")


def test_a_hard_link(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """A file with a second name is refused: somebody else may hold it open."""
    os.link(entry, entry.with_name("elsewhere"))

    refused(cache, profile, "not a file with one name")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "directory"])
def test_no_regular_file(make: Callable[[Path], None], cache: SealedCache, profile: Profile, entry: Path) -> None:
    """What is no regular file is refused, and a pipe does not keep us waiting."""
    entry.unlink()
    make(entry)

    refused(cache, profile, "not a file with one name")


@pytest.mark.parametrize("loose", [0o640, 0o604, 0o620, 0o602, 0o610])
def test_a_foreign_mode(loose: int, cache: SealedCache, profile: Profile, entry: Path) -> None:
    """A file that others may read or write is refused."""
    entry.chmod(loose)

    refused(cache, profile, f"mode {loose:04o}")


@needs_root
def test_a_foreign_owner(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """A file of another user's is refused, whatever its mode."""
    os.chown(entry, 1001, -1)

    refused(cache, profile, "uid 1001")


@pytest.mark.parametrize("what", ["symbolic link", "hard link", "fifo", "mode"])
def test_it_is_replaced(what: str, cache: SealedCache, profile: Profile, entry: Path) -> None:
    """What was in the entry's place is replaced by the next write, and nothing is written through it."""
    elsewhere = entry.with_name("elsewhere")
    elsewhere.write_text("theirs")
    if what != "mode":
        entry.unlink()
    match what:
        case "symbolic link":
            entry.symlink_to("elsewhere")
        case "hard link":
            os.link(elsewhere, entry)
        case "fifo":
            os.mkfifo(entry)
        case _:
            entry.chmod(0o666)
    cache.write("default", profile, OTHER)

    assert cache.read("default", profile) == OTHER
    assert mode(entry) == 0o600
    assert elsewhere.read_text() == "theirs"


def test_a_draft_that_is_in_the_way(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """A draft that a killed writer left, or a link in its place, is replaced and not written through."""
    elsewhere = entry.with_name("elsewhere")
    elsewhere.write_text("theirs")
    (entry.parent / "default.sealed.new").symlink_to("elsewhere")
    cache.write("default", profile, OTHER)

    assert cache.read("default", profile) == OTHER
    assert elsewhere.read_text() == "theirs"


@pytest.mark.parametrize("damage", ["mode", "link", "owner", "file"])
def test_a_directory_that_is_not_ours(
    damage: str, cache: SealedCache, profile: Profile, entry: Path, tmp_path: Path
) -> None:
    """A directory that others may enter, a link, another user's, or no directory: nothing is read or written there."""
    directory = entry.parent
    if damage == "mode":
        directory.chmod(0o770)
    elif damage == "owner":
        if os.geteuid() != 0:
            pytest.skip("skipped: needs root, to give files away")
        os.chown(directory, 1001, -1)
    else:
        directory.rename(tmp_path / "moved")
        directory.symlink_to(tmp_path / "moved") if damage == "link" else directory.write_text("")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.sealed")}
    orders = (
        lambda: cache.read("default", profile),
        lambda: cache.write("default", profile, OTHER),
        lambda: cache.remove("default"),
        lambda: cache.tidy([]),
    )
    for order in orders:
        with pytest.raises(
            StoreError, match=r"idaas-sidecar: (not private to this user|Not a directory|Too many levels)"
        ):
            order()

    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*.sealed")}


# --- disks ------------------------------------------------------------------------------------------------------------


def mounted(*commands: str, place: Path, tmp_path: Path) -> dict[str, Any]:
    """
    What a process says that tries the cache after the shell `commands`, in a mount namespace of its own.

    It says, as JSON, what reading, writing and removing raise, what is read afterwards, and the names that are there.
    """
    script = """
import json, os, sys
from app.store.sealed_cache import SealedCache
from app.store.errors import StoreError
from app.config.loader import load
from app.core.values import Credentials
config, place, key = sys.argv[1:]
profile = load(config, {"IDAAS_SECRET": "x"}, hostname="host-1", now=lambda: 0).settings.profiles["default"]
cache, said = SealedCache(place, lambda: key), {}
def tried(name, order):
    try:
        said[name] = order()
    except StoreError as why:
        said[name] = str(why)
tried("write", lambda: cache.write("default", profile, Credentials("STS.key-2", "x" * 9000, "t", 1.0, 2.0)))
tried("read", lambda: getattr(cache.read("default", profile), "access_key_id", None))
tried("tidy", lambda: cache.tidy(["default"]))
tried("absent", lambda: cache.remove("absent"))
said["there"] = sorted(os.listdir(place + "/idaas-sidecar"))
tried("remove", lambda: cache.remove("default"))
print(json.dumps(said))
"""
    shell = "\n".join((*commands, 'exec "$@"'))
    program = (sys.executable, "-c", script, str(tmp_path / "config.json"), str(place), KEY)
    done = subprocess.run(
        ("unshare", "--mount", "sh", "-euc", shell, "sh", *program),
        env={"PATH": os.environ["PATH"]},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@needs_root
def test_a_full_disk(place: Path, entry: Path, tmp_path: Path) -> None:
    """On a full disk the write fails with a sentence, what was there before is read on, and no draft stays."""
    full = (
        f"mkdir {tmp_path}/kept; cp -a {place}/. {tmp_path}/kept",
        f"mount -t tmpfs -o size=16k,mode=0700 none {place}",
        f"cp -a {tmp_path}/kept/. {place}",
        f"head -c 9000 /dev/zero >{place}/ballast || true",
    )
    said = mounted(*full, place=place, tmp_path=tmp_path)

    assert said["write"] == f"{place}/idaas-sidecar: {os.strerror(errno.ENOSPC)}"
    assert (said["read"], said["tidy"], said["remove"]) == ("STS.key-1", None, None)
    assert said["there"] == ["default.sealed"]


@needs_root
def test_a_read_only_disk(place: Path, entry: Path, tmp_path: Path) -> None:
    """On a read-only disk what is there is read, and only what would change something fails, with a sentence."""
    said = mounted(f"mount --bind {place} {place}", f"mount -o remount,ro,bind {place}", place=place, tmp_path=tmp_path)

    read_only = f"{place}/idaas-sidecar: {os.strerror(errno.EROFS)}"
    assert (said["write"], said["remove"]) == (read_only, read_only)
    assert (said["read"], said["tidy"], said["absent"]) == ("STS.key-1", None, None)


def test_a_directory_that_cannot_be_made(place: Path, profile: Profile) -> None:
    """Where there is no way to a directory, everything says so."""
    place.write_text("a file")
    cache = SealedCache(str(place / "deep"), lambda: KEY)
    for order in (lambda: cache.read("default", profile), lambda: cache.remove("default"), lambda: cache.tidy([])):
        with pytest.raises(StoreError, match="Not a directory"):
            order()


def test_no_descriptor_is_left(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """Good and bad entries alike leave nothing open."""
    before = len(os.listdir("/proc/self/fd"))
    cache.read("default", profile)
    entry.unlink()
    entry.mkdir()
    for _ in range(5):
        refused(cache, profile, "not a file with one name")

    assert len(os.listdir("/proc/self/fd")) == before
