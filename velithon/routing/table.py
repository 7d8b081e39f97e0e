"""Finds a request's route at a cost independent of the number of routes.

The answer is always the one that walking Starlette's list would give: the first route in order of declaration that
matches path and method, else the first that matches the path alone. Two structures stand in front of that walk. Paths
without parameters are looked up in a dictionary that holds, for each method, the route that the walk would have found.
Everything else goes down a tree of path segments, which yields the few routes that can match at all; these are tried
in order of declaration with their own patterns. The tree only leaves out what cannot match, so it can never change who
wins. One answer is not Starlette's: a route for HEAD counts though one for GET of the same path stands before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.convertors import FloatConvertor, IntegerConvertor, StringConvertor, UUIDConvertor
from starlette.routing import PARAM_REGEX, Match, Mount, WebSocketRoute
from starlette.routing import Route as StarletteRoute

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from starlette.convertors import Convertor
    from starlette.requests import HTTPConnection
    from starlette.routing import BaseRoute
    from starlette.types import Scope

    from velithon.requests.request import PathParams

# Convertors whose values fill a part of one segment; any other may be empty, or reach across slashes.
_ONE_SEGMENT = (StringConvertor, IntegerConvertor, FloatConvertor, UUIDConvertor)
# The matching rules that a table can foretell; `velithon.routing.routes` adds its own.
PREDICTABLE: set[object] = {StarletteRoute.matches}
# The parameters of a path, each with the index of the segment that it fills.
Positions = tuple[tuple[str, int], ...]
Answer = tuple[Any, "PathParams | None"]


class Nowhere:
    """Stands where a route would, for a path that certainly has none."""

    direct_call = None
    scope_plan = None


MISS: Answer = (Nowhere, None)


class Found:
    """A route that answers a path.

    Args:
        route: The route.
        path_params: By name, converted.
        allowed: Whether it answers in full, or only with another method than the one asked for.
        direct: Whether it is a responder, with `respond(request)`.
        child_scope: What a route with a matching rule of its own wants to have added to the scope.
    """

    __slots__ = ("allowed", "child_scope", "direct", "path_params", "route")

    def __init__(
        self,
        route: BaseRoute,
        path_params: PathParams,
        allowed: bool,
        direct: bool,
        child_scope: Scope | None = None,
    ) -> None:
        self.route = route
        self.path_params = path_params
        self.allowed = allowed
        self.direct = direct
        self.child_scope = child_scope


class Entry:
    """One route with what it takes to try it."""

    __slots__ = (
        "conversions",
        "convertors",
        "match",
        "methods",
        "opaque",
        "order",
        "plain",
        "positions",
        "responds",
        "route",
    )

    def __init__(self, order: int, route: BaseRoute) -> None:
        self.order = order
        self.route = route
        # A route class with a matching rule of its own is asked, not predicted.
        self.opaque = type(route).matches not in PREDICTABLE
        self.plain = not self.opaque and not PARAM_REGEX.search(route.path)  # type: ignore[attr-defined]  # every route that is indexed has a path
        self.responds = hasattr(route, "respond")
        self.convertors: dict[str, Convertor[object]] = getattr(route, "param_convertors", {})
        self.methods: set[str] | None = None
        self.conversions: tuple[tuple[str, Callable[[str], object]], ...] = ()
        # Where in the path each parameter stands, when each is a whole segment of text: no pattern is needed then.
        self.positions: Positions | None = None
        if not self.opaque:
            assert isinstance(route, StarletteRoute)  # narrows the type; `opaque` says so already
            self.methods = getattr(route, "allowed_methods", route.methods) or None
            self.match = route.path_regex.match
            self.positions = _find_positions(route.path, self.convertors)
            self.conversions = tuple(
                (name, convertor.convert)
                for name, convertor in self.convertors.items()
                if type(convertor) is not StringConvertor
            )

    def attempt(self, path: str, method: str, connection: HTTPConnection | None) -> Found | None:
        if self.opaque:
            if connection is None:
                return None
            match, child_scope = self.route.matches(connection.scope)
            if match is Match.NONE:
                return None
            params = child_scope.get("path_params", {})
            return Found(self.route, params, match is Match.FULL, False, child_scope)
        matched = self.match(path)
        if matched is None:
            return None
        params = matched.groupdict()
        for name, convert in self.conversions:
            params[name] = convert(params[name])
        allowed = self.methods is None or method in self.methods
        return Found(self.route, params, allowed, allowed and self.responds)


class Node:
    """A place in the tree of path segments."""

    __slots__ = ("answers", "below", "here", "literals", "steps", "wildcard")

    def __init__(self) -> None:
        self.literals: dict[str, Node] = {}
        self.wildcard: Node | None = None
        self.here: list[Entry] = []
        self.below: list[Entry] = []
        # By method, the responder among `here` that answers it and where its parameters stand, for `Table.direct`.
        self.answers: dict[str, tuple[object, Positions]] = {}
        # The literals that lead on with no other way beside them and no route that takes all that follows.
        self.steps: dict[str, Node] = {}

    def add(self, segments: Sequence[str], entry: Entry) -> None:
        node = self
        for segment in segments:
            parameters = PARAM_REGEX.findall(segment)
            if any(type(entry.convertors.get(name)) not in _ONE_SEGMENT for name, _ in parameters):
                node.below.append(entry)
                return
            if parameters:
                if node.wildcard is None:
                    node.wildcard = Node()
                node = node.wildcard
            else:
                node = node.literals.setdefault(segment, Node())
        node.here.append(entry)

    def precompute(self) -> None:
        """Work out what can be answered without trying patterns, here and further down."""
        for entry in self.here:
            if entry.positions is None or entry.methods is None or not entry.responds:
                break
            for method in entry.methods:
                self.answers.setdefault(method, (entry.route, entry.positions))
        if self.wildcard is None:
            self.steps = {literal: child for literal, child in self.literals.items() if not child.below}
        children = [*self.literals.values()] if self.wildcard is None else [*self.literals.values(), self.wildcard]
        for child in children:
            child.precompute()

    def collect(self, segments: Sequence[str], index: int, found: list[Entry]) -> None:
        found += self.below
        if index == len(segments):
            found += self.here
            return
        child = self.literals.get(segments[index])
        if child is not None:
            child.collect(segments, index + 1, found)
        if self.wildcard is not None:
            self.wildcard.collect(segments, index + 1, found)


class Exact:
    """The precomputed answers for one path without parameters.

    Args:
        by_method: What answers each method.
        otherwise: What answers all others.
        walk: Whether a route with a rule of its own comes after these: what they don't answer takes the walk.
    """

    __slots__ = ("answers", "by_method", "otherwise", "walk")

    def __init__(self, by_method: dict[str, Found], otherwise: Found | None, walk: bool = False) -> None:
        self.by_method = by_method
        self.otherwise = otherwise
        self.walk = walk
        # What `Table.direct` says: by method, the responders that take nothing from the path.
        self.answers: dict[str, Answer] = {
            method: (found.route, None) for method, found in by_method.items() if found.direct and not found.path_params
        }


class Table:
    """Routes of one router, compiled.

    Args:
        routes: In order of declaration. WebSocket routes are left out.
        miss: `MISS`, where nothing else answers for a path that no route has; see `direct`.
    """

    def __init__(self, routes: Iterable[BaseRoute], miss: Answer | None = None) -> None:
        self.miss = miss
        self.root = Node()
        self.opaque: list[Entry] = []
        self.exact: dict[str, Exact] = {}
        plain: dict[str, None] = {}
        routes = [route for route in routes if not isinstance(route, WebSocketRoute)]
        heads = {_read_shape(route) for route in routes if "HEAD" in _read_declared(route)}
        for order, route in enumerate(routes):
            entry = Entry(order, route)
            if (
                heads
                and entry.methods is not None
                and _read_shape(route) in heads
                and "HEAD" not in _read_declared(route)
            ):
                # A route of its own for HEAD counts, though one for GET that stands before it would answer.
                entry.methods = entry.methods - {"HEAD"}
            if entry.opaque:
                prefix = _list_literal_segments(route)
                if prefix is None:
                    self.opaque.append(entry)
                else:
                    self.root.add([*prefix, "{rest:path}"], entry)
                continue
            path: str = route.path  # type: ignore[attr-defined]  # every route that is indexed has a path
            self.root.add(path.split("/"), entry)
            if entry.plain:
                plain.setdefault(path)
        for path in plain:
            self.exact[path] = self._precompute(path)
        self.root.precompute()
        # Where the direct way begins; there is none past routes that may be anywhere.
        self.start = None if self.opaque or self.root.below else self.root
        # The shortest direct way, for what most paths with parameters look like: `/literal/parts/{last}`.
        self.tails: dict[str, dict[str, tuple[object, str]]] = {}
        if self.start is not None:
            self._find_tails(self.start, [])

    def _find_tails(self, node: Node, prefix: list[str]) -> None:
        """Note every literal prefix behind which one parameter is all that can come, where no fork leads elsewhere."""
        if node.below:
            return
        last = node.wildcard
        if last is not None and prefix:
            # Behind the first slash alone the prefix would be that of a path without any slash.
            if len(prefix) > 1 and last.answers and not last.below:
                self.tails["/".join(prefix)] = {
                    method: (route, positions[0][0])
                    for method, (route, positions) in last.answers.items()
                    if len(positions) == 1
                }
            # Below a parameter, or beside one, a path may fork.
            return
        for literal, child in node.literals.items():
            self._find_tails(child, [*prefix, literal])

    def candidates(self, path: str) -> list[Entry]:
        """Return the routes that may match, in order of declaration."""
        found = list(self.opaque)
        self.root.collect(path.split("/"), 0, found)
        if path.endswith("\n"):
            # `$` in a route's pattern also matches before a last newline.
            self.root.collect(path[:-1].split("/"), 0, found)
            found = list({id(entry): entry for entry in found}.values())
        if len(found) > 1:
            found.sort(key=_get_order)
        return found

    def _precompute(self, path: str) -> Exact:
        by_method: dict[str, Found] = {}
        otherwise: Found | None = None
        for entry in self.candidates(path):
            if entry.opaque:
                return Exact(by_method, otherwise, walk=True)
            found = entry.attempt(path, "", None)
            if found is None:
                continue
            if entry.methods is None:
                otherwise = found
                break
            for method in entry.methods:
                by_method.setdefault(method, Found(entry.route, found.path_params, True, entry.responds))
            if otherwise is None:
                otherwise = found
        return Exact(by_method, otherwise)

    def resolve(self, method: str, path: str, connection: HTTPConnection | None = None) -> Found | None:
        """Find the route for a method and a path.

        Args:
            method: In upper case.
            path: Within the router: without the root path.
            connection: For routes that decide for themselves, by its scope; without it they never match.

        Returns:
            What was found, or `None`. `Found.path_params` is the caller's to keep, but not to change.
        """
        exact = self.exact.get(path)
        if exact is not None:
            found = exact.by_method.get(method)
            if found is not None:
                return found
            if not exact.walk:
                return exact.otherwise
        return self._walk(method, path, connection)

    def direct(self, method: str, path: str) -> Answer | None:
        """Find the responder and its path parameters where no pattern has to be tried.

        That is: a path without parameters, or one way down the tree and at its end routes whose parameters are whole
        segments of text.

        Returns:
            The route and its parameters (`None` for none), or the table's `miss` where the tree has no way for the
            path, nor for the one that a redirection could lead to. `None` says that `resolve` must look.
        """
        exact = self.exact.get(path)
        return self.by_tree(method, path) if exact is None else exact.answers.get(method)

    def by_tree(self, method: str, path: str) -> Answer | None:
        """Do what `direct` does for a path that is not in `exact`."""
        prefix, _, last = path.rpartition("/")
        tail = self.tails.get(prefix)
        if tail is not None:
            found = tail.get(method)
            return None if found is None or not last or last[-1] == "\n" else (found[0], {found[1]: last})
        node = self.start
        # A pattern may end before a last newline.
        if node is None or "\n" in path:
            return None
        segments = path.split("/")
        for segment in segments:
            child = node.steps.get(segment)
            if child is None:
                child = node.wildcard
                # An empty segment may be the last slash.
                if not segment or segment in node.literals:
                    return None
                if child is None:
                    return self.miss
                if child.below:
                    return None
            node = child
        answer = node.answers.get(method)
        if answer is None:
            # With a last slash more, the path could have a route only one literal further.
            return self.miss if not node.here and segments[-1] and "" not in node.literals else None
        route, positions = answer
        return route, {name: segments[index] for name, index in positions}

    def may_match(self, path: str) -> bool:
        """Tell whether any route can have this path."""
        return path in self.exact or bool(self.candidates(path))

    def _walk(self, method: str, path: str, connection: HTTPConnection | None) -> Found | None:
        partial: Found | None = None
        for entry in self.candidates(path):
            found = entry.attempt(path, method, connection)
            if found is not None:
                if found.allowed:
                    return found
                if partial is None:
                    partial = found
        return partial

    def matching(self, path: str) -> Iterator[Found]:
        """Yield every predictable route that has this path, whatever its methods."""
        for entry in self.candidates(path):
            if not entry.opaque:
                found = entry.attempt(path, "", None)
                if found is not None:
                    yield found


def _read_shape(route: Any) -> str:
    """Return a route's path without the names of its parameters."""
    return PARAM_REGEX.sub(lambda match: "{" + (match[2] or ":str") + "}", route.path)


def _read_declared(route: BaseRoute) -> Collection[str]:
    """Return the methods that one of our routes says it has; Starlette's add `HEAD` to theirs."""
    return (getattr(route, "methods", None) or ()) if hasattr(route, "allowed_methods") else ()


def _find_positions(path: str, convertors: dict[str, Convertor[object]]) -> Positions | None:
    positions = []
    for index, segment in enumerate(path.split("/")):
        if "{" in segment:
            match = PARAM_REGEX.fullmatch(segment)
            if match is None or type(convertors[match[1]]) is not StringConvertor:
                return None
            positions.append((match[1], index))
    return tuple(positions)


def _get_order(entry: Entry) -> int:
    return entry.order


def _list_literal_segments(route: BaseRoute) -> list[str] | None:
    """Return the segments of a mount's path before its first parameter, or `None` where a route can be anywhere."""
    if type(route).matches is not Mount.matches:
        return None
    assert isinstance(route, Mount)  # narrows the type
    return list(_take_until_parameter(route.path.split("/")))


def _take_until_parameter(segments: Iterable[str]) -> Iterator[str]:
    for segment in segments:
        if PARAM_REGEX.search(segment):
            return
        yield segment
