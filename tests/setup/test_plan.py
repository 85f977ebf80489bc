"""Plans: every limit of RAM is a message before RAM is asked, and workloads share providers, roles and statements."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.config.settings import Settings
from app.core.errors import ConfigError
from app.emulator.world.trust_policy import allows, validation_error
from app.identity.idaas import IdaasIdentity
from app.setup import plan, profiles
from app.setup.sources import Source
from app.setup.workload import ChainTarget, Workload, read_file

from ..conftest import configuration, identity

PRINT = "902ef2deeb3c5b13ea4c3d5193629309e231ae55"
ISSUER = "https://example.aliyunidaas.com/api/v2/iauths_system/oauth2"
ACCOUNT = "1234567890123456"
COMPLETE = Workload(
    account=ACCOUNT,
    provider="idaas",
    issuer=ISSUER,
    audience="api.example.com",
    client_id="app_1",
    idaas_instance_id="idaas_1",
    role="orders",
    fingerprints=(PRINT,),
)


def changed(**members: Any) -> Workload:
    """Return the complete workload with other members."""
    return msgspec.structs.replace(COMPLETE, **members)


def made(*workloads: Workload) -> plan.Plan:
    """Return the plan for the workloads."""
    plan.check([(each, lambda key: f"--{key}") for each in workloads])
    return plan.make(workloads, {})


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"account": None}, "--account: required; the id of the Alibaba Cloud account"),
        ({"account": "me"}, "--account: 'me' is not an account id; write its digits"),
        ({"client_id": "a\u200b"}, r"--clientId: 'a\\u200b' has '\\u200b', which a client id cannot have; copy"),
        ({"scope": 'a"b'}, "--scope: .* has '\"', which a scope cannot have; copy"),
        ({"provider": None}, "--provider: required"),
        ({"provider": "-idaas"}, "--provider: '-idaas' is not a name that RAM accepts"),
        ({"provider": "p" * 129}, "is not a name that RAM accepts; use 1 to 128"),
        ({"issuer": "http://a.example/"}, "must begin with https://"),
        ({"issuer": "https://"}, "must begin with https:// and name a host"),
        ({"issuer": "https:///a"}, "must begin with https:// and name a host"),
        ({"issuer": "https://a.example/?b=c"}, "contains [?], which RAM refuses"),
        ({"issuer": "https://a.example/#b"}, "contains #, which RAM refuses"),
        ({"issuer": "https://u@a.example/"}, "contains @, which RAM refuses"),
        ({"issuer": "https://a.example/" + "b" * 240}, "has 258 characters; RAM accepts 255"),
        ({"issuer": "https://a.example/ b"}, "has ' ', which a URL cannot have; copy the URL again"),
        ({"audience": None}, "--audience: required; the aud of the token"),
        ({"audience": "/api"}, "'/api' is not a client id that RAM accepts"),
        ({"audience": "a" * 129}, "is not a client id that RAM accepts"),
        ({"role": "a_b"}, "'a_b' is not a role name that RAM accepts; use 1 to 64 of A-Z a-z 0-9 . -"),
        ({"role": "r" * 65}, "is not a role name that RAM accepts"),
        ({"client_id": None}, "--subjects: required: .*; for IDaaS and Okta the client id is enough"),
        ({"subjects": tuple(map(str, range(11)))}, "11 subjects; RAM accepts 10 values of oidc:sub"),
        ({"subjects": ("*",)}, "'[*]' trusts every client"),
        ({"subjects": ("app_1", "?*")}, "'[?][*]' trusts every client"),
        ({"subjects": ("",)}, "has an empty subject"),
        ({"issuance_hours": 0}, "0; RAM accepts 1 to 168 hours, and uses 12 by default"),
        ({"issuance_hours": 169}, "169; RAM accepts 1 to 168 hours"),
        ({"session_seconds": 43201}, "43201; RAM accepts 3600 to 43200 seconds"),
        ({"policies": ("a_b",)}, "'a_b' is not a policy name"),
        ({"fingerprints": ()}, "provider idaas: 0 fingerprints; RAM accepts 1 to 5"),
        ({"fingerprints": tuple(str(number) * 40 for number in range(6))}, "6 fingerprints; RAM accepts 1 to 5"),
        ({"fingerprints": ("90:2e",)}, "'90:2e' is not a SHA-1 fingerprint; write 40 hexadecimal digits"),
        ({"subjects": tuple("s" * 300 + str(number) for number in range(8))}, "characters; RAM accepts 2048"),
        ({"policy_documents": {"own": {"Statement": ["x" * 6144]}}}, "characters; RAM accepts 6144"),
        ({"chain": (ChainTarget(role_arn="archive"),)}, "'archive' must read acs:ram::<account>:role/<name>"),
    ],
)
def test_a_broken_limit_is_a_message(members, message):
    """Each value that RAM would refuse is a message that names the place and the cure."""
    with pytest.raises(ConfigError, match=message):
        made(changed(**members))


def test_all_mistakes_are_in_one_message():
    """Every mistake has a line of its own."""
    with pytest.raises(ConfigError) as found:
        made(changed(account="me", role="a_b", issuance_hours=0))

    assert len(str(found.value).splitlines()) == 3


def test_limits_of_the_account():
    """101 providers, and 51 audiences of one provider, are too many."""
    providers = [
        changed(name=f"n{i}", provider=f"p{i}", issuer=f"https://{i}.example/", role=f"r{i}") for i in range(101)
    ]
    audiences = [changed(name=f"n{i}", audience=f"aud{i}", role=f"r{i}") for i in range(51)]

    with pytest.raises(ConfigError, match="101 OIDC providers; an account has at most 100"):
        made(*providers)
    with pytest.raises(ConfigError, match="51 client ids; RAM accepts 1 to 50"):
        made(*audiences)
    assert len(made(*providers[:100]).providers) == 100
    assert len(made(*audiences[:50]).providers[0].client_ids) == 50


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"issuer": "https://other.example/"}, "two issuers"),
        ({"provider": "second"}, "belongs to provider idaas; RAM accepts an issuer once"),
        ({"policy_documents": {"own": {"Version": "2"}}}, "policy own: two documents have this name"),
        ({"subjects": tuple(map(str, range(10)))}, "role orders: 11 subjects"),
    ],
)
def test_two_workloads_that_contradict_each_other(members, message):
    """Two workloads that RAM could not have side by side are a message."""
    first = changed(policy_documents={"own": {"Version": "1"}})

    with pytest.raises(ConfigError, match=message):
        made(first, changed(name="second", **members))


def test_roles_that_trust_each_other_are_a_mistake():
    """A chain that returns to its beginning is a message."""
    chain = (
        ChainTarget(role_arn=f"acs:ram::{ACCOUNT}:role/b"),
        ChainTarget(role_arn=f"acs:ram::{ACCOUNT}:role/orders"),
    )
    with pytest.raises(ConfigError, match="roles trust each other in a circle"):
        made(changed(chain=chain))


def test_workloads_of_one_role_share_a_statement():
    """Subjects of one audience share a statement, another audience and a pattern have their own."""
    role = made(
        COMPLETE,
        changed(name="b", client_id="app_2"),
        changed(name="c", audience="api.second", client_id="app_3"),
        changed(name="d", subjects=("app_9*",)),
    ).roles[0]

    def is_trusted(audience: str, subject: str) -> bool:
        context = {"oidc:iss": (ISSUER,), "oidc:aud": (audience,), "oidc:sub": (subject,)}
        arn = f"acs:ram::{ACCOUNT}:oidc-provider/idaas"
        return allows(role.trust_policy, principal_type="Federated", principals=(arn,), context=context)

    assert validation_error(role.trust_policy) is None
    assert len(role.trust_policy["Statement"]) == 3
    assert is_trusted("api.example.com", "app_1")
    assert is_trusted("api.example.com", "app_2")
    assert is_trusted("api.example.com", "app_98")
    assert is_trusted("api.second", "app_3")
    assert not is_trusted("api.second", "app_1")
    assert not is_trusted("api.example.com", "app_3")


def test_a_role_follows_the_roles_that_it_trusts():
    """In a plan, a chained role comes after the role whose sessions assume it."""
    chain = (ChainTarget(role_arn=f"acs:ram::{ACCOUNT}:role/b"),)
    roles = made(changed(role="b"), changed(name="c", role="c", chain=chain)).roles

    assert [role.name for role in roles] == ["c", "b"]
    assert roles[0].custom_policies == (f"assume-{ACCOUNT}-b",)


# --- the --from file --------------------------------------------------------------------------------------------------


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Write a file and return its path."""

    def written(content: Any, name: str = "workloads.json") -> str:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return written


def test_members_of_the_file_are_defaults(write):
    """Members beside `workloads` apply to each workload that does not set them."""
    found = read_file(write({"account": ACCOUNT, "workloads": [{"name": "a"}, {"name": "b", "account": "2"}]}))

    assert [(each.name, each.account) for each, _ in found.workloads] == [("a", ACCOUNT), ("b", "2")]


def test_a_yaml_file_is_read(write):
    """A file in YAML is read as one in JSON."""
    pytest.importorskip("yaml", reason="needs PyYAML: pip install pyyaml")
    found = read_file(write(f"account: '{ACCOUNT}'\nworkloads:\n  - name: a\n    subjects: [s]\n", "w.yaml"))

    assert [each for each, _ in found.workloads] == [Workload(name="a", account=ACCOUNT, subjects=("s",))]


DEFAULTS = {
    "account": ACCOUNT,
    "provider": "idaas",
    "issuer": "https://idaas.example.com",
    "audience": "api.example.com",
    "clientId": "app_1",
    "role": "orders",
}


def refused(path: str) -> list[str]:
    """Return the lines that a `--from` file is refused with."""

    def check() -> None:
        read = read_file(path)
        plan.check(read.workloads, read.findings, path)

    with pytest.raises(ConfigError) as found:
        check()
    return str(found.value).splitlines()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "workloads: required, a list of objects"),
        ({"workloads": []}, "workloads: required"),
        ({**DEFAULTS, "workloads": [{"acount": "1"}]}, r"workloads\[0\].acount: unknown key; did you mean account\?"),
        (
            {**DEFAULTS, "workloads": [{"account": 1}]},
            "account: must be a string or null, not a whole number; put it in quotes",
        ),
        (
            {**DEFAULTS, "workloads": [{"kind": "aws"}]},
            r"workloads\[0\].kind: 'aws' is not known in this version, which",
        ),
        ({**DEFAULTS, "workloads": [{}, {}]}, r"workloads\[1\].name: 'default' is the name of workloads\[0\]; give"),
        ({**DEFAULTS, "workloads": [{}, 1]}, r"workloads\[1\]: must be an object"),
        (
            {**DEFAULTS, "account": "one", "workloads": [{"name": "a"}, {"name": "b"}]},
            "account: 'one' is not an account",
        ),
        ({**DEFAULTS, "acount": "1", "workloads": [{"name": "a"}, {"name": "b"}]}, "acount: unknown key"),
        ("{", "not JSON"),
    ],
)
def test_a_wrong_file_is_a_message(write, content, message):
    """A mistake in the file is one line with its place, also where it is in a default of all workloads."""
    path = write(content)
    (line,) = refused(path)

    assert re.search(f"^{re.escape(path)}:.*{message}", line)


def test_all_mistakes_of_the_file_are_in_one_run(write):
    """Unknown keys, wrong types, values that RAM refuses and contradictions of all workloads are listed together."""
    one = {**DEFAULTS, "name": "a", "chain": [{"roleArn": "x"}, {"sessionSeconds": "1"}], "issuanceHours": 500}
    two = {**DEFAULTS, "name": "b", "audiense": "x", "subjects": ["*"], "policies": [1, "a b"], "sessionSeconds": 899}
    three = {**DEFAULTS, "name": "c", "issuer": "https://other.example.com"}
    path = write({"sessionSeconds": "1h", "workloads": [one, two, three, {**DEFAULTS, "name": "d"}]})

    assert [line.removeprefix(f"{path}: ").partition(": ")[0] for line in refused(path)] == [
        "sessionSeconds",
        "workloads[0].chain[1].sessionSeconds",
        "workloads[0].chain[1].roleArn",
        "workloads[1].audiense",
        "workloads[1].policies[0]",
        "workloads[0].issuanceHours",
        "workloads[0].chain[0].roleArn",
        "workloads[1].subjects",
        "workloads[1].sessionSeconds",
        "workloads[1].policies",
        "provider idaas",
    ]


# --- the configuration ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["idaas", "okta", "keycloak", "kubernetes", "oidc"])
def test_the_printed_configuration_is_valid(kind, tmp_path, write):
    """The configuration of a plan loads, and describes the same provider, role and issuer for each kind of issuer."""
    from app.config.loader import load

    document = profiles.configuration([changed(kind=kind, subjects=("s",))], "cn-hangzhou")
    loaded = load(write(document), {}, hostname="h", now=lambda: 0.0, look=False)
    back = profiles.workload("default", loaded.settings.profiles["default"])

    assert back is not None
    assert (back.account, back.provider, back.role) == (ACCOUNT, "idaas", "orders")
    assert back.issuer == (None if kind == "kubernetes" else ISSUER)
    if kind == "oidc":
        assert back.audience == COMPLETE.audience


@pytest.mark.parametrize(
    ("kind", "scope", "expected"),
    [
        ("idaas", None, {"scope": "api.example.com|.all"}),
        ("idaas", "api.example.com|read", {"scope": "api.example.com|read"}),
        ("okta", "sts", {"scope": "sts"}),
        ("oidc", "api://a/.default", {"scope": "api://a/.default"}),
        ("oidc", None, {"audience": "api.example.com"}),
        ("keycloak", None, {}),
    ],
)
def test_the_token_request_of_the_configuration(kind, scope, expected):
    """The configuration requests a token for the audience, in the way in which the kind of issuer determines it."""
    document = profiles.configuration([changed(kind=kind, scope=scope)])

    found = document["profiles"]["default"]["identity"]
    assert {key: found[key] for key in ("scope", "audience") if key in found} == expected


@pytest.mark.parametrize(
    ("members", "key"),
    [
        ({"idaas_instance_id": None}, "idaasInstanceId"),
        ({"kind": "okta"}, "scope"),
        ({"kind": "okta", "scope": "sts"}, None),
        ({}, None),
    ],
)
def test_what_the_configuration_lacks_is_noted(members, key):
    """A value that the configuration needs and that no flag gives leads to a note, not to a null in the file."""
    workload = changed(policies=("P",), **members)
    found = Source([(workload, str)], writes_configuration=True).plan({})

    lacking = [note for note in found.notes if note.startswith("profile default:")]
    assert ["idaasInstanceId" if "idaasInstanceId" in note else "scope" for note in lacking] == [key] * bool(key)
    assert "null" not in json.dumps(found.configuration)


# --- the subject of an IDaaS application ------------------------------------------------------------------------------


def notes(**changes: Any) -> str:
    """Return the notes of the plan of one workload, from a `--from` file with changed members."""
    workload = msgspec.convert({**DEFAULTS, "policies": ["P"], "fingerprints": ["a" * 40], **changes}, Workload)
    source = Source([(workload, str)], writes_configuration=True)
    assert list(source.issuers_to_ask()) == []
    return " ".join(source.plan({}).notes)


@pytest.mark.parametrize(
    ("changes", "is_noted"),
    [
        ({"subjects": ["app_2"]}, True),
        ({"subjects": ["app_"]}, True),
        ({"subjects": ["App_1", "app_11"]}, True),
        ({"subjects": ["x*"]}, True),
        ({}, False),
        ({"subjects": ["app_2", "app_1"]}, False),
        ({"subjects": ["app_?"]}, False),
        ({"clientId": None, "subjects": ["app_2"]}, False),
        ({"kind": "keycloak", "subjects": ["person"]}, False),
    ],
)
def test_subject_that_is_not_the_client_id_is_noted(changes, is_noted):
    """For an application of IDaaS, a note names subjects that do not admit the client id, which is its `sub`."""
    assert ("IDaaS writes the client id app_1 into sub" in notes(**changes)) is is_noted


def test_subject_of_an_exchanged_token_is_that_of_the_other_identity():
    """With a token exchange, the role trusts the subject of the exchanged identity, not the application."""
    other = identity(clientId="app_9")
    settings = msgspec.convert(configuration(), Settings)
    profile = settings.profiles["default"]
    exchanged = msgspec.structs.replace(
        profile, identity=msgspec.convert(identity(tokenExchange={"subject": other}), IdaasIdentity)
    )

    assert profiles.workload("default", profile).all_subjects == ("app_demo",)
    assert profiles.workload("default", exchanged).all_subjects == ("app_9",)


def test_fingerprints_go_where_the_workloads_are():
    """The cure for an issuer out of reach names the file, or the flag where there is no file."""
    assert Source([], writes_configuration=True, origin="w.json").without_chain == "write fingerprints into w.json"
    assert Source([], writes_configuration=True).without_chain == "give --fingerprint"
