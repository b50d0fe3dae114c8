"""`{{group}}`: a greeting, to begin with."""

from wit_world import exports
from wit_world.imports import log
from wit_world.imports.http import Request, Response
from wit_world.imports.log import Level

import wharf
from wharf import Endpoint, answer, in_path


def greet(request: Request) -> Response:
    name = in_path(request, "name")
    log.write(Level.INFO, f"greeting {name}")
    return answer(200, {"greeting": f"Hello, {name}!"})


ENDPOINTS = [
    Endpoint("GET", "/{{group}}/{name}", greet, "Greets somebody.", "{{group}}"),
]


class Handler(exports.Handler):
    """What the host calls."""

    def routes(self):
        return wharf.routes(ENDPOINTS)

    def handle(self, request: Request) -> Response:
        return wharf.handle(ENDPOINTS, request)
