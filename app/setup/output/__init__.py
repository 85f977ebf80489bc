"""A plan as text, Terraform, aliyun-cli commands or JSON. Each form has a module with `render`. May import `plan`."""
