"""Injection of the sidecar by admission webhooks, for clusters without MutatingAdmissionPolicy.

The webhooks read the same CredentialPolicies as the policies of the chart, and make the same pods. The modules here
decide about a pod: no file but the settings, no network, no clock. May import `core` and `system`; `serving` is above.
"""
