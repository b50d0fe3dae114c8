"""`{{group}}`: a component of `wasi:http`, which runs unchanged wherever that is spoken."""

from collections.abc import Iterable

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.types import (
    Fields,
    IncomingRequest,
    OutgoingBody,
    OutgoingResponse,
    ResponseOutparam,
)

# What a stream takes at once.
MOST_BYTES = 4096


class IncomingHandler(exports.IncomingHandler):
    """What the host calls."""

    def handle(self, request: IncomingRequest, out: ResponseOutparam) -> None:
        path, _, _ = request.path_with_query().partition("?")
        # The mount is taken off: on the host this is /{{group}}/echo.
        match path:
            case "/":
                respond(out, 200, [b"Hello!\n"])
            case "/echo":
                respond(out, 200, sent(request))
            case _:
                respond(out, 404, [])


def respond(out: ResponseOutparam, status: int, content: Iterable[bytes]) -> None:
    """Answers, and sends the content piece by piece."""
    response = OutgoingResponse(Fields())
    response.set_status_code(status)
    body = response.body()
    ResponseOutparam.set(out, Ok(response))
    with body.write() as stream:
        for piece in content:
            stream.blocking_write_and_flush(piece)
    OutgoingBody.finish(body, None)


def sent(request: IncomingRequest) -> Iterable[bytes]:
    """The request's body, piece by piece as it arrives."""
    with request.consume() as body, body.stream() as stream:
        while True:
            try:
                yield stream.blocking_read(MOST_BYTES)
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    return
                raise
