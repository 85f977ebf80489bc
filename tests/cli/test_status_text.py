"""The status as lines of a terminal."""

from __future__ import annotations

import pytest

from app.cli.status_text import lines
from app.core.values import STATES

from ..status_sample import DENIED, PROBLEMS, PROFILE, STATUS, with_text


def text(status: dict[str, object], *, colour: bool = False, width: int = 120) -> str:
    """Return the whole output."""
    return "\n".join(lines(status, colour=colour, width=width))


def test_a_healthy_sidecar() -> None:
    """The lines name host, version, configuration, listeners, role, time left as a bar, attempts and callers."""
    assert text(STATUS) == (
        "shop/orders-0: ready\n"
        "  version        0.2.0, up 2 h 5 min\n"
        "  configuration  /etc/idaas-sidecar/config.json, read 2 h 5 min ago\n"
        "  credentials    http://127.0.0.1:7117\n"
        "  ops            http://127.0.0.1:7118\n"
        "\n"
        "default: fresh, valid credentials, and the last refresh succeeded\n"
        "  role           acs:ram::1234567890123456:role/orders (session shop.orders-0)\n"
        "  identity       idaas\n"
        "  time left      [###############.....] 45 min of 1 h, until 2026-01-02T04:04:05Z\n"
        "  next refresh   in 10 min\n"
        "  attempts       2026-01-02T03:04:05Z succeeded after 0.31 s (token 0.12 s, exchange 0.19 s)\n"
        "  requests       12 served, the last one at 2026-01-02T03:18:00Z\n"
        "\n"
        "callers:\n"
        "  uid 1000       default: 3 sessions, last at 2026-01-02T03:18:00Z (/usr/bin/python3.11)\n"
        "  unknown        credentials: 2 requests refused: Host, last at 2026-01-02T03:18:00Z\n"
        "  refused        Host 2 (requests by reason)"
    )


def test_problems() -> None:
    """A profile without credentials has its error, the cloud's words and the cure, once each."""
    shown = text(PROBLEMS, width=160)

    for expected in (
        "shop/orders-0: not ready",
        "  not usable     /etc/idaas-sidecar/config.json: profiles: required (IDS-106)\n  what to do     add the key\n",
        "  needs restart  server.bind, cache.directory",
        "reports: denied, no valid credentials, because the cloud refused the last refresh",
        "  time left      no session is held",
        "  next refresh   under way",
        "  last error     STS refused: HTTP 403, AuthenticationFail.NoPermission (3 in a row)",
        "  cloud's words  This operation is forbidden by the permission system.",
        "  meaning        IDS-401: The role's trust policy does not match.",
        "  cause          the subject differs",
        "  what to do     the role's trust policy does not match the token",
        "  on trial       the changed configuration does not serve yet: sts.example.com: HTTP 503 (IDS-206)\n"
        "  cloud's words  Maintenance.\n"
        "  what to do     wait for the region\n",
        "refused by the cloud after 0.31 s (token 0.12 s, exchange 0.19 s): AuthenticationFail.NoPermission",
        "  requests       0 served; 2 refused",
    ):
        assert expected in shown, expected
    assert shown.count(DENIED["failure"]["cure"]) == 1
    assert shown.count(DENIED["failure"]["cloud_message"]) == 1


def test_sidecar_that_was_told_to_stop() -> None:
    """Between SIGTERM and the end, the sidecar is not called ready."""
    assert text(STATUS | {"stopping": True}).startswith("shop/orders-0: stopping\n")


@pytest.mark.parametrize("state", STATES)
def test_colour_is_for_the_state(state: str) -> None:
    """With colour, the words `ready` and the state are coloured; without it, no control character is written."""
    status = STATUS | {"profiles": [PROFILE | {"state": state}]}

    assert text(status, colour=True).count("\033[") == 4
    assert "\033" not in text(status)


def test_foreign_words_do_not_control_the_terminal() -> None:
    """Every text is escaped: an error may quote what the cloud answered, and an executable has any name."""
    found = list(lines(with_text(PROBLEMS, "a\033[2Jb\nc\u202ed"), colour=False, width=120))

    assert len(found) > 30
    assert [line for line in found if not line.isprintable()] == []


def test_long_texts_are_wrapped() -> None:
    """A long error is wrapped at the width of the terminal, below its label."""
    profile = PROFILE | {"last_error": "word " * 60}
    found = [line for line in lines(STATUS | {"profiles": [profile]}, colour=False, width=80) if "word" in line]

    assert len(found) > 3
    assert max(map(len, found)) <= 80
    assert all(line.startswith(" " * 17) for line in found[1:])
