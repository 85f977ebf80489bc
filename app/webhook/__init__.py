"""Injection of the sidecar by admission webhooks, for clusters without MutatingAdmissionPolicy.

The webhooks read the same CredentialPolicies as the chart's admission policies, and make the same pods. The modules of
this folder decide about a pod without network and clock; the only file is that of the settings. May import `core` and
`system`. The folder `serving` is above.
"""
