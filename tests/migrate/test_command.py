"""The command `migrate report`: from files to text and JSON, without a secret."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.cli import main
from app.cli.errors import BAD_USAGE
from app.migrate.inputs import LARGEST

from .samples import (
    AK_VARIABLES,
    CUT,
    KEY,
    SECRET,
    SIDECAR,
    deployment,
    listed,
    secret,
    served,
    value,
)


@pytest.fixture
def namespace(tmp_path: Path) -> Path:
    """The namespace `shop` and its audit log."""
    path = tmp_path / "shop.json"
    items = (
        deployment("orders", *AK_VARIABLES),
        deployment("web", more=[SIDECAR]),
        deployment("evil\u202e\n", value("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET)),
        secret("ak", id=KEY, secret=SECRET),
    )
    path.write_bytes(listed(*items))
    times = ("2026-01-01T00:00:00.000Z", "2026-01-12T00:00:00.000Z")
    (tmp_path / "audit.jsonl").write_bytes(served("shop.web-7d9f4-x2x8p", *times))
    return path


def test_text(namespace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The text names workloads, keys and verdicts, is one line per fact, and has no secret."""
    assert main(["migrate", "report", str(namespace), str(namespace.with_name("audit.jsonl"))], {}) == 0
    printed = capsys.readouterr().out

    assert printed.splitlines() == [
        "Workloads",
        "  shop/deployment/evil\\u202e\\n: AccessKey",
        "    carries a key whose id is not known in container app: ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        "  shop/deployment/orders: AccessKey",
        f"    carries {CUT} in container app: ALIBABA_CLOUD_ACCESS_KEY_ID",
        "  shop/deployment/web: sidecar; reads since 2026-01-01T00:00:00Z, last read at 2026-01-12T00:00:00Z",
        "",
        "AccessKeys",
        f"  {CUT}: in use, a workload carries it and does not read from the sidecar: shop/deployment/orders",
        "  id not known: in use, a workload carries it and does not read from the sidecar: "
        "shop/deployment/evil\\u202e\\n",
        "",
        "The newest use of a sidecar in these files is of 2026-01-12T00:00:00Z.",
    ]


def test_from_a_key_to_safe(
    namespace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report before, the workloads after the change on stdin, and an audit log of ten days: the key is safe."""
    orders = deployment("orders", *AK_VARIABLES)
    namespace.write_bytes(listed(orders, secret("ak", id=KEY, secret=SECRET)))
    assert main(["migrate", "report", str(namespace), "--json"], {}) == 0
    before = namespace.with_name("before.json")
    before.write_text(capsys.readouterr().out)
    log = namespace.with_name("orders.jsonl")
    log.write_bytes(served("shop.orders-7d9f4-x2x8p", "2026-01-01T00:00:00.000Z", "2026-01-12T00:00:00.000Z"))
    changed = io.BytesIO(listed(deployment("orders", more=[SIDECAR])))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=changed))
    assert main(["migrate", "report", "--json", "--before", str(before), "-", str(log)], {}) == 0
    printed = capsys.readouterr().out

    assert [(row["key"], row["verdict"]) for row in json.loads(printed)["keys"]] == [(CUT, "safe")]
    assert not [word for word in (KEY, SECRET) if word in printed + before.read_text()]


class Zeros:
    """A stream that never ends. `asked` has the sizes that its reader asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def read(self, size: int) -> bytes:
        """Return as many bytes as may be read at most; the kernel gives no memory for zeros that nothing looks at."""
        self.asked.append(size)
        return bytes(size)


def test_stdin_beyond_the_limit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input that is longer than a file may be is refused after one read, and nothing is printed."""
    endless = Zeros()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=endless))

    assert main(["migrate", "report", "--json", "-"], {}) == BAD_USAGE
    assert capsys.readouterr() == ("", f"idaas-sidecar migrate: stdin: larger than {LARGEST} bytes (IDS-102)\n")
    assert endless.asked == [LARGEST + 1]


def test_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--home` reads the default files that exist below a home directory."""
    (tmp_path / ".aliyun").mkdir()
    (tmp_path / ".aliyun/config.json").write_text(json.dumps({"profiles": [{"access_key_id": KEY}]}))
    (tmp_path / ".ossutilconfig").write_text("[Credentials]\nlanguage=EN\n")
    assert main(["migrate", "report", "--home", str(tmp_path), "--json"], {}) == 0
    rows = json.loads(capsys.readouterr().out)["workloads"]

    assert [(row["workload"], row["state"]) for row in rows] == [
        (f"{tmp_path}/.aliyun/config.json", "AccessKey"),
        (f"{tmp_path}/.ossutilconfig", "no AccessKey found"),
    ]


def test_no_files(capsys: pytest.CaptureFixture[str]) -> None:
    """Without files the command says what to give, with exit code 2."""
    assert main(["migrate", "report"], {}) == 2
    assert "no files; give output of kubectl get -o json" in capsys.readouterr().err
