"""`get`: print one credential on stdout or write it to a file.

If a sidecar with an admin socket runs, the command prints the sidecar's held credentials. It then sends no request to
the cloud and imports little, because it often runs in the sidecar's own container. Otherwise the command fetches the
credentials from the cloud.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from ...config import locate
from ...core.formats import FORMATS
from ...core.values import Credentials
from ...system.hardening import no_dumps
from ..admin_client import held_credentials
from ..profile_option import check_name


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Print or write the credentials of one profile."""
    no_dumps()
    credentials = _held_credentials(arguments, environ)
    if credentials is None:
        from ..fetch import fetched

        credentials = fetched(arguments.config, arguments.profile, environ)
    if arguments.out is not None:
        from ...store import credential_files

        credential_files.write(arguments.out, arguments.format, credentials)
    else:
        print(FORMATS[arguments.format](credentials))
    return 0


def _held_credentials(arguments: Namespace, environ: Mapping[str, str]) -> Credentials | None:
    """
    Return the credentials that the running sidecar holds, or None without a sidecar.

    Raises ConfigError for a profile that the file does not have, before more is imported. Two commands that looked for
    such a profile in the whole configuration exceeded the limit of 64 MiB, and the kernel ended the sidecar.
    """
    file = locate.find(arguments.config, environ, str(locate.DEFAULT_PATH))
    profiles = locate.read(file).get("profiles") if file is not None else None
    if file is not None and isinstance(profiles, dict):
        check_name(arguments.profile, profiles, file)
    path = locate.admin_socket(arguments.config, environ)
    return held_credentials(path, arguments.profile) if path is not None else None
