"""Named algorithms, networks and other parts: those of heart2heart, of installed plugins, and of the current program.

An installed distribution adds a part by an entry point of the group of its kind:

    [project.entry-points."heart2heart.algorithms"]
    entropy = "my_package.entropy:Entropy"

A program or a notebook adds one by `register`. A plugin is imported when its name is used or all names are listed. A
plugin that cannot be imported is an error when its name is used; a list of all names leaves it out.

The settings of a named part are validated by the class that is registered under its name. Their values stay a plain
mapping, so that files and the digest of a configuration hold what the user wrote.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, reduce
from importlib.metadata import EntryPoint, entry_points
from operator import or_
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, overload

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, TypeAdapter, ValidationInfo, create_model, field_validator
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from heart2heart.config import Config
from heart2heart.errors import ConfigError, PluginError, UnknownNameError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A mapping of names to the parts of one kind.

    Iterating yields the built-in names first, then those of plugins that can be imported, then registered ones.

    Args:
        kind: What an error calls a part, such as `method`.
        group: Group of the entry points, such as `heart2heart.algorithms`.
        builtin: The parts of heart2heart by name.
        expects: What a plugin must be, for errors, such as `a subclass of heart2heart...Algorithm`.
        accepts: Whether an object is such a part.

    Examples:
        >>> sizes = Registry("size", "example.sizes", {"small": 1}, "an int", lambda value: isinstance(value, int))
        >>> sizes.register("large", 3)
        3
        >>> list(sizes), sizes["large"]
        (['small', 'large'], 3)
    """

    def __init__(
        self, kind: str, group: str, builtin: Mapping[str, T], expects: str, accepts: Callable[[object], bool]
    ) -> None:
        self.kind, self.group = kind, group
        self._builtin, self._expects, self._accepts = dict(builtin), expects, accepts
        self._loaded: dict[EntryPoint, T] = {}
        self._registered: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        """Return the part of a name.

        Raises:
            UnknownNameError: no such name; the message lists those that exist.
            PluginError: the plugin of this name cannot be imported, is of another kind, or two plugins share the name.
        """
        if name in self._builtin:
            return self._builtin[name]
        if name in self._registered:
            return self._registered[name]
        plugins = self._plugins().get(name, ())
        if not plugins:
            raise UnknownNameError.among(self.kind, name, self.names())
        return self._load(plugins)

    def __contains__(self, name: object) -> bool:
        """Return whether the name exists; its plugin may still fail to load."""
        return name in self._builtin or name in self._registered or name in self._plugins()

    def __iter__(self) -> Iterator[str]:
        broken = self.problems() if self._plugins() else {}
        return (name for name in self.names() if name in self._builtin or name not in broken)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def names(self) -> list[str]:
        """Return all names, also those of plugins that fail to load, without importing a plugin."""
        return list(dict.fromkeys([*self._builtin, *sorted(self._plugins()), *self._registered]))

    def problems(self) -> dict[str, str]:
        """Return what is wrong with each plugin that cannot be used, by name; this imports every plugin."""
        messages = {}
        for name, plugins in self._plugins().items():
            try:
                if name in self._builtin:
                    raise self._error("has the name of a part of heart2heart, which is used instead", plugins)
                self._load(plugins)
            except PluginError as error:
                messages[name] = str(error)
        return messages

    @overload
    def register(self, name: str) -> Callable[[T], T]: ...

    @overload
    def register(self, name: str, part: T) -> T: ...

    def register(self, name: str, part: T | None = None) -> T | Callable[[T], T]:
        """Add a part for this program, e.g. a notebook; use as a call, or as a decorator of a class.

        The same name may be registered again, so that a notebook's cell can be run twice. Other processes, such as
        those of torchrun, see the part only if they register it too; install a plugin for them.

        Raises:
            PluginError: the name is that of a part of heart2heart or of an installed plugin, or the part is no such
                part.
        """
        if part is None:
            return lambda decorated: self.register(name, decorated)
        if name in self._builtin or name in self._plugins():
            raise PluginError(
                f"the {self.kind} {name!r} exists already", remedy="Register the new one under another name"
            )
        if not self._accepts(part):
            raise PluginError(f"the {self.kind} {name!r} is not {self._expects}", remedy=f"Register {self._expects}")
        self._registered[name] = part
        return part

    @contextmanager
    def registered(self, name: str, part: T) -> Iterator[None]:
        """Add a part within a `with` block only."""
        self.register(name, part)
        try:
            yield
        finally:
            del self._registered[name]

    @contextmanager
    def name_of(self, part: T) -> Iterator[str]:
        """Yield the name of a part; one without a name has one within the `with` block, for a check."""
        known = next((name for name, registered in self.items() if registered is part), None)
        if known is not None:
            yield known
            return
        name = f"checked_{getattr(part, '__name__', 'part')}"
        with self.registered(name, part):
            yield name

    def _plugins(self) -> Mapping[str, tuple[EntryPoint, ...]]:
        return _entry_points(self.group, tuple(sys.path))

    def _load(self, plugins: tuple[EntryPoint, ...]) -> T:
        if len(plugins) > 1:
            raise self._error("is defined by several distributions", plugins)
        (plugin,) = plugins
        if plugin not in self._loaded:
            try:
                part = plugin.load()
            except Exception as error:
                raise self._error(f"cannot be imported ({type(error).__name__}: {error})", plugins) from error
            if not self._accepts(part):
                raise self._error(f"is not {self._expects}", plugins)
            self._loaded[plugin] = part
        return self._loaded[plugin]

    def _error(self, problem: str, plugins: tuple[EntryPoint, ...]) -> PluginError:
        names = sorted({plugin.dist.name for plugin in plugins if plugin.dist is not None})
        return PluginError(
            f"the plugin {self.kind} {plugins[0].name!r} {problem}",
            where=f"{', '.join(plugin.value for plugin in plugins)} of {', '.join(names)}",
            remedy=f"Update, repair or uninstall {' or '.join(names)}",
        )


@lru_cache(maxsize=32)
def _entry_points(group: str, path: tuple[str, ...]) -> Mapping[str, tuple[EntryPoint, ...]]:
    """Return the entry points of a group by name; `path` is `sys.path`, which decides what is installed."""
    plugins: dict[str, tuple[EntryPoint, ...]] = {}
    for plugin in entry_points(group=group):
        plugins[plugin.name] = (*plugins.get(plugin.name, ()), plugin)
    return plugins


def check_name(registry: Registry[Any], name: str) -> str:
    """Return a name, having looked it up.

    Raises:
        UnknownNameError: no such name; the message lists those that exist.
        PluginError: the plugin of this name cannot be used.
    """
    registry[name]
    return name


def check_settings(
    registry: Registry[Any], name: str | None, settings: dict[str, Any], *, stored: bool = False
) -> dict[str, Any]:
    """Validate settings by the class registered under `name`, and return them.

    Args:
        registry: The classes by name.
        name: The name; None if it is not valid itself, which is an error already.
        settings: The settings as the user wrote them.
        stored: Whether a run recorded them: they are validated by `parse_stored` of the class.

    Raises:
        ValueError: an unknown key, or a value of the wrong type; the message names the keys that exist.
    """
    if name is not None:
        try:
            kind = registry[name]
            (kind.parse_stored if stored else kind.parse)(settings, where=name)
        except ConfigError as error:
            raise ValueError(f"{registry.kind} {name}: {error.what}") from error
    return settings


class NamedPartConfig(Config):
    """A section of a configuration: the name of a registered part, and its settings, which differ by the name.

    A subclass sets `registry`, and states `name` with its default and documentation.
    """

    registry: ClassVar[Registry[Any]]

    name: str
    """Name of the part."""
    params: dict[str, Any] = Field(default_factory=dict, validate_default=True)
    """Settings of the method, which differ by `method.name`; the sections on methods list them."""

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        return check_name(cls.registry, value)

    @field_validator("params")
    @classmethod
    def _check_params(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        return check_settings(cls.registry, info.data.get("name"), value)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return union_schema(cls.registry, "params", cls.model_fields["name"].default, handler)


def union_schema(
    registry: Mapping[str, type[Config]],
    settings: str,
    default_name: str,
    handler: GetJsonSchemaHandler,
    *,
    common: Mapping[str, FieldInfo] | None = None,
) -> JsonSchemaValue:
    """Return the JSON schema of a name and its settings: a union that the name discriminates.

    Args:
        registry: The classes by name; plugins that cannot be used are left out.
        settings: The key of the settings.
        default_name: The name that may be left out.
        handler: Pydantic's, of the class that the schema is of.
        common: The fields that do not depend on the name, by key.
    """
    sections: list[Any] = []
    for name, kind in registry.items():
        fields: dict[str, Any] = {
            "name": (Literal[name], name if name == default_name else ...),
            settings: (kind, Field(default_factory=kind)),
            **{key: (field.annotation, field) for key, field in (common or {}).items()},
        }
        strict = ConfigDict(extra="forbid")
        sections.append(create_model(f"{kind.__name__}Section", __config__=strict, __doc__=kind.__doc__, **fields))
    union: Any = Annotated[reduce(or_, sections), Field(discriminator="name")]
    return handler(TypeAdapter(union).core_schema)
