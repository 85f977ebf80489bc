"""YAML for the commands that read files of other tools. The extra `yaml` installs PyYAML; `serve` does not need it."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from ..core.errors import ConfigError
from ..core.text import one_line

ROOM_FOR_ALIASES = 8
"""The factor by which documents may be larger than the file. A few aliases of aliases can stand for gigabytes, or for
an endless document."""

MOST_MERGED = 10_000
"""The most members that the keys `<<` of one mapping may add. PyYAML copies them, and merges of merges grow without
end."""

SMALL = 1_048_576
"""Characters that the documents of a small file may have in any case."""


def parse_documents(raw: bytes, path: str, *, extra: str = "yaml") -> list[Any]:
    """
    Return the documents of a YAML file. Raises ConfigError for a mistake, with its place, and if PyYAML is missing.

    Dates are texts, as for kubectl. `extra`: the extra of this package that the message about PyYAML names.
    """
    try:
        import yaml  # type: ignore[import-untyped, unused-ignore]  # the extra `yaml`
    except ImportError:
        raise ConfigError(
            f"{path}: reading YAML needs PyYAML",
            cure=f"install idaas-credential-sidecar[{extra}], or write the file as JSON",
            error_code="IDS-129",
        ) from None
    try:
        documents = list(yaml.load_all(raw, Loader=_loader(yaml)))
    except yaml.MarkedYAMLError as error:
        # Not `str(error)`, which quotes the line: the line may hold a secret.
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        raise ConfigError(
            f"{path}{place}: not YAML: {one_line(error.problem or 'a mistake')}", error_code="IDS-126"
        ) from None
    except (yaml.YAMLError, RecursionError):
        raise ConfigError(
            f"{path}: not YAML: characters that are not allowed, or nested too deeply", error_code="IDS-126"
        ) from None
    except (ValueError, LookupError, TypeError, AttributeError):
        # PyYAML converts a value without checking its form first: `!!int x`, or a number with too many digits.
        raise ConfigError(
            f"{path}: not YAML: a value does not have the form of its type, or is too long", error_code="IDS-126"
        ) from None
    if _is_larger(documents, max(SMALL, ROOM_FOR_ALIASES * len(raw))):
        raise ConfigError(
            f"{path}: its aliases stand for too much",
            cure="write the values in place of the aliases",
            error_code="IDS-126",
        )
    if not _as_in_json(documents):
        raise ConfigError(
            f"{path}: a key or value that JSON does not have, such as !!binary, !!set or half of a surrogate pair",
            cure="write it as text",
            error_code="IDS-126",
        )
    return documents


def _loader(yaml: Any) -> Any:
    """Return PyYAML's safe loader without its type for dates, and with a bound for the merge key `<<`."""

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
            first: [each for each in resolvers if each[0] != "tag:yaml.org,2002:timestamp"]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        def flatten_mapping(self, node: Any) -> None:
            merged = 0
            for key, value in node.value:
                if key.tag == "tag:yaml.org,2002:merge":
                    for each in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                        merged += len(each.value)
                        if merged > MOST_MERGED:
                            problem = "the key << merges too much"
                            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
                        if isinstance(each, yaml.MappingNode):
                            self.flatten_mapping(each)
            super().flatten_mapping(node)

    return Loader


def _is_larger(documents: list[Any], most: int) -> bool:
    """Return whether the documents have more than `most` characters, with all aliases written out."""
    waiting: list[Any] = [documents]
    while waiting:
        value = waiting.pop()
        most -= 1 + (len(value) if isinstance(value, str | bytes) else 0)
        if most < 0:
            return True
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list | tuple | set):
            waiting += value
    return False


def _as_in_json(documents: list[Any]) -> bool:
    """
    Convert the keys of all mappings to strings, as kubectl does. In YAML, the keys `1` and `true` are not strings.

    Return whether JSON can represent all keys and values. All other code expects JSON.
    """
    waiting: list[Any] = [documents]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                members = [(_key(key), item) for key, item in value.items()]
                if len(dict(members)) < len(members):  # such as 1 and "1"
                    return False
                value.clear()
                value.update(members)
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                return False
        elif value is not None and not isinstance(value, int | float):
            return False
    return True


def _key(key: Any) -> Any:
    """Return a key as a string if JSON has its type. Other keys are returned as objects that are not strings."""
    try:
        return json.dumps(key) if key is None or isinstance(key, int | float) else key
    except ValueError:  # more digits than Python writes
        return ()
