"""Completion scripts for bash, zsh and fish, generated from the tree of commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from .completion_tree import Argument, Node
from .errors import PROGRAM

FUNCTION = PROGRAM.replace("-", "_")


# --- bash -------------------------------------------------------------------------------------------------------------


def bash(root: Node) -> str:
    """Return the script for bash 3.2 or newer. It needs no other package."""
    nodes = list(root.walk())
    steps = (f"{_bash_step(node)}) command={_quoted(' '.join(node.path))} ;;" for node in nodes[1:])
    values = (line for node in nodes for option in node.options for line in _bash_value(node, option))
    words = (f"        {_quoted(' '.join(node.path))}) {_bash_reply(node)} ;;" for node in nodes)
    return "\n".join(
        (
            f"# Completion of {PROGRAM} for bash: source <({PROGRAM} completion bash)",
            f"_{FUNCTION}() {{",
            "    local IFS=$'\\n' cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}",
            "    local command='' words='' files='' word i",
            "    COMPREPLY=()",
            "    # bash splits --option=value at the sign, which is a word of its own.",
            "    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}",
            "    [[ $cur == = ]] && cur=''",
            "    for ((i = 1; i < COMP_CWORD; i++)); do",
            "        word=${COMP_WORDS[i]}",
            "        if [[ $command == exec && $word == -- ]]; then",
            '            COMPREPLY=($(compgen -c -- "$cur"))',
            "            return",
            "        fi",
            '        case "$command $word" in',
            *steps,
            "        esac",
            "    done",
            '    case "$command $prev" in',
            *values,
            "    esac",
            "    case $command in",
            *words,
            "    esac",
            '    COMPREPLY=($(compgen -W "$words" -- "$cur"))',
            '    [[ -z $files ]] || COMPREPLY+=($(compgen -f -- "$cur"))',
            "}",
            f"complete -o filenames -F _{FUNCTION} {PROGRAM}",
            "",
        )
    )


def _bash_step(node: Node) -> str:
    before, name = " ".join(node.path[:-1]), node.path[-1]
    return f"            {_quoted(f'{before} {name}')}"


def _bash_value(node: Node, option: Argument) -> Iterator[str]:
    """Yield the branch that completes the value of an option."""
    if not option.takes_value:
        return
    patterns = "|".join(_quoted(f"{' '.join(node.path)} {name}") for name in option.names)
    if option.choices:
        reply = f'COMPREPLY=($(compgen -W {_bash_words(option.choices)} -- "$cur")); return'
    elif option.is_file:
        reply = 'COMPREPLY=($(compgen -f -- "$cur")); return'
    else:
        reply = "return"
    yield f"        {patterns}) {reply} ;;"


def _bash_reply(node: Node) -> str:
    """Return the words that can follow a command, and whether files can, as assignments."""
    files = " files=yes" if any(argument.is_file for argument in node.positionals) else ""
    return f"words={_bash_words(_words(node))}{files}"


def _bash_words(words: Iterator[str] | tuple[str, ...]) -> str:
    return "$'" + "\\n".join(words) + "'"


def _words(node: Node) -> Iterator[str]:
    """Yield the words that can follow a command: its topics, the values of its arguments, its options."""
    yield from (child.path[-1] for child in node.children)
    for argument in node.positionals:
        yield from argument.choices
    for option in node.options:
        yield from option.names


# --- zsh --------------------------------------------------------------------------------------------------------------


def zsh(root: Node) -> str:
    """Return the script for zsh: a function per command, in a file of `fpath`."""
    functions = (line for node in root.walk() for line in _zsh_function(node))
    return "\n".join((f"#compdef {PROGRAM}", "", *functions, f'_{FUNCTION} "$@"', ""))


_ZSH_COMMAND = (
    "  local begin=${words[(i)--]}",
    "  if (( begin < CURRENT )); then",
    "    shift $begin words",
    "    (( CURRENT -= begin ))",
    "    _normal",
    "    return",
    "  fi",
)
"""Completes what follows `--` as zsh completes a command line of its own."""


def _zsh_function(node: Node) -> Iterator[str]:
    specs = [_zsh_option(option) for option in node.options]
    yield f"{_zsh_name(node)}() {{"
    if not node.children:
        if any(argument.is_command for argument in node.positionals):
            yield from _ZSH_COMMAND
        specs += [_zsh_positional(argument) for argument in node.positionals]
        yield from _zsh_arguments(specs, "")
        yield from ("}", "")
        return
    yield "  local curcontext=$curcontext state line"
    yield "  typeset -A opt_args"
    yield from _zsh_arguments([*specs, "'1:command:->command'", "'*::argument:->argument'"], " -C")
    yield "  case $state in"
    yield "    command)"
    yield "      local -a commands"
    yield "      commands=("
    for child in node.children:
        yield f"        {_quoted(f'{child.path[-1]}:{child.help}')}"
    yield "      )"
    yield "      _describe -t commands command commands"
    yield "      ;;"
    yield "    argument)"
    yield "      case $line[1] in"
    for child in node.children:
        yield f"        {child.path[-1]}) {_zsh_name(child)} ;;"
    yield "      esac"
    yield "      ;;"
    yield "  esac"
    yield from ("}", "")


def _zsh_arguments(specs: list[str], flag: str) -> Iterator[str]:
    yield f"  _arguments{flag} \\"
    yield from (f"    {spec} \\" for spec in specs[:-1])
    yield f"    {specs[-1]}"


def _zsh_option(option: Argument) -> str:
    names = f"({' '.join(option.names)})" if len(option.names) > 1 else ""
    shown = "{" + ",".join(option.names) + "}" if len(option.names) > 1 else option.names[0]
    text = option.help.replace("[", "(").replace("]", ")").replace(":", "\\:")
    value = f":value:{_zsh_values(option)}" if option.takes_value else ""
    if names:
        return f"'{names}'{shown}{_quoted(f'[{text}]{value}')}"
    # `=` lets the value follow in the same word, too.
    return _quoted(f"*{shown}=[{text}]{value}" if option.takes_value else f"{shown}[{text}]")


def _zsh_positional(argument: Argument) -> str:
    if argument.is_command:
        return "'*::command:_normal'"
    many = "*" if argument.is_file else ""
    return _quoted(f"{many}:argument:{_zsh_values(argument)}")


def _zsh_values(argument: Argument) -> str:
    if argument.choices:
        return f"({' '.join(argument.choices)})"
    return "_files" if argument.is_file else " "


def _zsh_name(node: Node) -> str:
    return "_".join(("", FUNCTION, *(part.replace("-", "_") for part in node.path)))


# --- fish -------------------------------------------------------------------------------------------------------------


_FISH_COMMAND = (
    f"function __{FUNCTION}_command",
    "    set -l words (commandline -opc)",
    "    set -l begin (contains -i -- -- $words); or return 1",
    "    set -l before (string escape -- $words[(math $begin + 1)..])",
    '    complete -C (string join " " -- $before (commandline -ct))',
    "end",
)
"""Completes what follows `--` as fish completes a command line of its own; fails if there is no `--`."""


def fish(root: Node) -> str:
    """Return the script for fish."""
    lines = (line for node in root.walk() for line in _fish_node(node))
    return "\n".join((*_FISH_COMMAND, f"complete -c {PROGRAM} -f", *lines, ""))


def _fish_node(node: Node) -> Iterator[str]:
    condition = _fish_condition(node)
    for child in node.children:
        yield f"complete -c {PROGRAM} -n {_fish(condition)} -a {child.path[-1]} -d {_fish(child.help)}"
    for argument in node.positionals:
        if argument.choices:
            values = _fish(" ".join(argument.choices))
            yield f"complete -c {PROGRAM} -n {_fish(condition)} -a {values} -d {_fish(argument.help)}"
        elif argument.is_file:
            yield f"complete -c {PROGRAM} -n {_fish(condition)} -F"
        elif argument.is_command:
            yield f"complete -c {PROGRAM} -n {_fish(condition)} -x -a '(__{FUNCTION}_command)'"
    for option in node.options:
        names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
        yield f"complete -c {PROGRAM} -n {_fish(condition)} {names}{_fish_value(option)} -d {_fish(option.help)}"


def _fish_condition(node: Node) -> str:
    if not node.path:
        return "__fish_use_subcommand"
    seen = "; and ".join(f"__fish_seen_subcommand_from {name}" for name in node.path)
    topics = " ".join(child.path[-1] for child in node.children)
    return f"{seen}; and not __fish_seen_subcommand_from {topics}" if topics else seen


def _fish_value(option: Argument) -> str:
    if not option.takes_value:
        return ""
    if option.choices:
        return f" -x -a {_fish(' '.join(option.choices))}"
    return " -r -F" if option.is_file else " -x"


def _fish(text: str) -> str:
    """Return a single-quoted string of fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _quoted(text: str) -> str:
    """Return a single-quoted string of bash and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"


SCRIPTS: Mapping[str, Callable[[Node], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
