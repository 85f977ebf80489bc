"""The questions on a terminal."""

from __future__ import annotations

from app.setup.plan import check
from app.setup.questions import workload


def answer(*lines: str) -> tuple[object, list[str]]:
    """Return the workload for these answers, and everything that was told."""
    told: list[str] = []
    rest = iter(lines)
    return workload(lambda question: told.append(question) or next(rest), told.append), told


def test_an_idaas_workload_is_asked_for():
    """The answers make a complete workload; an empty line takes the default."""
    found, _ = answer(
        "", "1234567890123456", "https://a.example/oauth2", "api.example.com", "idaas_1", "app_1", "", "orders", ""
    )  # fmt: skip

    check([(found, str)])
    assert (found.kind, found.provider, found.all_subjects) == ("idaas", "idaas", ("app_1",))


def test_a_wrong_answer_is_asked_again():
    """An answer that RAM would refuse is explained and asked again at once."""
    found, told = answer(
        "9", "4", "me", "1", "http://a", "https://a.example", "", "system:serviceaccount:a:b", "", "a_b", "ab", "P"
    )  # fmt: skip

    assert (found.kind, found.audience, found.role, found.policies) == ("kubernetes", "sts.aliyuncs.com", "ab", ("P",))
    explained = [line.partition(":")[0].strip() for line in told if line.startswith("  ") and ":" in line]
    assert explained == [
        "Number",
        "Id of the Alibaba Cloud account",
        "Issuer URL (the iss of its tokens)",
        "Name of the role",
    ]
