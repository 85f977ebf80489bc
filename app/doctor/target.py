"""The target that `doctor` examines, and its surroundings: all parts that a test replaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..config.locate import DEFAULT_PATH
from ..core.client_chain import CREDENTIALS_URI
from ..core.clocks import Clocks
from ..refresh.connections import Transport
from ..setup import fingerprint
from ..setup.fingerprint import Chain
from ..system.sockets import in_use
from . import running
from .ram import RamAccess
from .reading import PresentedChain


@dataclass(frozen=True, slots=True)
class Caller:
    """The process that requests credentials. `url`: the credentials URI that it uses; None if unknown."""

    uid: int
    gids: tuple[int, ...]
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """
    The configuration and the machine to examine.

    `profile`: None for all. `trust_policy` is the text of the role's trust policy. `client_environ` is the environment
    of an application; None for this process's environment. `status` returns `/status.json` of the sidecar at host and
    port, and `admin` returns it from the socket at a path. `connects` returns whether a program listens at host and
    port, `in_use` whether a sidecar could not listen there, and `is_sidecar` whether the program is a sidecar.
    `ram`: the way to read RAM; None: RAM is not read. `chain` returns the certificates that an issuer presents; None: a
    connection reads them.
    """

    config: str | None
    environ: Mapping[str, str] = field(repr=False)
    hostname: str
    caller: Caller
    profile: str | None = None
    trust_policy: str | None = field(default=None, repr=False)
    client_environ: Mapping[str, str] | None = field(default=None, repr=False)
    clocks: Clocks = field(default_factory=Clocks)
    transport: Transport | None = None
    status: Callable[[str, int], Mapping[str, Any]] = running.status
    admin: Callable[[str], Mapping[str, Any]] = running.admin_status
    connects: Callable[[str, int], bool] = running.connects
    in_use: Callable[[str, int], bool] = in_use
    is_sidecar: Callable[[str, int], bool] = running.answers_as_sidecar
    default_path: Path = DEFAULT_PATH
    ram: RamAccess | None = None
    chain: PresentedChain | None = None

    def presented(self, url: str, ca_file: str | None) -> Chain:
        """Return the certificates that the server of an https URL presents. Blocks."""
        return (
            self.chain(url) if self.chain else fingerprint.presented(url, ca_file or self.environ.get("SSL_CERT_FILE"))
        )

    def caller_with_url(self) -> Caller:
        """Return the caller with its URL, which may come from the application's environment, without white space."""
        environ = self.environ if self.client_environ is None else self.client_environ
        return replace(self.caller, url=self.caller.url or environ.get(CREDENTIALS_URI, "").strip() or None)
