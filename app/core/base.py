"""What every section of the configuration file is made of: strict objects, and text that names what lies around us."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

EXPANDED = "expanded"
"""Marks a type whose text may hold `${VAR}` and begin with `~`: one file then serves many pods."""

HIDDEN = "hidden"
"""Marks a key in whose place people may have put a secret: what stands there is not repeated."""

Expanded = Annotated[str, Meta(extra={EXPANDED: True})]


_UNPRINTED = frozenset({"proxy", "command"})
"""Members that may hold a secret all the same: a proxy's URL its password, a command what people put into arguments."""


class Strict(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """camelCase keys, immutable, and an unknown key is an error."""

    def __repr__(self) -> str:
        members = ((name, getattr(self, name)) for name in self.__struct_fields__)
        shown = (f"{name}={'…' if value and name in _UNPRINTED else repr(value)}" for name, value in members)
        return f"{type(self).__name__}({', '.join(shown)})"


class Connection(Strict, frozen=True):
    """How one leg reaches its server, where that differs from the rest: trust, proxy, mutual TLS."""

    ca_file: Annotated[
        Expanded | None, Meta(description="PEM bundle to trust on this leg alone; null: tls.caFile.")
    ] = None
    proxy: Annotated[
        str | None,
        Meta(description='http(s) proxy of this leg; "none": none at all; null: the one of the whole file.'),
    ] = None
    certificate_file: Annotated[
        Expanded | None,
        Meta(description="Client certificate for mutual TLS, PEM, leaf first; read anew when it has changed."),
    ] = None
    private_key_file: Annotated[
        Expanded | None,
        Meta(description="Its private key, PEM; null: it stands in certificateFile."),
    ] = None
    private_key_password_env_var_name: Annotated[
        str | None, Meta(description="Environment variable that holds the password of an encrypted key.")
    ] = None
