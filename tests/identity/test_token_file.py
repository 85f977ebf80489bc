"""A token in a file that another program writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.core.errors import Unreachable
from app.core.events import IdentityExpiry
from app.emulator import Emulator

from ..clock import Clock
from ..conftest import Offline, exchange
from .identities import one_profile

Build = Callable[..., Offline]


async def test_token_file_is_read_at_each_refresh(offline: Build, emulator: Emulator, tmp_path: Path) -> None:
    """The token of a file is sent without white space, and the file is read again at the next refresh."""
    path = tmp_path / "token"
    token_source = offline()
    await token_source.fetch()
    value = emulator.journal[1].fields["OIDCToken"]
    path.write_text(f"\n{value}\n")
    sidecar = offline(one_profile({"type": "tokenFile", "tokenFile": str(path)}, exchange()))

    assert (await sidecar.fetch()).access_key_id
    assert emulator.journal[-1].fields["OIDCToken"] == value
    token_source.clock.skip(1000)
    await token_source.fetch()
    renewed = emulator.journal[-1].fields["OIDCToken"]
    path.write_text(renewed)
    await sidecar.fetch()

    assert emulator.journal[-1].fields["OIDCToken"] == renewed != value
    assert [event.kind for event in sidecar.events if isinstance(event, IdentityExpiry)] == ["tokenFile"] * 2


async def test_expired_token_file_is_not_sent(offline: Build, emulator: Emulator, clock: Clock, tmp_path: Path) -> None:
    """An expired token of a file is not sent, and the error names the program that writes the file."""
    path = tmp_path / "token"
    await offline().fetch()
    path.write_text(emulator.journal[1].fields["OIDCToken"])
    sidecar = offline(one_profile({"type": "tokenFile", "tokenFile": str(path)}, exchange()))
    clock.skip(1201)

    with pytest.raises(Unreachable, match="has expired; the program that writes it is late"):
        await sidecar.fetch()
