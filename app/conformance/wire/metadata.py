"""Host, paths and header names of the ECS metadata protocol."""

METADATA_HOST = "100.100.100.200"
ROLES_PATH = "/latest/meta-data/ram/security-credentials"
TOKEN_PATH = "/latest/api/token"  # noqa: S105 - a path
TTL_HEADER = "X-aliyun-ecs-metadata-token-ttl-seconds"
TOKEN_HEADER = "X-aliyun-ecs-metadata-token"  # noqa: S105 - a header's name
