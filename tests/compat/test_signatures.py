"""Whoever calls Starlette's and FastAPI's classes can call ours in the same way: by name, by position, by default.

What differs on purpose stands in `DIFFERENT`, and why; a difference that is gone has to leave the list.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any

import fastapi
import fastapi.applications
import fastapi.routing
import pytest
import starlette.applications
import starlette.requests
import starlette.routing
import starlette.testclient
import starlette.websockets

import velithon
from tests.compat.test_names import get_type_hints_of
from velithon import routing, testclient
from velithon.routing import options as option_types

PAIRS: dict[str, tuple[Any, Any]] = {
    "Starlette": (starlette.applications.Starlette, velithon.Velithon),
    "FastAPI": (fastapi.FastAPI, velithon.Velithon),
    "Router": (starlette.routing.Router, velithon.Router),
    "APIRouter": (fastapi.APIRouter, velithon.APIRouter),
    "Route": (starlette.routing.Route, routing.Route),
    "APIRoute": (fastapi.routing.APIRoute, routing.APIRoute),
    "WebSocketRoute": (starlette.routing.WebSocketRoute, routing.WebSocketRoute),
    "APIWebSocketRoute": (fastapi.routing.APIWebSocketRoute, routing.APIWebSocketRoute),
    "Mount": (starlette.routing.Mount, routing.Mount),
    "Host": (starlette.routing.Host, routing.Host),
    "Request": (starlette.requests.Request, velithon.Request),
    "WebSocket": (starlette.websockets.WebSocket, velithon.WebSocket),
    "TestClient": (starlette.testclient.TestClient, testclient.TestClient),
}

DIFFERENT = {
    "Router.__init__": "redirect_slashes by keyword only; default by keyword only; lifespan by keyword only: "
    "FastAPI's router has them so, and ours is both; `routes` is the first of both",
}
"""Class and method -> the difference, a colon, and the reason."""

PARAMETERS = [
    pytest.param(name, method, id=f"{name}.{method}")
    for name, (theirs, _) in PAIRS.items()
    for method in ["__init__", *(member for member in dir(theirs) if not member.startswith("_"))]
]


def signature(function: Callable[..., Any]) -> dict[str, Parameter]:
    """Return the parameters by name, with those of `**options: Unpack[...]` as keywords that may be left out."""
    found: dict[str, Parameter] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        text = str(parameter.annotation)
        if parameter.kind is Parameter.VAR_KEYWORD and "Unpack[" in text:
            options = getattr(option_types, text.rpartition("Unpack[")[2].rstrip("]").rpartition(".")[2])
            for key in sorted(get_type_hints_of(options)):
                found.setdefault(key, Parameter(key, Parameter.KEYWORD_ONLY, default=None))
        else:
            found[name] = parameter
    return found


def differences(theirs: Callable[..., Any], ours: Callable[..., Any]) -> list[str]:
    """Return what a call that theirs takes may meet."""
    expected, found = signature(theirs), signature(ours)
    order = [name for name, parameter in found.items() if parameter.kind is Parameter.POSITIONAL_OR_KEYWORD]
    problems = []
    for index, (name, parameter) in enumerate(expected.items()):
        if parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            if not any(other.kind is parameter.kind for other in found.values()):
                problems.append(f"no {parameter}")
        elif name not in found:
            problems.append(f"no {name}")
        elif parameter.kind is Parameter.POSITIONAL_OR_KEYWORD and order[index : index + 1] != [name]:
            problems.append(f"{name} by keyword only")
        elif (parameter.default is Parameter.empty) != (found[name].default is Parameter.empty):
            problems.append(f"{name} {'has' if parameter.default is Parameter.empty else 'wants'} a default")
    for name, parameter in found.items():
        is_variadic = parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        if name not in expected and parameter.default is Parameter.empty and not is_variadic:
            problems.append(f"wants {name}")
    return problems


@pytest.mark.parametrize(("name", "method"), PARAMETERS)
def test_signatures_agree(name: str, method: str) -> None:
    """Each public method takes what theirs takes; each attribute of the class is there."""
    theirs, ours = PAIRS[name]
    assert hasattr(ours, method)
    expected, found = getattr(theirs, method), getattr(ours, method)
    if not callable(expected) or expected is found or isinstance(expected, type):
        return
    problems = "; ".join(differences(expected, found))
    assert problems == DIFFERENT.get(f"{name}.{method}", "").partition(": ")[0]


def test_the_list_is_about_what_there_is() -> None:
    """Nothing in it is about a method that is gone."""
    assert DIFFERENT.keys() <= {str(parameter.id) for parameter in PARAMETERS}
