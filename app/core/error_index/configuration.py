"""Errors of the configuration, of the files and variables that it names, and of a client's environment."""

from __future__ import annotations

from .entry import Entry

CONFIGURATION = (
    Entry(
        "IDS-100",
        "The configuration, or an option of a command, cannot work.",
        "A value is not possible, or two values contradict each other.",
        "Change the key or option that the message begins with. Check a file with `idaas-sidecar config`.",
    ),
    Entry(
        "IDS-101",
        "There is no configuration.",
        "Neither --config, nor $IDAAS_SIDECAR_CONFIG, nor /etc/idaas-sidecar/config.json, nor the SDK's file is there.",
        "Start from the output of `idaas-sidecar config --example`, or name the file with --config.",
    ),
    Entry(
        "IDS-102",
        "A configuration file cannot be read.",
        "The path is wrong, or this user may not read the file.",
        "Correct the path, or let the sidecar's user read the file: `chown` and `chmod 0640`.",
    ),
    Entry(
        "IDS-103",
        "A configuration file is not a JSON object.",
        "A comma, quote or bracket is missing, or a key occurs twice.",
        "Correct the file at the line and column of the message.",
    ),
    Entry(
        "IDS-104",
        "The configuration has an unknown key.",
        "The key is misspelled, or stands in the wrong object.",
        "Use the name that the message suggests, or remove the key.",
    ),
    Entry(
        "IDS-105",
        "A value has the wrong type, or is out of range.",
        "Text stands where a number is expected, or a number is too large.",
        "Write a value of the type and range that the message names.",
    ),
    Entry(
        "IDS-106",
        "A required key is missing.",
        "The object needs the key, by itself or because of another key.",
        "Add the key that the message names.",
    ),
    Entry(
        "IDS-107",
        "A variable that the configuration uses is not set.",
        "`${NAME}` names a variable that is not in the sidecar's environment.",
        "Set the variable, or write the value.",
    ),
    Entry(
        "IDS-108",
        "A secret cannot be used.",
        "The environment variable is not set, the file is empty, missing or not readable, other users can read it, or "
        "a client secret has an invisible character.",
        "Set the variable to the secret, or write the secret to the file; correct the file's owner and mode.",
    ),
    Entry(
        "IDS-109",
        "A value is a placeholder of the documentation.",
        "An example was copied and not filled in.",
        "Replace the placeholder with the value of your instance.",
    ),
    Entry(
        "IDS-110",
        "An ARN is not valid.",
        "roleArn and oidcProviderArn are exchanged, or a part is missing.",
        "Copy the ARN from RAM: acs:ram::<account id>:role/<name> or acs:ram::<account id>:oidc-provider/<name>.",
    ),
    Entry(
        "IDS-111",
        "The scope does not name exactly one audience.",
        "A scope reads <audience>|<value>, and all values of a request must have one audience.",
        "Copy the scope from the application's permissions in IDaaS, such as api.example.com|.all.",
    ),
    Entry(
        "IDS-112",
        "A URL cannot be used.",
        "It is not an https URL, or it has a query, a fragment, a user name or a password.",
        "Write the URL as https://host/path; http is for loopback hosts only.",
    ),
    Entry(
        "IDS-113",
        "Two keys exclude each other.",
        "Both are set, and only one can be used.",
        "Remove one of the two keys that the message names.",
    ),
    Entry(
        "IDS-114",
        "A region is not valid, or has no such endpoint.",
        "regionId is misspelled, or vpc is set in a region without a VPC endpoint.",
        "Use an id such as cn-hangzhou, or leave vpc out.",
    ),
    Entry(
        "IDS-115",
        "A private key or certificate cannot be used.",
        "The file is not PEM, has another type of key, needs a password, or key and certificate do not match.",
        "Name a PEM file of the right kind: certificates (-----BEGIN CERTIFICATE-----), or the key that matches them.",
    ),
    Entry(
        "IDS-116",
        "The IDaaS SDK's file was given as the sidecar's configuration.",
        "--config names client-config.json.",
        "Name it in identity.clientConfigPath of a profile, or set CLOUD_IDAAS_CONFIG_PATH and leave out --config.",
    ),
    Entry(
        "IDS-117",
        "The configVersion is not supported.",
        "The file was written for another version of the sidecar.",
        'Write "configVersion": "1.0".',
    ),
    Entry(
        "IDS-118",
        "A session policy cannot be used.",
        "It is not a JSON object, or longer than 2 048 characters when minified.",
        "Correct the JSON of policy, or shorten it with wildcards in Action and Resource to 2 048 characters.",
    ),
    Entry(
        "IDS-119",
        "The environment names two identities.",
        "Both the IDaaS SDK's file and ALIBABA_CLOUD_OIDC_TOKEN_FILE exist.",
        "Unset ALIBABA_CLOUD_OIDC_TOKEN_FILE or CLOUD_IDAAS_CONFIG_PATH, or write a configuration file.",
    ),
    Entry(
        "IDS-120",
        "The configuration has no such profile.",
        "--profile, or the path of a client's URL, names another one.",
        "Use a name of the configuration, or add the profile.",
    ),
    Entry(
        "IDS-121",
        "An address to listen on is not valid, or exposes credentials.",
        "A bind that is not on loopback is refused without access.unsafeBind.",
        "Use 127.0.0.1:<port> for a listener, and an absolute path or @name for server.adminSocket.",
    ),
    Entry(
        "IDS-122",
        "A setting has a drawback or no effect.",
        "The configuration works, but not as it reads.",
        "Change or remove the key that the warning begins with.",
    ),
    Entry(
        "IDS-123",
        "The command of an identity cannot be started.",
        "The path is not absolute, does not exist, is empty or not executable by this user, or its interpreter "
        "is missing.",
        "Write the absolute path of the program into identity.command, and make the program executable: `chmod 0755`.",
    ),
    Entry(
        "IDS-124",
        "A file that the configuration names does not exist yet.",
        "SPIRE, a Vault agent, cert-manager or kubelet has not written it, or the path is wrong.",
        "Start the program that writes it, or correct the path.",
    ),
    Entry(
        "IDS-125",
        "An option of a command cannot be used.",
        "Its value is not possible, or it excludes another option.",
        "Change the option that the message names; `idaas-sidecar help COMMAND` lists the options.",
    ),
    Entry(
        "IDS-126",
        "A file that a command reads has other content.",
        "It is not valid JSON or YAML, a key is misspelled or missing, or another file was given.",
        "Correct the file at the place that the message names, or give a file of the kind that `--help` names.",
    ),
    Entry(
        "IDS-127",
        "What RAM should have breaks a limit of RAM.",
        "A name, URL, fingerprint, policy or number is outside what RAM accepts.",
        "Change the value that the message begins with, so that it keeps the limit.",
    ),
    Entry(
        "IDS-128",
        "The webhook cannot use its settings, its certificate or a CredentialPolicy.",
        "A file of the chart's ConfigMap or Secret was changed by hand, or the name of the policy is another one.",
        "Install the chart again with `helm upgrade`, or correct the CredentialPolicy that the message names.",
    ),
    Entry(
        "IDS-129",
        "A part of the program is not installed.",
        "The production image has no emulator; PyYAML and the packages of OpenTelemetry are optional.",
        "Use the image or the extra that the message names, for example `pip install idaas-credential-sidecar[yaml]`.",
    ),
    Entry(
        "IDS-130",
        "More processes than necessary can read a secret's file.",
        "Its mode lets other users read it, and it is in no volume that only this container's user sees.",
        "Run `chmod 600` on the file, or set `defaultMode: 0400` and the pod's `fsGroup` for a mounted one.",
    ),
    Entry(
        "IDS-131",
        "Root does not use a secret of another user.",
        "The file is for a sidecar of its owner, such as the user of a systemd unit, and root runs the command.",
        "Run the command as the owner of the file: `sudo -u USER idaas-sidecar`; `chown` it for a sidecar of root.",
    ),
    Entry(
        "IDS-132",
        "No command accepts the command line.",
        "A command or option is misspelled, a value is not possible, or an argument is missing.",
        "Use the word that the message suggests, or one that `idaas-sidecar help COMMAND` lists.",
    ),
    Entry(
        "IDS-133",
        "The injection refuses the pod.",
        "The pod requests profiles that its CredentialPolicy does not grant, or already has what the injection adds.",
        "Change the label, annotation or container that the message names, or the CredentialPolicy of the namespace.",
    ),
)
