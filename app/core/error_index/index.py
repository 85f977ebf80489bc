"""The whole index by its codes, for the documentation and `doctor`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .configuration import CONFIGURATION
from .entry import Entry
from .exchange import EXCHANGE
from .files import FILES
from .identity import IDENTITY
from .network import NETWORK
from .serving import SERVING

AREAS: Mapping[str, tuple[Entry, ...]] = MappingProxyType(
    {
        "Configuration": CONFIGURATION,
        "Network": NETWORK,
        "Identity and token": IDENTITY,
        "Exchange": EXCHANGE,
        "Serving and clients": SERVING,
        "Cache, files and the program": FILES,
    }
)

INDEX: Mapping[str, Entry] = MappingProxyType({entry.code: entry for area in AREAS.values() for entry in area})
