"""A table of addresses: each function answers one method of one path."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from clerk_sync.emulator.errors import Refusal

if TYPE_CHECKING:
    from clerk_sync.emulator.clerk import LocalClerk

View = Callable[..., Response]
V = TypeVar("V", bound=View)


@dataclass
class Routes:
    """`add` registers a view `(clerk, request, **path values) -> Response`."""

    prefix: str = ""
    map: Map = field(default_factory=lambda: Map(strict_slashes=False, merge_slashes=False))

    def add(self, method: str, path: str) -> Callable[[V], V]:
        def register(view: V) -> V:
            self.map.add(Rule(self.prefix + path, methods=[method], endpoint=view))
            return view

        return register

    def answer(self, clerk: "LocalClerk", request: Request, *, method: str | None = None) -> Response:
        try:
            view, values = self.map.bind_to_environ(request.environ).match(method=method or request.method)
        except NotFound:
            raise Refusal(404, "resource_not_found", "not found", f"No {request.path} here.") from None
        except MethodNotAllowed:
            raise Refusal(405, "method_not_allowed", "method not allowed") from None
        response: Response = view(clerk, request, **values)
        return response
