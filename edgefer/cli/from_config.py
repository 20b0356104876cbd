"""Command options from a config's fields: types, defaults and help texts."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import typer

Command = TypeVar("Command", bound=Callable[..., None])


def with_options_of(config: type[Any], after: str) -> Callable[[Command], Command]:
    """Let a command take each field of a config as an option, instead of its ``**settings``.

    Options that are not typed arrive as None or False; `given` returns the others.

    Args:
        config: a dataclass; a field is an option if its metadata has a ``help``.
        after: the command's parameter that they follow in ``--help``.
    """

    def with_options(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        names = list(signature.parameters)
        if names[-1] != "settings":
            raise TypeError("the command's last parameter must be **settings")
        place = names.index(after) + 1
        own = list(signature.parameters.values())[:-1]
        parameters = [*own[:place], *_parameters(config), *own[place:]]
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return command

    return with_options


def given(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the typed settings, for the config."""
    typed = {name: value for name, value in settings.items() if value is not None and value is not False}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in typed.items() if value != []}


def _parameters(config: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(config)
    found = []
    for each in fields(config):
        if "help" not in each.metadata:
            continue
        flag = f"--{each.name.replace('_', '-')}"
        kind = _kind(hints[each.name])
        option = typer.Option(
            flag, help=each.metadata["help"], min=each.metadata["at_least"], metavar=each.metadata["metavar"]
        )
        found.append(
            inspect.Parameter(
                each.name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=False if kind is bool else None,
                annotation=Annotated[kind, option] if kind is bool else Annotated[kind | None, option],
            )
        )
    return found


def _kind(hint: Any) -> Any:
    """Return the Typer type of a field."""
    if get_origin(hint) in (Union, UnionType):
        hint = next(each for each in get_args(hint) if each is not type(None))
    if get_origin(hint) is tuple:
        return list[str]
    return str if get_origin(hint) is Literal else hint
