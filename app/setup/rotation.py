"""The rotation of an issuer's certificate: registered, presented and new fingerprints side by side, and its steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
    def works(self) -> bool:
        """Whether STS accepts the server's present certificate, as far as the registered fingerprints are known."""
        return not self.registered or bool(set(self.registered) & set(self.presented))

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield each fingerprint with `yes` or `-` for registered, presented and upcoming."""
        for value in dict.fromkeys((*self.registered, *self.presented, *self.upcoming)):
            yield value, _mark(value, self.registered), _mark(value, self.presented), _mark(value, self.upcoming)

    def steps(self, provider: str = "PROVIDER") -> list[str]:
        """Return the necessary steps in order; empty if there are none."""
        if not self.registered:
            return []
        current = self.upcoming or self.presented
        missing = [value for value in current[:1] if not set(current) & set(self.registered)]
        obsolete = [value for value in self.registered if value not in current]
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
