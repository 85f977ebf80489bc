"""The completion scripts: what they complete in a real shell, and that they are made from the parser."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from app.cli.completion_scripts import SCRIPTS
from app.cli.completion_tree import Argument, Node, tree
from app.cli.parser import build_parser


def root() -> Node:
    """Return the tree of the whole command line."""
    return tree(*build_parser())


def completed(directory: Path, *words: str) -> list[str]:
    """Return what bash completes for the last of `words`."""
    if shutil.which("bash") is None:
        pytest.skip("needs bash: apt-get install bash")
    (directory / "completion.bash").write_text(SCRIPTS["bash"](root()))
    quoted = " ".join(f"'{word}'" for word in ("idaas-sidecar", *words))
    script = (
        "source ./completion.bash; "
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _idaas_sidecar; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=directory, capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["se"], ["serve", "setup"]),
        (["get", "--f"], ["--format"]),
        (["get", "--format", "a"], ["aliyun", "aws"]),
        (["get", "--profile", "se"], [""]),
        (["get", "--profile", "serve", "--o"], ["--out"]),
        (["get", "--config", "con"], ["config.json"]),
        (["setup", "c"], ["cluster"]),
        (["setup", "cluster", "--o"], ["--out", "--offline"]),
        (["setup", "--kind", "k"], ["keycloak", "kubernetes"]),
        (["completion", ""], ["bash", "zsh", "fish", "-h", "--help", "--debug"]),
        (["help", "se"], ["serve", "setup"]),
        (["--v"], ["--version"]),
        # bash gives the sign in --format=a as a word of its own
        (["get", "--format", "=", "a"], ["aliyun", "aws"]),
        (["get", "--format", "="], ["json", "aliyun", "external", "env", "uri", "aws"]),
        (["serve", "--config", "=", "con"], ["config.json"]),
        (["migrate", "report", "con"], ["config.json"]),
        (["migrate", "report", "app", "=", "con"], ["config.json"]),
        (["migrate", "report", "--hom"], ["--home"]),
        (["webhook", "explain", "con"], ["config.json"]),
    ],
)
def test_bash_completes(tmp_path, words, expected):
    """Bash completes commands, topics, options, their values, and files."""
    (tmp_path / "config.json").write_text("{}")

    assert completed(tmp_path, *words) == expected


def test_bash_completes_the_command_of_exec(tmp_path):
    """After `exec --`, bash completes the programs of the machine."""
    assert "python3" in completed(tmp_path, "exec", "--profile", "p2", "--", "python")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("idaas-sidecar setup c", ["cluster"]),
        ("idaas-sidecar get --format=al", ["--format=aliyun"]),
        ("idaas-sidecar migrate report con", ["config.json"]),
        ("idaas-sidecar exec --profile p2 -- env con", ["config.json"]),
        ("idaas-sidecar exec con", []),
    ],
)
def test_fish_completes(tmp_path, line, expected):
    """Fish completes topics, values, the files of arguments, and the command line after `exec --`."""
    if shutil.which("fish") is None:
        pytest.skip("needs fish: apt-get install fish")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "completion.fish").write_text(SCRIPTS["fish"](root()))
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source completion.fish; complete -C '{line}'"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stderr == ""
    assert [found.partition("\t")[0] for found in done.stdout.splitlines()] == expected


@pytest.mark.parametrize(("shell", "files"), [("zsh", "'*:argument:_files'"), ("fish", " -F")])
def test_files_of_arguments_are_completed(shell, files):
    """A command whose arguments are files completes files."""
    node = Node(("r",), "", (), (Argument((), "files", is_file=True),), ())

    assert files in SCRIPTS[shell](Node((), "", (), (), (node,)))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_command_and_option_is_in_the_script(shell):
    """Each script has every command, topic and long option of the parser."""
    script = SCRIPTS[shell](root())

    for node in root().walk():
        assert all(f"{name}" in script for name in node.path)
        for option in node.options:
            name = option.names[-1]
            assert (f"-l {name[2:]}" if shell == "fish" else name) in script


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_reads_the_script(shell, tmp_path):
    """Each shell accepts the syntax of its script."""
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}: apt-get install {shell}")
    path = tmp_path / "script"
    path.write_text(SCRIPTS[shell](root()))
    done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, timeout=300)

    assert (done.returncode, done.stderr) == (0, "")
