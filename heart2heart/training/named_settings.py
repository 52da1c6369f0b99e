"""Settings whose keys depend on a name: validation by the class that is registered under it, and their JSON schema.

The values stay a plain mapping, so that files and the digest of a configuration hold what the user wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, TypeAdapter, create_model
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue

from heart2heart.config import Config
from heart2heart.errors import ConfigError
from heart2heart.registry import Registry


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
