# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables of a TOML file as checked dataclasses: an unknown key, a wrong type or a missing value is an error
that names the table and the key."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class OptionsError(ValueError):
    """A table that does not say what its dataclass expects; the message names the key."""


def parse(kind: type[T], table: object, where: str) -> T:
    """@table as a @kind, a dataclass whose fields are bool, int, float, str, ``tuple[X, ...]``, ``tuple[X, Y]``,
    ``dict[str, X]``, another dataclass, or one of these or None. A field without default is required. If the
    class has a method ``check()``, it is called, and its ValueError is told with @where."""
    if not isinstance(table, Mapping):
        raise OptionsError(f"{where}: found {table!r}, expected a table")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    for key in table:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(fields)}"
            raise OptionsError(f"{where}: unknown key {key!r}{hint}")
    for name, f in fields.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and name not in table:
            raise OptionsError(f"{where}: the key {name!r} is missing")
    options = kind(**{key: _value(hints[key], value, f"{where}.{key}") for key, value in table.items()})
    if hasattr(options, "check"):
        try:
            options.check()
        except OptionsError:
            raise
        except ValueError as error:
            raise OptionsError(f"{where}: {error}") from None
    return options


def _value(hint: Any, value: object, where: str) -> Any:
    """@value as the type @hint."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _value(next(a for a in arguments if a is not types.NoneType), value, where)
    if dataclasses.is_dataclass(hint):
        return parse(hint, value, where)
    if origin is tuple and isinstance(value, (list, tuple)):
        many = len(arguments) == 2 and arguments[1] is Ellipsis
        if many or len(value) == len(arguments):
            kinds = [arguments[0]] * len(value) if many else arguments
            return tuple(_value(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value)))
    if origin is dict and isinstance(value, Mapping):
        return {key: _value(arguments[1], v, f"{where}.{key}") for key, v in value.items()}
    if hint is Any:
        return value
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint in (bool, int, str) and type(value) is hint:
        return value
    name = hint.__name__ if isinstance(hint, type) and origin is None else str(hint)
    raise OptionsError(f"{where}: found {value!r}, expected {name}")


def one_of(name: str, value: object, choices: tuple) -> None:
    """Raises ValueError unless @value is one of @choices."""
    if value not in choices:
        raise ValueError(f"{name}: found {value!r}, expected one of {', '.join(map(repr, choices))}")


def within(name: str, value: float, low: float, high: float) -> None:
    """Raises ValueError unless @low <= @value <= @high (a NaN never is)."""
    if not low <= value <= high:
        raise ValueError(f"{name}: found {value!r}, expected {low:g}..{high:g}")
