"""`{{group}}`: lets those call the groups that it wraps who send its key as `x-api-key`."""

from hmac import compare_digest

from wit_world import exports
from wit_world.exports.middleware import Action, Action_Next, Action_Respond, Changes
from wit_world.imports import log, settings
from wit_world.imports.http import Request, Response
from wit_world.imports.log import Level

import wharf
from wharf import Endpoint, answer, header, response

# The header that the key is sent in.
HEADER = "x-api-key"


class Middleware(exports.Middleware):
    """The check."""

    def before(self, request: Request) -> Action:
        """Sees each request before the group, and hands it on or answers by itself."""
        key = settings.get("key") or ""
        sent = header(request, HEADER) or ""
        # How long the comparison takes tells nothing of the key but its length.
        if not key or not compare_digest(sent.encode(), key.encode()):
            log.write(Level.INFO, "a caller without the key was turned away")
            message = "Send the API key in the header x-api-key."
            return Action_Respond(answer(401, {"message": message}))
        # The group need not know it.
        return Action_Next(Changes(remove=[HEADER], set=[], add=[]))

    def after(self, response: Response) -> Response:
        """Sees each answer after the group."""
        return response


def hello(request: Request) -> Response:
    return response(200, b"You have the key.\n", ("content-type", "text/plain; charset=utf-8"))


# What it wraps itself, so that there is something to try. A component that wraps others needs no routes.
ENDPOINTS = [
    Endpoint("GET", "/{{group}}", hello, "Says that whoever asks has the key.", "{{group}}"),
]


class Handler(exports.Handler):
    """What the host calls."""

    def routes(self):
        return wharf.routes(ENDPOINTS)

    def handle(self, request: Request) -> Response:
        return wharf.handle(ENDPOINTS, request)
