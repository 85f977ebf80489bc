"""The profiles that a pod requests, and those that the policy of its namespace grants."""

from __future__ import annotations

import json
from dataclasses import dataclass

from .names import IDENTITY_PATH, PROFILES
from .pod import Object, annotations_of, within
from .policy import CredentialPolicy, Profile
from .settings import Settings


@dataclass(frozen=True, slots=True)
class Grant:
    """
    The requested names, and the profiles that the pod's service account may use.

    The annotation only selects among `allowed`, so a role, a provider or an endpoint always comes from the policy.
    """

    requested: tuple[str, ...]
    service_account: str
    allowed: tuple[Profile, ...]

    @property
    def complete(self) -> bool:
        """Whether the pod requests at least one profile, and may use all requested profiles."""
        names = self.allowed_names
        return bool(self.requested) and all(name in names for name in self.requested)

    @property
    def allowed_names(self) -> tuple[str, ...]:
        """The names of the allowed profiles, in the order of the policy."""
        return tuple(profile.name for profile in self.allowed)

    @property
    def uri(self) -> str:
        """The credentials URI of the first requested profile, for the application's containers."""
        return f"http://127.0.0.1:7117/$(PATH_TOKEN)/credentials/{self.requested[0] if self.requested else ''}"

    def configuration(self, settings: Settings) -> str:
        """Return the sidecar's configuration as JSON text: the granted profiles, then the chart's settings."""
        profiles = {each.name: _profile(each) for each in self.allowed if each.name in self.requested}
        text = json.dumps({"profiles": profiles}, separators=(",", ":"), ensure_ascii=False)
        return f"{text[:-1]},{settings.configuration.removeprefix('{')}"


def grant(pod: Object, policy: CredentialPolicy) -> Grant:
    """Return the profiles that the policy grants to the pod."""
    names = (each.strip() for each in annotations_of(pod).get(PROFILES, "").split(","))
    account = within(pod, "spec", "serviceAccountName") or "default"
    allowed = tuple(each for each in policy.profiles if account in each.service_accounts)
    return Grant(tuple(name for name in names if name), account, allowed)


def _profile(profile: Profile) -> Object:
    exchange: Object = {"type": "sts", "roleArn": profile.role_arn, "oidcProviderArn": profile.oidc_provider_arn}
    optional = {
        "regionId": profile.region_id,
        "vpc": profile.vpc,
        "durationSeconds": profile.duration_seconds,
        "endpoints": profile.endpoints,
    }
    exchange |= {key: value for key, value in optional.items() if value is not None}
    return {"identity": {"type": "tokenFile", "tokenFile": f"{IDENTITY_PATH}/token"}, "exchange": exchange}
