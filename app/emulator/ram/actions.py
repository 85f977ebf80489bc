"""
The actions of IMS and RAM as functions from a world to the next one.

An action receives the world, the caller's account and the parameters, and returns the new world and the members of the
response. It raises `RefusedError`, or `WorldError` where the new world breaks a limit of RAM.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ..world.world import World
from . import oidc_providers, roles

RamAction = Callable[[World, str, Mapping[str, str]], tuple[World, dict[str, Any]]]

ACTIONS: Mapping[str, tuple[str, RamAction]] = {
    "CreateOIDCProvider": ("ims", oidc_providers.create),
    "GetOIDCProvider": ("ims", oidc_providers.get),
    "ListOIDCProviders": ("ims", oidc_providers.list_all),
    "UpdateOIDCProvider": ("ims", oidc_providers.update),
    "DeleteOIDCProvider": ("ims", oidc_providers.delete),
    "AddClientIdToOIDCProvider": ("ims", oidc_providers.add_client_id),
    "RemoveClientIdFromOIDCProvider": ("ims", oidc_providers.remove_client_id),
    "AddFingerprintToOIDCProvider": ("ims", oidc_providers.add_fingerprint),
    "RemoveFingerprintFromOIDCProvider": ("ims", oidc_providers.remove_fingerprint),
    "CreateRole": ("ram", roles.create),
    "GetRole": ("ram", roles.get),
    "UpdateRole": ("ram", roles.update),
    "DeleteRole": ("ram", roles.delete),
    "CreatePolicy": ("ram", roles.create_policy),
    "AttachPolicyToRole": ("ram", roles.attach_policy),
    "ListPoliciesForRole": ("ram", roles.list_policies),
}
"""Product and function of each action."""
