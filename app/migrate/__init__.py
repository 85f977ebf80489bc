"""
The migration from AccessKeys to the sidecar: workloads with a key, workloads with a sidecar, and keys to disable.

    files -> inputs -> Workload (carriers of keys)  -+
    audit logs, status, metrics -> Reading          -+-> report -> text or JSON

Reads only the given files. No result contains a secret, and an AccessKey id is always cut. May import `core` and
`system`. Only the command line imports this package, not the running sidecar.
"""
