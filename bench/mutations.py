"""The small changes that `mutants.py` tries: one at a time, made in the syntax tree of a module."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "ceil": "floor", "floor": "ceil"}


@dataclass(frozen=True)
class Mutant:
    """A module with one change; `line` and `text` are where the change stands in the original."""

    path: str
    line: int
    change: str
    at_import: bool
    """Whether the line runs when the module is imported, and not within a function."""
    text: str
    statement: int
    """The first line of the statement that contains the change."""
    index: int
    """The number of the changed node in `ast.walk`, and of its change."""
    choice: int
    root: Path = field(repr=False)

    def compiled(self, filename: str) -> CodeType:
        """Return the code of the changed module."""
        tree = ast.parse((self.root / self.path).read_text())
        node = list(ast.walk(tree))[self.index]
        _, apply = list(_changes(node))[self.choice]
        apply(node)
        return compile(ast.fix_missing_locations(tree), filename, "exec")

    @property
    def name(self) -> str:
        return f"{self.path}:{self.line}: {self.change} in {self.text}"

    @property
    def key(self) -> str:
        """A name that outlives the moving of lines."""
        return f"{self.path}: {self.change} in {self.text}"


def mutants_of(root: Path, path: str) -> Iterator[Mutant]:
    """Yield every mutant of the module at `path` below `root`."""
    text = (root / path).read_text()
    lines = text.splitlines()
    tree = ast.parse(text)
    skipped = _skipped(tree)
    within = _lines_within_functions(tree)
    statements = _first_lines(tree)
    for index, node in enumerate(ast.walk(tree)):
        if id(node) in skipped or not isinstance(node, ast.expr | ast.stmt):
            continue
        text, at_import = lines[node.lineno - 1].strip(), node.lineno not in within
        for choice, (change, _) in enumerate(_changes(node)):
            yield Mutant(path, node.lineno, change, at_import, text, statements[id(node)], index, choice, root)


def stale(root: Path, keys: Iterable[str]) -> list[str]:
    """Return the keys of mutants that no longer exist, because their line or file has changed or is gone."""
    listed = list(keys)
    paths = {key.partition(": ")[0] for key in listed}
    known = {mutant.key for path in paths if (root / path).is_file() for mutant in mutants_of(root, path)}
    return [key for key in listed if key not in known]


def _first_lines(tree: ast.Module) -> dict[int, int]:
    """Return the first line of the innermost statement around each node, by the node's id."""
    found: dict[int, int] = {}
    for node in ast.walk(tree):  # an inner statement comes after the outer one
        if isinstance(node, ast.stmt):
            found.update((id(inner), node.lineno) for inner in ast.walk(node))
    return found


def _lines_within_functions(tree: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            body = node.body if isinstance(node.body, list) else [node.body]
            for statement in body:
                lines.update(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
    return lines


def _skipped(tree: ast.Module) -> set[int]:
    """Return the ids of the nodes that mean nothing at run time, or only choose the words of a message."""
    return {
        id(inner) for node in ast.walk(tree) for unused in _without_effect(node) if unused for inner in ast.walk(unused)
    }


def _without_effect(node: ast.AST) -> Iterator[ast.AST | None]:
    """Yield the parts of a node that no test needs to notice: docstrings, annotations, imports, messages."""
    match node:
        case ast.FunctionDef(name="__repr__") | ast.ImportFrom() | ast.Import() | ast.JoinedStr() | ast.Assert():
            yield node
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield node.returns
        case ast.arg() | ast.AnnAssign():
            yield node.annotation
        case ast.Expr(value=ast.Constant()):
            yield node  # a docstring, or the dots of a protocol
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.Call(func=ast.Name(id="Meta" | "cast")):
            yield node
        case ast.ClassDef():
            yield from (*node.keywords, *node.decorator_list)
        case ast.Raise():  # the words of a message: that it is raised, and its type, are tested
            yield from (inner for inner in ast.walk(node) if isinstance(inner, ast.Constant))


Change = tuple[str, Callable[[ast.AST], None]]


def _changes(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Compare():
            yield from _comparisons(node)
        case ast.BoolOp():
            other = ast.Or if isinstance(node.op, ast.And) else ast.And
            yield f"{_word(node.op)} -> {_word(other())}", lambda found: setattr(found, "op", other())
        case ast.UnaryOp(op=ast.Not()):
            yield "not dropped", lambda found: _become(found, found.operand)  # type: ignore[attr-defined]
        case ast.BinOp() | ast.AugAssign() if type(node.op) in ARITHMETIC:
            swapped = ARITHMETIC[type(node.op)]
            yield f"{_word(node.op)} -> {swapped.__name__}", lambda found: setattr(found, "op", swapped())
        case ast.Constant():
            yield from _constants(node)
        case ast.If() | ast.While() | ast.IfExp():
            yield from _conditions(node)
        case ast.Call():
            yield from _calls(node)
        case _:
            yield from _statements(node)


def _statements(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield "return None", lambda found: setattr(found, "value", ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield "statement dropped", lambda found: _become(found, ast.Pass())
        case ast.Assign(targets=[ast.Attribute()]):
            yield "assignment dropped", lambda found: _become(found, ast.Pass())
        case ast.Raise():
            yield "raise dropped", lambda found: _become(found, ast.Pass())
        case ast.Break():
            yield "break -> continue", lambda found: _become(found, ast.Continue())
        case ast.Continue():
            yield "continue -> break", lambda found: _become(found, ast.Break())


def _comparisons(node: ast.Compare) -> Iterator[Change]:
    for place, op in enumerate(node.ops):
        for other in COMPARISONS[type(op)]:

            def apply(found: ast.AST, place: int = place, other: type[ast.cmpop] = other) -> None:
                assert isinstance(found, ast.Compare)
                found.ops[place] = other()

            yield f"{_word(op)} -> {_word(other())}", apply


def _constants(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield f"{value} -> {not value}", lambda found: setattr(found, "value", not value)
    elif isinstance(value, int | float):
        yield f"{value!r} -> {value + 1!r}", lambda found: setattr(found, "value", value + 1)
    elif isinstance(value, str) and value and " " not in value:  # not the words of a message
        yield f"{value[:20]!r} changed", lambda found: setattr(found, "value", value + "~")
    elif isinstance(value, bytes) and value:
        yield f"{value[:20]!r} changed", lambda found: setattr(found, "value", value + b"~")


def _conditions(node: ast.If | ast.While | ast.IfExp) -> Iterator[Change]:
    yield "condition -> False", lambda found: setattr(found, "test", ast.Constant(False))
    if not isinstance(node, ast.While):
        yield "condition -> True", lambda found: setattr(found, "test", ast.Constant(True))


def _calls(node: ast.Call) -> Iterator[Change]:
    name = (
        node.func.id
        if isinstance(node.func, ast.Name)
        else node.func.attr
        if isinstance(node.func, ast.Attribute)
        else ""
    )
    if name in CALLS:

        def swap(found: ast.AST) -> None:
            assert isinstance(found, ast.Call)
            setattr(found.func, "id" if isinstance(found.func, ast.Name) else "attr", CALLS[name])

        yield f"{name} -> {CALLS[name]}", swap
    for place, keyword in enumerate(node.keywords):
        if keyword.arg is not None:

            def drop(found: ast.AST, place: int = place) -> None:
                assert isinstance(found, ast.Call)
                del found.keywords[place]

            yield f"argument {keyword.arg} dropped", drop


def _become(node: ast.AST, other: ast.AST) -> None:
    """Turn a node into another one in place, so that its parent need not be known."""
    lines = {
        name: getattr(node, name)
        for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")
        if hasattr(node, name)
    }
    fields = dict(other.__dict__)
    node.__dict__.clear()
    node.__class__ = other.__class__
    node.__dict__.update({**fields, **lines})


def _word(op: ast.AST) -> str:
    return type(op).__name__
