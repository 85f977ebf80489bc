"""Decisions remembered by the raw bytes of a request head.

SDKs send the same bytes every time. For a head that was answered 200 before, the memo returns the handlers' earlier
decision. The request then needs no parser, no access rules and no routing. Measured with `make bench`: keep-alive
requests cost about half the CPU.

Only the half of a decision that depends on the bytes alone is remembered (`Grant`). The caller rule, the rate, the
expiry of session token and credentials, counters and the audit are evaluated for every request. The keys contain the
path token: they stay in this object and are never printed.

The time of a look-up reveals nothing about a token: the whole head is hashed with a key of this process (SipHash), and
bytes are compared only after the 64-bit hashes are equal.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from .handlers.outcome import Grant
from .request import Request

MOST_DECISIONS = 256
"""Heads remembered per listener; the one unused for longest is dropped. A client sends one or two different heads."""

LONGEST_HEAD = 2_048
"""Bytes of the longest head that is remembered. The clients of docs/clients.md send less than 1 KiB."""


class Decision(NamedTuple):
    """The grant of a head, whether its connection stays open, and the parsed head without its peer."""

    grant: Grant
    keep_alive: bool
    request: Request

    def __repr__(self) -> str:
        return "Decision(…)"  # the request holds the path token


class DecisionMemo:
    """A bounded map from request heads to decisions. A full map drops the least recently used head."""

    __slots__ = ("_decisions",)

    def __init__(self) -> None:
        self._decisions: OrderedDict[bytes, Decision] = OrderedDict()

    def __repr__(self) -> str:
        return f"DecisionMemo({len(self._decisions)} decisions)"

    def __len__(self) -> int:
        return len(self._decisions)

    def recall(self, head: bytes) -> Decision | None:
        """Return the decision for exactly these bytes, or None."""
        found = self._decisions.get(head)
        if found is not None:
            self._decisions.move_to_end(head)
        return found

    def remember(self, head: bytes, decision: Decision) -> None:
        """Remember the decision for a complete head without a body that was answered 200."""
        if len(head) > LONGEST_HEAD:
            return
        self._decisions[head] = decision
        if len(self._decisions) > MOST_DECISIONS:
            self._decisions.popitem(last=False)

    def forget(self, head: bytes) -> None:
        """Forget one decision, because its session token has expired."""
        self._decisions.pop(head, None)

    def clear(self) -> None:
        """Forget everything: the rules, the path token or the profiles have changed."""
        self._decisions.clear()
