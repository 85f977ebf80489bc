"""The rotation of an issuer's certificate: registered, presented and new fingerprints side by side, and its steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..core.errors import Mistake

WAIT_HOURS = 24
"""Hours between registering a new fingerprint and using its certificate ("Manage an OIDC identity provider")."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """
    The fingerprints around a rotation.

    `registered`: the fingerprints of the OIDC provider in RAM. `presented`: those of the server's present chain.
    `upcoming`: those of its next chain. Unknown fingerprints are empty.
    """

    registered: tuple[str, ...]
    presented: tuple[str, ...]
    upcoming: tuple[str, ...] = ()

    @property
    def mistake(self) -> Mistake | None:
        """Why STS refuses the certificate that the server presents now, as far as RAM's content is known, or None."""
        if not self.registered or set(self.registered) & set(self.presented):
            return None
        return Mistake("RAM has none of the fingerprints that the server presents", "IDS-410")

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield each fingerprint with `yes` or `-` for registered, presented and upcoming."""
        for value in dict.fromkeys((*self.registered, *self.presented, *self.upcoming)):
            yield value, _mark(value, self.registered), _mark(value, self.presented), _mark(value, self.upcoming)

    def steps(self, provider: str = "PROVIDER") -> list[str]:
        """
        Return the necessary steps in order; empty if there are none.

        Without `registered`, RAM is assumed to have the presented fingerprint if there is a new chain.
        """
        current = self.upcoming or self.presented
        in_ram = self.registered or self.presented[: 1 if self.upcoming else 0]
        if not in_ram:
            return []
        missing = [value for value in current[:1] if not set(current) & set(in_ram)]
        obsolete = [value for value in in_ram if value not in current]
        steps = [
            f"register the new fingerprint: aliyun ims AddFingerprintToOIDCProvider --OIDCProviderName {provider} "
            f"--Fingerprint {value}"
            for value in missing
        ]
        if self.upcoming and not set(self.upcoming) & set(self.presented):
            steps.append(f"wait at least one day ({WAIT_HOURS} hours), then let the server present the new chain")
        if obsolete:
            steps.append("check that the sidecar obtains credentials: idaas-sidecar refresh")
            # Without the new chain, a registered fingerprint may belong to the old chain or to the next one.
            unless = "" if self.upcoming else ", unless the server will present its chain"
            steps += [
                f"remove the old fingerprint{unless}: aliyun ims RemoveFingerprintFromOIDCProvider "
                f"--OIDCProviderName {provider} --Fingerprint {value}"
                for value in obsolete
            ]
        return steps


def _mark(value: str, group: Sequence[str]) -> str:
    return "yes" if value in group else "-"


def normalised(value: str) -> str:
    """Return a fingerprint in RAM's form, without colons and in lower case, from the form of openssl or the console."""
    return value.strip().replace(":", "").lower()
