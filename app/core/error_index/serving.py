"""Errors of listening and serving, and of the clients' own environment."""

from __future__ import annotations

from .entry import Entry

SERVING = (
    Entry(
        "IDS-501",
        "No valid credentials are held.",
        "The first refresh has not succeeded, or the session expired during an outage.",
        "Run `idaas-sidecar doctor`, and correct what it names. The sidecar then tries again by itself.",
    ),
    Entry(
        "IDS-502",
        "An address or socket cannot be listened on.",
        "Another process uses it, no interface of this machine has it (yet), the socket's directory does not exist "
        "(yet), or the port needs a privilege.",
        "Stop the other process, add the address, make the directory, or choose another address. A sidecar that was "
        "stopped ends after shutdown.drainSeconds, or at once at a second SIGTERM.",
    ),
    Entry(
        "IDS-503",
        "The running sidecar cannot be reached.",
        "It does not run, or listens elsewhere.",
        "Start it with `idaas-sidecar serve`, and use the same configuration.",
    ),
    Entry(
        "IDS-504",
        "A profile of the running sidecar has no usable credentials.",
        "Its last refresh failed.",
        "Correct the profile's last error. The sidecar then tries again by itself; a restart tries at once, as does "
        "`idaas-sidecar refresh` where server.adminSocket is set.",
    ),
    Entry(
        "IDS-505",
        "A profile of the running sidecar serves a session that it could not renew.",
        "The last refresh failed; the session is valid until it expires.",
        "Correct the profile's last error before the session expires.",
    ),
    Entry(
        "IDS-506",
        "The running sidecar uses another configuration.",
        "It was started with another file, or the change needs a restart.",
        "Restart the sidecar with this file, or name the running sidecar's file with --config.",
    ),
    Entry(
        "IDS-507",
        "This user may not have the profile.",
        "The profile's `callers` name neither the user nor one of its groups.",
        "Let the application run as a user that is named; add its uid or gid to `callers` only if every process of "
        "that user may have the credentials.",
    ),
    Entry(
        "IDS-508",
        "The Host header is not allowed.",
        "The host of the client's URL is not in access.allowedHosts.",
        "Use 127.0.0.1 in the URL, or add the host to access.allowedHosts.",
    ),
    Entry(
        "IDS-509",
        "The path of the URL is not served.",
        "The profile or the path token is missing or wrong.",
        "Use the URL that `idaas-sidecar env` prints.",
    ),
    Entry(
        "IDS-510",
        "Static keys in the environment win over the sidecar.",
        "SDKs first use an AccessKey from variables such as ALIBABA_CLOUD_ACCESS_KEY_ID, or from Java properties.",
        "Unset the variables that the message names; `idaas-sidecar env` prints the lines.",
    ),
    Entry(
        "IDS-511",
        "Variables of RRSA win over the sidecar.",
        "SDKs use ALIBABA_CLOUD_ROLE_ARN with an OIDC token file before the credentials URI.",
        "Unset the variables in the client; `idaas-sidecar env` prints the lines.",
    ),
    Entry(
        "IDS-512",
        "The ECS metadata service is not disabled.",
        "SDKs use the instance's RAM role before the credentials URI.",
        "Set ALIBABA_CLOUD_ECS_METADATA_DISABLED=true in the client, and unset ALIBABA_CLOUD_ECS_METADATA.",
    ),
    Entry(
        "IDS-513",
        "A proxy variable sends the client's request to a proxy.",
        "Alibaba Cloud's Python SDK uses HTTP_PROXY also for 127.0.0.1, and ignores NO_PROXY.",
        "Unset the variable for the application, or start the application with `idaas-sidecar exec`.",
    ),
    Entry(
        "IDS-514",
        "The client's ALIBABA_CLOUD_CREDENTIALS_URI is not the sidecar's.",
        "It names another host, port, path or scheme.",
        "Set it to the URL that `idaas-sidecar env` prints.",
    ),
    Entry(
        "IDS-515",
        "A file of the client's home directory wins over the sidecar.",
        "SDKs read ~/.aliyun/config.json, ~/.alibabacloud/credentials and credentials.ini before the credentials URI.",
        "Move the file away, or set ALIBABA_CLOUD_CLI_PROFILE_DISABLED=true for config.json.",
    ),
    Entry(
        "IDS-516",
        "The command cannot be started.",
        "`exec` names a command that does not exist or cannot be executed, or whose interpreter is missing.",
        "Write the full path of an executable program after `--`, and install the interpreter that a script names.",
    ),
    Entry(
        "IDS-517",
        "The admin socket refused, or answered with an error.",
        "The command ran as another user than the sidecar, or the order failed.",
        "Run the command as the sidecar's user: `sudo -u USER idaas-sidecar`.",
    ),
    Entry(
        "IDS-518",
        "The calling process could not be identified.",
        "The profile has `callers`, and the kernel did not tell the user: the connection was closed or forwarded.",
        "Let the application connect itself, in the network namespace of the sidecar; or remove `callers`.",
    ),
    Entry(
        "IDS-519",
        "A forwarded request was refused.",
        "A proxy added Forwarded, X-Forwarded-For or Via, or the request's target is a whole URL.",
        "List the sidecar's host in NO_PROXY of the client, or set access.forwarded to allow.",
    ),
    Entry(
        "IDS-520",
        "A request of a browser was refused.",
        "The request has Origin, Sec-Fetch-Site or another header of browsers: a web page may not read credentials.",
        "Send the request from a program, or set access.browsers to allow.",
    ),
    Entry(
        "IDS-521",
        "The metadata session token is missing, wrong or expired.",
        "The client requests ECS metadata without the token of PUT /latest/api/token, or the sidecar has restarted.",
        "Update the client to one that sends the token, or set access.metadataTokens to optional.",
    ),
    Entry(
        "IDS-522",
        "A user sends too many requests.",
        "The client does not cache its credentials, and sends more than access.requestsPerSecond.",
        "Keep one client object with its cache in the application, or raise access.requestsPerSecond.",
    ),
    Entry(
        "IDS-523",
        "The client's ALIBABA_CLOUD_CREDENTIALS_URI names localhost.",
        "ecctl refuses localhost, and the name may stand for ::1, where the sidecar does not listen.",
        "Write 127.0.0.1 instead of localhost into ALIBABA_CLOUD_CREDENTIALS_URI.",
    ),
    Entry(
        "IDS-524",
        "The client's ALIBABA_CLOUD_CREDENTIALS_URI names another host.",
        "The sidecar serves its own machine or pod. Another host does not answer, or must not have the credentials.",
        "Write the sidecar's address into ALIBABA_CLOUD_CREDENTIALS_URI, or add the host to access.allowedHosts.",
    ),
    Entry(
        "IDS-525",
        "No program listens at the client's ALIBABA_CLOUD_CREDENTIALS_URI.",
        "The sidecar does not run, listens on another port, or is in another network namespace.",
        "Start the sidecar with `idaas-sidecar serve`, or correct the port in ALIBABA_CLOUD_CREDENTIALS_URI.",
    ),
    Entry(
        "IDS-526",
        "A request is not one that the sidecar answers.",
        "Its method, form or metadata token TTL does not fit the protocols, or it is too large or too slow.",
        "Send the request that docs/clients.md shows for the client, such as GET without a body.",
    ),
    Entry(
        "IDS-527",
        "Too many requests wait for the first credentials.",
        "More clients wait than access.maxConnections allows, because the first refresh takes long or fails.",
        "Correct what keeps the first credentials from arriving (`idaas-sidecar status`), or raise "
        "access.maxConnections.",
    ),
    Entry(
        "IDS-528",
        "The sidecar is stopping.",
        "It received SIGTERM, and its time to drain is over.",
        "Start the sidecar again, or let the supervisor restart it; the client's next request then succeeds.",
    ),
    Entry(
        "IDS-529",
        "A page of the operations listener was refused.",
        "Status and documentation are for callers on loopback; the request came from another address.",
        "Use `kubectl port-forward` or an SSH tunnel. If `server.ops` does not listen on loopback, set "
        "`server.adminSocket` and run `idaas-sidecar status`.",
    ),
    Entry(
        "IDS-530",
        "A credential server does not conform to the protocols.",
        "`conformance` found a rule that the server breaks, or a client that cannot use it.",
        "Change the server as the report says behind each rule.",
    ),
)
