"""Injection of the sidecar by admission webhooks, for clusters without MutatingAdmissionPolicy.

The webhooks read the same CredentialPolicies as the policies of the chart, and make the same pods. May import
`observe`, `system` and `core`.
"""
