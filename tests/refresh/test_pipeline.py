"""The fetch of a token and of a session, against the emulated cloud, which verifies each request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app.config.loader import Loaded
from app.core.errors import ConfigError, Refused, Unreachable
from app.core.events import Event, StageTimed, TokenVerified, Warned
from app.emulator import Emulator, Fault, PublicKey, Secret
from app.emulator.world.world import CLIENT_ID, role_arn
from app.observe.counters import RefreshCounters
from app.refresh.fetch_slots import AT_ONCE, FetchSlots
from app.refresh.pipeline import Pipeline
from app.upstream.keys import key_derivation

from ..clock import Clock
from ..conftest import ENVIRON, Offline, configuration, exchange, identity, running, with_client_auth
from ..simulated_loop import simulated

Build = Callable[..., Offline]


def register_keys(emulator: Emulator, *keys: PublicKey) -> None:
    """Make `keys` the registered public keys of the demo client."""
    client = replace(emulator.world.clients[CLIENT_ID], public_keys=keys)
    emulator.world = replace(emulator.world, clients={**emulator.world.clients, CLIENT_ID: client})


def public_key(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, key_id: str | None = None) -> PublicKey:
    """Return the public half of a key, as the emulator registers it."""
    private_pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return PublicKey(private_pem.decode(), key_id)


def private_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> str:
    """Return a private key as PEM, encrypted if there is a password."""
    encryption = (
        serialization.BestAvailableEncryption(password) if password is not None else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


@pytest.mark.parametrize("method", ["CLIENT_SECRET_POST", "CLIENT_SECRET_BASIC", "CLIENT_SECRET_JWT"])
async def test_each_secret_method_obtains_a_session(method: str, offline: Build, emulator: Emulator) -> None:
    """Each method with a client secret obtains a token, and with it a session of the right role."""
    credentials = await offline(with_client_auth(method)).fetch()

    assert credentials.access_key_id.startswith("STS.")
    assert credentials.expires_at - credentials.issued_at == 3600
    assert [call.outcome for call in emulator.journal] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (rsa.generate_private_key(65537, 2048), "RS256"),
        (rsa.generate_private_key(65537, 3072), "RS384"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ec.generate_private_key(ec.SECP521R1()), "ES512"),
    ],
    ids=["RS256", "RS384", "ES256", "ES384", "ES512"],
)
async def test_private_key_signs_with_its_own_algorithm(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, algorithm: str, offline: Build, emulator: Emulator
) -> None:
    """A private key signs with the algorithm that fits it, and the emulator verifies the signature."""
    register_keys(emulator, public_key(key))
    config = with_client_auth("PRIVATE_KEY_JWT", privateKeyEnvVarName="KEY")

    credentials = await offline(config, {"KEY": private_pem(key)}).fetch()

    assert credentials.access_key_id
    assert emulator.journal[0].outcome == "ok"


async def test_closed_pipeline_leaves_no_key_in_memory(offline: Build, emulator: Emulator) -> None:
    """A decrypted key stays in memory between requests, and goes with the configuration that names it."""
    key_derivation.forget()
    key = ec.generate_private_key(ec.SECP256R1())
    register_keys(emulator, public_key(key))
    method = {"privateKeyEnvVarName": "KEY", "privateKeyPasswordEnvVarName": "PASSWORD"}
    sidecar = offline(
        with_client_auth("PRIVATE_KEY_JWT", **method),
        {"KEY": private_pem(key, b"of-the-key"), "PASSWORD": "of-the-key"},
    )

    await sidecar.fetch()
    assert len(key_derivation._results) == 1
    await sidecar.pipeline.aclose()

    assert len(key_derivation._results) == 0


async def test_algorithm_and_key_id_are_configurable(offline: Build, emulator: Emulator) -> None:
    """An RSA key signs RS512 when configured, and its `kid` selects the right one of two registered keys."""
    key, other = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    register_keys(emulator, public_key(other, "old"), public_key(key, "new"))
    config = with_client_auth("PRIVATE_KEY_JWT", privateKeyEnvVarName="KEY", algorithm="RS512", keyId="new")

    await offline(config, {"KEY": private_pem(key)}).fetch()

    assert emulator.journal[0].outcome == "ok"


async def test_algorithm_that_does_not_fit_the_key_is_refused(offline: Build) -> None:
    """ES256 with an RSA key is a configuration error, found before any request."""
    config = with_client_auth("PRIVATE_KEY_JWT", privateKeyEnvVarName="KEY", algorithm="ES256")
    environ = {"KEY": private_pem(rsa.generate_private_key(65537, 2048))}

    with pytest.raises(ConfigError, match="ES256 does not fit the key, whose own is RS256"):
        await offline(config, environ).fetch()


async def test_sts_request_has_the_token_in_its_body(offline: Build, emulator: Emulator) -> None:
    """STS gets a POST with nothing secret in the URL, and is asked for JSON, as its documentation recommends."""
    await offline().fetch()

    sts = emulator.journal[1].fields
    assert sts[":method"] == "POST"
    assert (
        sts[":query"] == "Action=AssumeRoleWithOIDC&Version=2015-04-01&Format=JSON&Timestamp=2026-01-02T03%3A04%3A05Z"
    )
    assert sts["RoleSessionName"] == "session-1"
    assert sts["DurationSeconds"] == "3600"
    assert "Policy" not in sts


async def test_session_policy_is_minified(offline: Build, emulator: Emulator) -> None:
    """A session policy is sent minified, which is the form whose length STS limits."""
    policy = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:Get*", "Resource": "*"}]}
    profiles = {"default": {"identity": identity(), "exchange": exchange(policy=policy)}}

    await offline(configuration(profiles=profiles)).fetch()

    assert emulator.journal[1].fields["Policy"] == (
        '{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:Get*","Resource":"*"}]}'
    )


async def test_profiles_of_one_identity_share_a_token(offline: Build, emulator: Emulator) -> None:
    """Three roles of one identity and scope that start together make one token call and three STS calls."""
    sidecar = offline(configuration("default", "p2", "p3"))

    await asyncio.gather(*(sidecar.fetch(name) for name in ("default", "p2", "p3")))

    assert emulator.totals["token"] == 1
    assert emulator.totals["sts"] == 3


async def test_concurrent_first_reads_share_one_fetch(offline: Build, emulator: Emulator) -> None:
    """Two hundred concurrent reads at a cold start make one token call and one STS call."""
    sidecar = offline()
    refresher = sidecar.refreshers["default"]
    async with running(refresher):
        await asyncio.gather(*(refresher.settled() for _ in range(200)))

    assert refresher.credentials()
    assert (emulator.totals["token"], emulator.totals["sts"]) == (1, 1)


@simulated
async def test_hanging_profiles_do_not_block_another(offline: Build, emulator: Emulator, clock: Clock) -> None:
    """When as many profiles hang as may fetch at a time, another profile still gets its turn."""
    hanging = [f"h{number}" for number in range(AT_ONCE)]
    sidecar = offline(configuration(*hanging, "default"))
    await sidecar.fetch()
    emulator.faults.add(Fault("sts", times=AT_ONCE, delay=3600))
    hanging_tasks = [asyncio.create_task(sidecar.fetch(name)) for name in hanging]
    await clock.asleep(AT_ONCE)

    assert (await sidecar.fetch()).access_key_id

    for task in hanging_tasks:
        task.cancel()
    await asyncio.gather(*hanging_tasks, return_exceptions=True)


class InterruptingSlots(FetchSlots):
    """Interrupts each fetch once, after a second."""

    async def fetch(self, fetch: Any, *_of: Any) -> Any:
        """Fetch for a second, and then begin again."""
        interrupted = _of[-1]
        try:
            async with asyncio.timeout(1):
                return await fetch()
        except TimeoutError:
            interrupted()
        return await fetch()


@simulated
async def test_interrupted_attempt_is_neither_a_duration_nor_a_failure(
    loaded: Callable[..., Loaded], emulator: Emulator, clock: Clock
) -> None:
    """A stage that was interrupted has no duration: its server has not answered. The interruption is counted."""
    counters, events = RefreshCounters(clock.time), list[Event]()

    def observe(event: Event) -> None:
        counters.observe(event)
        events.append(event)

    pipeline = Pipeline(
        loaded(configuration()).settings,
        ENVIRON,
        clocks=clock.clocks,
        observe=observe,
        transport=lambda _route: httpx.ASGITransport(emulator),  # type: ignore[arg-type]
        slots=InterruptingSlots(),
    )
    emulator.faults.add(Fault("sts", times=1, delay=3600))

    assert (await pipeline.fetch("default")).access_key_id

    stages = [(event.stage, event.seconds < 1) for event in events if isinstance(event, StageTimed)]
    assert stages == [("token", True), ("token", True), ("exchange", True)]
    assert counters.interruptions == {"default": 1}
    assert not counters.failures


@simulated
async def test_fetches_at_the_same_time_are_limited(offline: Build, emulator: Emulator, clock: Clock) -> None:
    """Two profiles fetch at once, thirty more after a second each has waited, and no others while all of them hang."""
    hanging = [f"h{number}" for number in range(40)]
    sidecar = offline(configuration("default", *hanging))
    await sidecar.fetch()
    emulator.faults.add(Fault("sts", times=None, delay=3600))
    tasks = [asyncio.create_task(sidecar.fetch(name)) for name in hanging]
    calls = []
    for seconds in (0.5, 1, 10):
        await asyncio.sleep(seconds)
        calls.append(emulator.totals["sts"] - 1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert calls == [2, 32, 32]
    emulator.faults.clear()
    assert (await sidecar.fetch()).access_key_id


async def test_forgotten_token_is_replaced(offline: Build, emulator: Emulator) -> None:
    """After `forget_token` the next fetch obtains a new token."""
    sidecar = offline()
    await sidecar.fetch()
    sidecar.pipeline.forget_token("default")
    await sidecar.fetch()

    assert emulator.totals["token"] == 2


async def test_scopes_do_not_share_a_token(offline: Build, emulator: Emulator) -> None:
    """Two scopes of one client have a token each."""
    profiles = {
        "default": {"identity": identity(), "exchange": exchange()},
        "p2": {"identity": identity(scope="api.demo.example|read"), "exchange": exchange("p2")},
    }
    sidecar = offline(configuration(profiles=profiles))

    await asyncio.gather(*(sidecar.fetch(name) for name in profiles))

    assert emulator.totals["token"] == 2


async def test_token_is_cached_until_a_fifth_of_its_lifetime_is_left(
    offline: Build, emulator: Emulator, clock: Clock
) -> None:
    """A 1200 s token is used for refreshes for 960 s; then a new one is requested."""
    sidecar = offline()
    await sidecar.fetch()
    clock.skip(959)
    await sidecar.fetch()
    assert emulator.totals["token"] == 1

    clock.skip(2)
    await sidecar.fetch()

    assert emulator.totals["token"] == 2


@pytest.mark.parametrize("code", ["Expired", "InvalidSignature", "Invalid"])
async def test_refused_token_is_replaced_once(code: str, offline: Build, emulator: Emulator) -> None:
    """When STS refuses the token itself, one new token is fetched and tried."""
    emulator.faults.add(Fault("sts", code=f"AuthenticationFail.OIDCToken.{code}"))

    assert (await offline().fetch()).access_key_id
    assert (emulator.totals["token"], emulator.totals["sts"]) == (2, 2)


async def test_second_refusal_of_a_token_is_an_error(offline: Build, emulator: Emulator) -> None:
    """When STS also refuses the new token, the attempt fails."""
    emulator.faults.add(Fault("sts", times=2, code="AuthenticationFail.OIDCToken.Expired"))

    with pytest.raises(Refused, match=r"AuthenticationFail\.OIDCToken\.Expired"):
        await offline().fetch()
    assert emulator.totals["sts"] == 2


async def test_invalid_client_is_retried_with_a_new_assertion(offline: Build, emulator: Emulator) -> None:
    """An invalid_client may be an aged assertion, so a new assertion is sent once."""
    emulator.faults.add(Fault("token", code="invalid_client"))

    assert (await offline(with_client_auth("CLIENT_SECRET_JWT")).fetch()).access_key_id


async def test_wrong_secret_is_a_permanent_error(offline: Build, emulator: Emulator) -> None:
    """A wrong secret is a permanent error with the code and a hint, and without the secret."""
    with pytest.raises(Refused) as caught:
        await offline(environ={"IDAAS_SECRET": "not-the-secret"}).fetch()

    assert caught.value.code == "invalid_client"
    assert "a current secret" in str(caught.value)
    assert "not-the-secret" not in str(caught.value)
    assert emulator.totals["sts"] == 0


async def test_rotated_secret_is_used_by_the_next_token_request(
    offline: Build, emulator: Emulator, clock: Clock, loaded: object
) -> None:
    """After a rotation the next token request carries the new secret without a restart."""
    environ = {"IDAAS_SECRET": "demo-client-secret"}
    sidecar = offline(environ=environ)
    await sidecar.fetch()
    client = emulator.world.clients[CLIENT_ID]
    rotated = replace(client, secrets=(Secret("rotated-secret"),))
    emulator.world = replace(emulator.world, clients={CLIENT_ID: rotated})
    environ["IDAAS_SECRET"] = "rotated-secret"
    clock.skip(1200)

    await sidecar.fetch()

    assert emulator.journal[-2].outcome == "ok"
    assert emulator.totals["token"] == 2


async def test_next_endpoint_is_tried_after_a_transient_error(offline: Build, emulator: Emulator) -> None:
    """When the first STS endpoint fails, the second one is tried in the same attempt."""
    endpoints = ["http://127.0.0.1:7081", "http://127.0.0.1:7080"]
    profiles = {"default": {"identity": identity(), "exchange": exchange(endpoints=endpoints)}}
    emulator.faults.add(Fault("sts", status=503))

    assert (await offline(configuration(profiles=profiles)).fetch()).access_key_id

    hosts = [call.fields["host"] for call in emulator.journal if call.kind == "sts"]
    assert hosts == ["127.0.0.1:7081", "127.0.0.1:7080"]


@pytest.mark.parametrize(
    "fault",
    [Fault("sts", code="Throttling.User"), Fault("sts", code="AuthenticationFail.NoPermission")],
    ids=["throttled", "refused"],
)
async def test_account_wide_errors_are_not_retried_at_the_next_endpoint(
    fault: Fault, offline: Build, emulator: Emulator
) -> None:
    """Throttling and refusals apply to the account, so the next endpoint is not tried."""
    endpoints = ["http://127.0.0.1:7081", "http://127.0.0.1:7080"]
    profiles = {"default": {"identity": identity(), "exchange": exchange(endpoints=endpoints)}}
    emulator.faults.add(fault)

    with pytest.raises((Unreachable, Refused)):
        await offline(configuration(profiles=profiles)).fetch()
    assert emulator.totals["sts"] == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"roleArn": role_arn("nobody")}, "EntityNotExist.Role"),
        ({"oidcProviderArn": "acs:ram::1234567890123456:oidc-provider/other"}, "AuthenticationFail.NoPermission"),
        ({"durationSeconds": 43_200}, "InvalidParameter.DurationSeconds"),
    ],
)
async def test_sts_refusal_has_code_and_request_id(
    changes: dict[str, object], code: str, offline: Build, emulator: Emulator
) -> None:
    """A refusal of STS is a permanent error with its code and request id."""
    role = replace(emulator.world.roles[role_arn("default")], max_session_duration=3600)
    emulator.world = replace(emulator.world, roles={role_arn("default"): role})
    profiles = {"default": {"identity": identity(), "exchange": exchange(**changes)}}

    with pytest.raises(Refused) as caught:
        await offline(configuration(profiles=profiles)).fetch()

    assert caught.value.code == code
    assert caught.value.request_id
    assert caught.value.request_id in str(caught.value)


BAD_RESPONSES = [
    ("truncated", Fault("*", body=b'{"access_to')),
    ("html", Fault("*", body=b"<html>hello</html>", content_type="text/html")),
    ("list", Fault("*", body=b"[]")),
    ("empty object", Fault("*", body=b"{}")),
    ("empty", Fault("*", body=b"")),
    ("huge", Fault("*", body=b"x" * 300_000)),
    ("redirect", Fault("*", status=307, headers={"location": "http://127.0.0.1:9/"})),
    ("dropped", Fault("*", drop=True)),
    ("server error", Fault("*", status=500)),
    ("gateway", Fault("*", status=502, body=b"<html>", content_type="text/html")),
    ("compressed", Fault("*", body=b"\x1f\x8b", headers={"content-encoding": "gzip"})),
    ("expired", Fault("*", expiration_offset=-60)),
    ("empty values", Fault("*", body=b'{"access_token":"","Credentials":{"AccessKeyId":"","Expiration":""}}')),
]


@pytest.mark.parametrize("endpoint", ["token", "sts"])
@pytest.mark.parametrize(("name", "fault"), BAD_RESPONSES, ids=[name for name, _ in BAD_RESPONSES])
async def test_bad_response_is_a_transient_error(
    endpoint: str, name: str, fault: Fault, offline: Build, emulator: Emulator
) -> None:
    """Any bad response of an endpoint is an Unreachable in one line that names the URL and not the response's text."""
    emulator.faults.add(replace(fault, kind=endpoint, times=None))

    with pytest.raises(Unreachable) as caught:
        await offline().fetch()

    assert "\n" not in str(caught.value)
    assert "hello" not in str(caught.value)
    assert "http://127.0.0.1:7080" in str(caught.value)


async def test_retry_after_in_seconds_and_milliseconds(offline: Build, emulator: Emulator) -> None:
    """Retry-After in seconds and x-acs-retry-after in milliseconds both become the error's `retry_after`."""
    emulator.faults.add(Fault("token", status=429, headers={"retry-after": "17"}))
    with pytest.raises(Unreachable) as first:
        await offline().fetch()
    emulator.faults.add(Fault("sts", code="Throttling.User", headers={"x-acs-retry-after": "1500"}))
    with pytest.raises(Unreachable) as second:
        await offline().fetch()

    assert [first.value.retry_after, second.value.retry_after] == [17.0, 1.5]


async def test_issuer_mismatch_is_a_warning(offline: Build, emulator: Emulator) -> None:
    """A token whose issuer is not the configured one is still sent to STS, and a warning names both issuers."""
    profiles = {"default": {"identity": identity(issuer="https://login.example.com/"), "exchange": exchange()}}
    sidecar = offline(configuration(profiles=profiles))

    await sidecar.fetch()

    warnings = [event.message for event in sidecar.events if isinstance(event, Warned)]
    assert len(warnings) == 1
    assert "iss is 'https://127.0.0.1:7143/api/v2/iauths_system/oauth2'" in warnings[0]
    assert "'https://login.example.com/'" in warnings[0]


async def test_stages_are_timed(offline: Build) -> None:
    """The token stage and the exchange stage each report their duration."""
    sidecar = offline()
    await sidecar.fetch()

    stages = [event.stage for event in sidecar.events if isinstance(event, StageTimed)]
    assert stages == ["token", "exchange"]


async def test_what_sts_read_from_the_token_is_reported(offline: Build, emulator: Emulator) -> None:
    """The OIDCTokenInfo of the answer becomes an event with the profile's name."""
    sidecar = offline()
    await sidecar.fetch()

    (event,) = [event for event in sidecar.events if isinstance(event, TokenVerified)]
    assert event.profile == "default"
    assert event.info["Subject"] == CLIENT_ID
