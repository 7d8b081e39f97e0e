"""The same endpoints under FastAPI and Velithon answer the same requests the same way."""

from __future__ import annotations

from typing import Any

import pytest

from tests.signature.sidebyside import Pair

GETS = [
    ("/path/3", {}),
    ("/path/x", {}),
    ("/path/3.0", {}),
    ("/path/1/ab", {}),
    ("/path/x/A", {}),
    ("/file/a/b%20c", {}),
    ("/color/red/1", {}),
    ("/color/green/3", {}),
    ("/uuid/00000000-0000-0000-0000-000000000001", {}),
    ("/uuid/x", {}),
    ("/conv/3", {}),
    ("/conv/x", {}),
    ("/alias/4", {}),
    ("/alias/x", {}),
    ("/choices/4", {}),
    ("/choices/x", {}),
    ("/query", {}),
    ("/query?a=1", {}),
    ("/query?a=x&c=y&d=maybe&e=2&f=w&g=z&h=q", {}),
    ("/query?a=1&b=&c=1.5&d=on&e=2020-01-01&f=v&g=12&h=2.50", {}),
    ("/query?a=1&a=2", {}),
    ("/query?a=", {}),
    ("/query?a=%31&b=a+b%26", {}),
    ("/query?a=1&b=%ff&&=&x", {}),
    ("/query?a", {}),
    ("/query?a=1;b=2", {}),
    ("/query?%61=5", {}),
    ("/lists", {}),
    ("/lists?a=1&a=2&b=x&b=y&b=x&c=4&d=1&d=q&e=1&e=2&e=3", {}),
    ("/lists?a=x&d=1&c=", {}),
    ("/lists?a=1", {}),
    ("/constrained", {}),
    ("/constrained?a=5&b=ABC&c=1.2&d=inf", {}),
    ("/constrained?a=1", {}),
    ("/constrained?a=11&b=a", {}),
    ("/constrained?a=5&b=abcdef&c=2", {}),
    ("/aliases?item-query=3&bee=q&cc=4", {}),
    ("/aliases?a=3", {}),
    ("/aliases?item-query=x&b=q&ccc=x&dd=3", {}),
    ("/aliases?item-query=1&cc=1&ccc=2&d=3", {}),
    ("/times?a=2020-01-01T00:00:00&b=10:11&c=P1D", {}),
    ("/times?a=1&b=2&c=3", {}),
    ("/times?a=x&b=x&c=x&d=x", {}),
    ("/factory", {}),
    ("/factory", {}),
    ("/factory?a=5&b=x", {}),
    ("/mutable", {}),
    ("/mutable", {}),
    ("/checked", {}),
    ("/checked?a=1&b=2", {}),
    ("/json?a=[1]", {}),
    ('/json?a=["y"]', {}),
    ("/json?a=x", {}),
    ("/json", {}),
    ("/json?a=[1]&b=[1]", {}),
    ("/json?a=[1]&b=[x", {}),
    ("/validated?a=abc", {}),
    ("/validated?b=1", {}),
    ("/bytes?a=xyz&b=1&c=2", {}),
    ("/bytes", {}),
    ("/filters", {}),
    ("/filters?limit=0&offset=-1&order_by=x&extra=1", {}),
    ("/filters?tags=a&tags=b&ren=4", {}),
    ("/filters?renamed=4", {}),
    ("/filters?x=1&x=2", {}),
    ("/loose", {}),
    ("/loose?a=1&b_c=2&z=3&z=4", {}),
    ("/loose?a=x", {}),
    ("/maybe", {}),
    ("/maybe?a=1", {}),
    ("/maybe?z=1", {}),
    ("/maybe?b_c=1", {}),
    ("/header", {}),
    ("/header", {"user-agent": "me", "x-int": "5", "raw_name": "r", "x-named": "n"}),
    ("/header", {"x-int": "q", "raw-name": "r"}),
    ("/header-required", {}),
    ("/header-required", {"x-token": "a", "x-ints": "1"}),
    ("/header-required", {"x-token": "", "x-ints": "z"}),
    ("/heads", {}),
    ("/heads", {"x-token": "a", "x-tags": "b", "if-modified": "3"}),
    ("/heads", {"x_token": "a", "if-modified": "z"}),
    ("/cookie", {}),
    ("/cookie", {"cookie": "session=abc; level=4"}),
    ("/cookie", {"cookie": "level=x"}),
    ("/cooks", {}),
    ("/cooks", {"cookie": "session=a; level=x"}),
    ("/optional-path", {}),
    ("/optional-path/q", {}),
    ("/optional-path?a=z", {}),
    ("/sync/1", {}),
    ("/sync/x?b=y", {}),
    ("/nowhere", {}),
]


@pytest.fixture(scope="module")
def parameters() -> Pair:
    return Pair("parameters")


@pytest.mark.parametrize(("path", "headers"), GETS)
def test_parameters(parameters: Pair, path: str, headers: dict[str, str]) -> None:
    parameters.same("GET", path, headers=headers)


def test_repeated_headers(parameters: Pair) -> None:
    """A header sent several times becomes a list, and the last or first decides as it does for FastAPI."""
    repeated: Any = [("x-list", "a"), ("x-list", "b"), ("x-int", "1"), ("x-int", "2"), ("x-ints", "1"), ("x-ints", "2")]
    parameters.same("GET", "/header", headers=repeated)
    parameters.same("GET", "/header-required", headers=[("x-token", "t"), *repeated])
    parameters.same("GET", "/heads", headers=[("x-token", "t"), ("x-tags", "1"), ("x-tags", "2")])
