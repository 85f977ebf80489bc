"""The RAM resources of a workload as text, Terraform, aliyun-cli commands or JSON. Changes nothing in the cloud.

    config or flags or a file  ->  Workload  ->  Plan (providers, roles, policies)  ->  output

May import `config` and the packages below it. Only the command line imports this package, not the running sidecar.
"""
