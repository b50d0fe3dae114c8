"""What every component of this project needs: a table of routes, and answers."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from re import findall

from componentize_py_types import Err
from wit_world.exports.handler import (
    Access_Public,
    Access_SignedIn,
    Kind,
    Parameter,
    Place,
    Route,
    Throttle,
)
from wit_world.imports import log
from wit_world.imports.http import Request, Response
from wit_world.imports.log import Level

# The parser calls itself for each level, and a component's stack has an end that Python does not know.
MOST_BRACKETS = 100


class Refusal(Exception):
    """What a handler raises to answer something else than it would."""

    def __init__(self, status: int, message: str, **more: object) -> None:
        super().__init__(message)
        self.status, self.body = status, {"message": message, **more}


@dataclass
class Endpoint:
    """A route and what answers it; with a realm, its users alone may call it. A body's limit is in bytes."""

    method: str
    path: str
    answer: Callable[[Request], Response]
    summary: str = ""
    tag: str = ""
    parameters: list[Parameter] = field(default_factory=list)
    realm: str | None = None
    body_limit: int | None = None

    def route(self) -> Route:
        names = findall(r"\{\*?([^}]+)\}", self.path)
        in_path = [Parameter(name, Place.PATH, Kind.TEXT, True, "") for name in names]
        return Route(
            method=self.method,
            path=self.path,
            access=Access_SignedIn(self.realm) if self.realm else Access_Public(),
            throttle=Throttle.USUAL,
            tag=self.tag,
            summary=self.summary,
            parameters=in_path + self.parameters,
            body_limit=self.body_limit,
        )


def parameter(name: str, kind: Kind, required: bool, description: str) -> Parameter:
    """A parameter for the API description."""
    return Parameter(name, Place.INPUT, kind, required, description)


def routes(endpoints: list[Endpoint]) -> list[Route]:
    return [endpoint.route() for endpoint in endpoints]


def handle(endpoints: list[Endpoint], request: Request) -> Response:
    try:
        return endpoints[request.route].answer(request)
    except Refusal as refusal:
        return answer(refusal.status, refusal.body)
    except Err as error:
        if type(error.value).__name__ in ("Error_Busy", "Error_Unavailable", "Error_Timeout"):
            message = {"message": "Service Unavailable"}
            return answer(503, message, ("retry-after", "1"))
        log.write(Level.ERROR, str(error.value))
        return answer(500, {"message": "Server Error"})


def answer(status: int, body: object, *headers: tuple[str, str]) -> Response:
    """An answer with a JSON body."""
    return response(status, json.dumps(body).encode(), ("content-type", "application/json"), *headers)


def response(status: int, body: bytes = b"", *headers: tuple[str, str]) -> Response:
    """An answer with a body of bytes."""
    return Response(status, [(name, value.encode()) for name, value in headers], body)


def sent(request: Request) -> dict:
    """The JSON object that a client has sent."""
    body = request.body
    try:
        if body.count(b"[") + body.count(b"{") <= MOST_BRACKETS:
            read = json.loads(body)
            if isinstance(read, dict):
                return read
    except ValueError:
        pass
    raise Refusal(400, "Send a JSON object.")


def in_path(request: Request, name: str) -> str:
    """A parameter of the path."""
    return dict(request.path_parameters)[name]


def header(request: Request, name: str) -> str | None:
    """A header, by its name in lower case; of several the first."""
    for candidate, value in request.headers:
        if candidate == name:
            return value.decode(errors="replace")
    return None
