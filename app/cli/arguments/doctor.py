"""The arguments of `doctor`."""

from __future__ import annotations

from .common import Commands, add_command, add_config_option, whole_number


def add_doctor(commands: Commands) -> None:
    """Add `doctor`."""
    command = add_command(
        commands,
        "doctor",
        "find what keeps credentials from arriving, and name the cure",
        "idaas-sidecar doctor",
        "idaas-sidecar doctor --profile default --trust-policy role.json --json",
    )
    add_config_option(command)
    command.add_argument("--profile", help="one profile (default: all)")
    command.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    command.add_argument(
        "--trust-policy",
        metavar="FILE",
        help="the role's trust policy, or the answer of `aliyun ram GetRole`, to compare with the token's claims",
    )
    command.add_argument(
        "--read-ram",
        action="store_true",
        help="read the role and the OIDC provider from RAM with the AccessKey in $ALIBABA_CLOUD_ACCESS_KEY_ID and "
        "$ALIBABA_CLOUD_ACCESS_KEY_SECRET, and compare them with the token",
    )
    command.add_argument("--ram-key-id", metavar="VARIABLE", help="variable with the AccessKey id that reads RAM")
    command.add_argument("--ram-key-secret", metavar="VARIABLE", help="variable with the secret of that AccessKey")
    command.add_argument(
        "--ram-security-token", metavar="VARIABLE", help="variable with the security token, for keys of a session"
    )
    command.add_argument("--ram-profile", metavar="PROFILE", help="profile of the configuration that reads RAM")
    command.add_argument(
        "--ram-endpoint", metavar="URL", help="URL of RAM and IMS, such as an emulator's (default: the real endpoints)"
    )
    command.add_argument(
        "--client-environment",
        metavar="FILE",
        help="file with an application's variables, in the form of `env` or /proc/PID/environ (default: those of this "
        "process, if they name the sidecar)",
    )
    uid = whole_number(0, 999_999_999)
    command.add_argument("--uid", type=uid, help="user id of the application (default: that of this process)")
    command.add_argument("--gid", type=uid, action="append", default=[], help="group id of the application; repeatable")
    command.add_argument(
        "--url", metavar="URL", help="credentials URI of the application (default: $ALIBABA_CLOUD_CREDENTIALS_URI)"
    )
