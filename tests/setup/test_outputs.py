"""The outputs as text: Terraform's own formatting, escapes in both languages, and the examples of docs/setup.md."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from app.setup import plan
from app.setup.output import aliyun_cli, as_json, terraform, text
from app.setup.output.hcl import expression, string
from app.setup.workload import ChainTarget, Workload, read_file

from ..wrong_types import ESCAPES, prints
from .hcl_reader import Reader
from .test_plan import ACCOUNT, changed, made

DOCS = (Path(__file__).parents[2] / "docs/setup.md").read_text()
UNPRINTABLE = "\b\f\x1b\x9b\u202e\U000e0041"
ODD = {"Version": "1", "Statement": [{"Resource": 'acs:oss:*:*:${acs:UserId}/%{x}/it\'s "quoted"\\n' + UNPRINTABLE}]}


def rich_plan() -> plan.Plan:
    """Return a plan with every kind of resource, and with text that each language escapes."""
    chain = (ChainTarget(role_arn=f"acs:ram::{ACCOUNT}:role/archive.logs", external_id="ext'1"),)
    return made(
        changed(policies=("AliyunOSSReadOnlyAccess",), policy_documents={"odd": ODD}),
        changed(name="b", role="b", client_id="app_2", chain=chain),
    )


def test_terraform_is_formatted_as_terraform_formats() -> None:
    """`terraform fmt` leaves the output as it is, which also proves its syntax."""
    if shutil.which("terraform") is None:
        pytest.skip("needs terraform: https://developer.hashicorp.com/terraform/install")
    printed = terraform.render(rich_plan())
    done = subprocess.run(["terraform", "fmt", "-"], input=printed, capture_output=True, text=True, timeout=300)

    assert (done.returncode, done.stdout) == (0, printed), done.stderr


def test_text_is_escaped_in_terraform() -> None:
    """A policy with templates, quotes and backslashes is the same policy after Terraform has read it."""
    resources = Reader(terraform.render(rich_plan())).resources()
    document = resources["alicloud_ram_policy", f"a{ACCOUNT}_odd"]["policy_document"]

    assert json.loads(document) == ODD


def test_text_is_escaped_for_the_shell() -> None:
    """A policy with quotes and a dollar sign is the same policy after the shell has read it."""
    words = shlex.split(aliyun_cli.render(rich_plan()).replace("\\\n", " "), comments=True)
    document = words[words.index("--PolicyDocument") + 1]

    assert json.loads(document) == ODD


def test_the_shell_reads_the_script() -> None:
    """The script is valid for sh."""
    done = subprocess.run(
        ["sh", "-n"], input=aliyun_cli.render(rich_plan()), capture_output=True, text=True, timeout=300
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_labels_of_names_that_differ_in_punctuation() -> None:
    """Names that differ only in punctuation have different resource labels."""
    names = ("a.b", "a-b", "a_b")

    assert len({terraform.label(name, ACCOUNT) for name in names}) == 3


def test_expressions() -> None:
    """Strings, numbers, lists and objects are written as HCL."""
    assert string("${a}%{b}") == '"$${a}%%{b}"'
    assert expression(["a", 1]) == '["a", 1]'
    assert expression({"a": "b", "oidc:iss": []}) == '{\n  a          = "b"\n  "oidc:iss" = []\n}'


def test_every_output_names_every_part() -> None:
    """The text and the JSON have each provider, role and policy of the plan."""
    found = rich_plan()
    for rendered in (text.render(found), as_json.render(found)):
        for part in (*found.providers, *found.roles):
            assert part.arn in rendered
        assert all(policy.name in rendered for policy in found.policies)


@pytest.mark.parametrize("output", [terraform, aliyun_cli])
def test_scripts_end_with_the_configuration(output: ModuleType) -> None:
    """Terraform and the script have the configuration file as comments; without one, they end with the last command."""
    configuration = {"configVersion": "1.0", "profiles": {"default": {"identity": {"clientId": "app\u2028rm -rf /"}}}}
    rendered = output.render(replace(rich_plan(), configuration=configuration))
    plain = output.render(replace(rich_plan(), configuration=None))

    assert rendered.startswith(plain)
    title, *lines = rendered.removeprefix(plain).strip().splitlines()
    assert title == "# Configuration of the sidecar (config.json):"
    assert json.loads("\n".join(line.removeprefix("# ") for line in lines)) == configuration
    assert all(line.startswith("# ") for line in lines)


def test_the_file_of_the_page_is_valid(tmp_path: Path) -> None:
    """The `--from` file on docs/setup.md makes a plan, and the page has a row for each key."""
    (block,) = re.findall(r"```json\n(.*?)```", DOCS, re.DOTALL)
    path = tmp_path / "workloads.json"
    path.write_text(block)
    read = read_file(str(path))
    plan.check(read.workloads, read.findings)
    workloads = [each for each, _ in read.workloads]
    found = plan.make(workloads, {str(workloads[0].issuer): ("a" * 40,)})

    assert [role.name for role in found.roles] == ["orders", "reports"]
    keys = {each.encode_name for each in msgspec.structs.fields(Workload)}
    assert keys <= set(re.findall(r"^\| `(\w+)` \|", DOCS, re.MULTILINE))


@pytest.mark.parametrize("output", [text, terraform, aliyun_cli, as_json])
def test_every_output_prints(output: ModuleType) -> None:
    """No text of a file or of a server commands the terminal, or ends a comment of a script."""
    shown = output.render(replace(rich_plan(), notes=(f"the host {ESCAPES}\nrm -rf /",)))

    assert prints(shown)
    assert "\nrm" not in shown
