"""Typed, frozen configurations: YAML with dotted overrides, strict about keys; and the packaged ones by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from heart2heart.errors import ConfigError, MissingInputError, UnknownNameError
from heart2heart.utils import sha256_json, write_text

YAML_ERRORS = (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What the YAML reader raises: beyond its own errors those of impossible dates and numbers, and of deep nesting."""


_MAX_YAML_NODES = 100_000

_MAX_INDICATORS = 2_000
"""Indicators of a YAML text that libyaml reads. Each level of nesting has one, and deep nesting overflows its stack."""


def _yaml_loader(text: str) -> yaml.SafeLoader | yaml.CSafeLoader:
    """Return libyaml's loader of a text, several times as fast as Python's, unless the text may nest deeply."""
    if not yaml.__with_libyaml__ or sum(map(text.count, "[{-?:")) > _MAX_INDICATORS:
        return yaml.SafeLoader(text)
    return yaml.CSafeLoader(text)


def load_yaml(text: str) -> Any:
    """Return the content of a YAML text.

    Raises:
        ValueError: its aliases expand to more than 100,000 values; see `YAML_ERRORS` for other errors.
    """
    content = _yaml_loader(text).get_single_data()
    waiting, nodes = [content], 0
    while waiting:
        node = waiting.pop()
        nodes += 1
        if nodes > _MAX_YAML_NODES:
            raise ValueError("the aliases of this YAML expand without end")
        if isinstance(node, dict):
            waiting += node.values()
        elif isinstance(node, list | set | tuple):
            waiting += node
    return content


def repeated_key(text: str) -> str | None:
    """Return a key that a mapping of a YAML text has twice, with its line; YAML itself would keep the last."""
    waiting, seen = [_yaml_loader(text).get_single_node()], set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in keys:
                    return f"{key.value} (line {key.start_mark.line + 1})"
                keys.add(key.value if isinstance(key, yaml.ScalarNode) else "")
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return None


class Config(BaseModel):
    """Base of every configuration: immutable; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    @classmethod
    def load(cls, path: Path, overrides: Sequence[str] = (), *, stored: bool = False) -> Self:
        """Read a YAML file and apply dotted overrides such as `optimiser.lr=0.03`.

        Args:
            path: The YAML file.
            overrides: `key=value` texts; the value is read as YAML.
            stored: See `parse`.

        Raises:
            MissingInputError: no such file.
            ConfigError: not YAML, an unknown key, or a value of the wrong type.
        """
        try:
            content = load_yaml(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise MissingInputError("no configuration file here", where=path) from error
        except OSError as error:
            raise MissingInputError(f"this configuration cannot be read ({error.strerror})", where=path) from error
        except YAML_ERRORS as error:
            raise ConfigError("this configuration is not readable YAML", where=path) from error
        if content is None:
            content = {}
        if not isinstance(content, dict):
            raise ConfigError("a configuration must be a mapping of keys to values", where=path)
        for override in overrides:
            _apply_override(content, override)
        return cls.parse(content, where=path, stored=stored)

    @classmethod
    def parse(cls, content: dict[str, Any], *, where: str | Path, stored: bool = False) -> Self:
        """Validate a mapping.

        Args:
            content: Keys and values.
            where: Its origin, for errors.
            stored: Whether a finished or stopped run recorded it, perhaps with an earlier version; a validator reads
                this as `info.context["stored"]`.

        Raises:
            ConfigError: an unknown key, or a value of the wrong type.
            UnknownNameError: no such method, gradient rule or network.
        """
        try:
            return cls.model_validate(content, context={"stored": stored})
        except ValidationError as error:
            raise ConfigError(_validation_message(error, cls), where=where, remedy=_KEYS_HELP) from error
        except UnknownNameError as error:  # no ValueError, so that pydantic passes it on as it is
            raise UnknownNameError(error.what, where=where, remedy=error.remedy) from error

    def with_overrides(self, overrides: Sequence[str]) -> Self:
        """Return a copy with dotted overrides, as `load` takes them.

        Raises:
            ConfigError: an unknown key, or a value of the wrong type.
        """
        content = self.model_dump(mode="json")
        for override in overrides:
            _apply_override(content, override)
        return self.parse(content, where=", ".join(overrides))

    def save(self, path: Path) -> None:
        """Write every resolved value as YAML."""
        write_text(path, yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False))

    def digest(self) -> str:
        """Return the hash of all resolved values, whatever file or override they came from."""
        return sha256_json(self.model_dump(mode="json"))


_KEYS_HELP = "The page Configuration of the documentation lists every key"


def _apply_override(content: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"override {override!r} is not of the form key=value", remedy="Example: optimiser.lr=0.03")
    *parents, leaf = key.split(".")
    node = content
    for parent in parents:
        child = node.get(parent)
        if child is None:
            child = node[parent] = {}
        if not isinstance(child, dict):
            raise ConfigError(f"override {override!r} goes into {parent!r}, which has no keys of its own")
        node = child
    try:
        node[leaf] = load_yaml(text)
    except YAML_ERRORS as error:
        raise ConfigError(f"the value of override {override!r} is not readable YAML") from error


def read_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the values of dotted overrides as a mapping.

    Raises:
        ConfigError: one is not of the form `key=value`.

    Examples:
        >>> read_overrides(["method=tim", "steps=20"])
        {'method': 'tim', 'steps': 20}
    """
    content: dict[str, Any] = {}
    for override in overrides:
        _apply_override(content, override)
    return content


def _validation_message(error: ValidationError, kind: type[BaseModel]) -> str:
    parts = []
    for item in error.errors(include_url=False, include_input=False):
        key = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            message = f"unknown key{_known_keys(kind, item['loc'][:-1])}"
        else:
            message = item["msg"].removeprefix("Value error, ")
        parts.append(f"{key}: {message}" if key else message)
    return "; ".join(parts)


def _known_keys(kind: type[BaseModel], path: Sequence[int | str]) -> str:
    """Return the keys of the section at `path`, in brackets; nothing where the section is not one class."""
    for part in path:
        field = kind.model_fields.get(str(part))
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return ""
        kind = field.annotation
    return f" (known: {', '.join(kind.model_fields) or 'none'})"


def configs_folder() -> Path:
    """Return the folder of the packaged configurations, in a wheel or in a checkout.

    Raises:
        MissingInputError: the installation holds no configurations.
    """
    package = Path(str(files("heart2heart")))
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / "demo").is_dir():
            return folder
    remedy = "Install heart2heart again, from a wheel or from a complete checkout"
    raise MissingInputError("the configurations are missing from this installation", where=package, remedy=remedy)


def config_names() -> tuple[str, ...]:
    """Return the names of all packaged training configurations, sorted.

    Examples:
        >>> "demo/fixmatch" in config_names()
        True
    """
    folder = configs_folder()
    names = (path.relative_to(folder).with_suffix("").as_posix() for path in folder.glob("*/*.yaml"))
    # folds.yaml lists what folds change in the configurations beside it; it cannot be trained.
    return tuple(sorted(name for name in names if not name.endswith("/folds")))


def find_config(name: str | Path) -> Path:
    """Return the file of a configuration that is given by path or by packaged name.

    Args:
        name: Path of a YAML file, or a name such as `demo/fixmatch`. An existing file comes first.

    Raises:
        MissingInputError: neither a file nor a packaged name; the message lists the names.

    Examples:
        >>> find_config("demo/fixmatch").name
        'fixmatch.yaml'
    """
    path = Path(name)
    if path.is_file():
        return path
    known = config_names()
    packaged_name = path.as_posix().removesuffix(".yaml")
    if packaged_name in known:
        return configs_folder() / f"{packaged_name}.yaml"
    what = "no configuration file here, and no packaged configuration of this name"
    raise MissingInputError(what, where=path, remedy=f"Packaged names: {', '.join(known)}")


def describe_config(name: str) -> str:
    """Return the first clause of a packaged configuration's description.

    The description is the paragraph of comments after the command, the cost and the expected result.
    """
    lines = find_config(name).read_text(encoding="utf-8").splitlines()
    comments = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
    start = comments.index("") + 1 if "" in comments else 0
    # The sentence ends at a colon, or at a full stop before a capital: "et al. (2018)" goes on.
    return re.split(r":(?= |$)|\.(?= [A-Z]|$)", " ".join(comments[start:]), maxsplit=1)[0]
