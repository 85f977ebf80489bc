"""A plan as text, Terraform, aliyun-cli commands and JSON: one module each, with `render`. May import `plan`."""
