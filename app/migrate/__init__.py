"""
The way from AccessKeys to the sidecar: who still carries a key, who reads from the sidecar, which key can be disabled.

    files -> inputs -> Workload (carriers of keys)  -+
    audit logs, status, metrics -> Reading          -+-> report -> text or JSON

Reads the files that it is given and nothing else. No result has a secret, and an AccessKey id is always cut. May import
`core` and `system`. Only the command line imports it: the running sidecar does not.
"""
