"""`{{group}}`: files that clients upload, and what is known of each."""

from wit_world import exports
from wit_world.exports.handler import Kind, Parameter, Place
from wit_world.imports import blobs, clock, random
from wit_world.imports.http import Request, Response

import wharf
from database import execute, query
from multipart import file_in
from wharf import Endpoint, Refusal, answer, in_path, response

COLUMNS = "id, name, bytes, created_at"


def list_files(request: Request) -> Response:
    return answer(200, query(f"SELECT {COLUMNS} FROM {{table}} ORDER BY id DESC LIMIT 50"))


def upload(request: Request) -> Response:
    file = file_in(request, "file")
    if file is None:
        raise Refusal(422, "What was sent is not valid.", fields={"file": ["is required"]})
    # Never a key that a client chooses: it would choose somebody else's.
    key = random.bytes(16).hex()
    # The host takes it from the body as it arrived; it does not pass through this instance again.
    blobs.keep(key, file.offset, file.length)
    sql = (
        "INSERT INTO {{table}} (name, blob, bytes, created_at) VALUES ($1, $2, $3, $4) "
        f"RETURNING {COLUMNS}"
    )
    return answer(201, query(sql, file.name, key, file.length, clock.now())[0])


def download(request: Request) -> Response:
    # The host sends the blob; it does not pass through this instance.
    blobs.respond(key_of(request))
    # Whatever it is, a browser shows nothing of it as a page of this origin.
    kind = ("content-type", "application/octet-stream")
    return response(200, b"", kind, ("x-content-type-options", "nosniff"))


def remove(request: Request) -> Response:
    key = key_of(request)
    execute("DELETE FROM {{table}} WHERE blob = $1", key)
    blobs.delete(key)
    return response(204)


def key_of(request: Request) -> str:
    """Where a file's content lies."""
    number = in_path(request, "id")
    # More digits than that no column can hold.
    if number.isascii() and number.isdigit() and len(number) <= 18:
        kept = query("SELECT blob FROM {{table}} WHERE id = $1", int(number))
        if kept:
            return kept[0]["blob"]
    raise Refusal(404, "Not Found")


STORE = "Keeps the file that is sent in the field `file` of a multipart form."
FILE = [Parameter("file", Place.FILE, Kind.BINARY, True, "The file.")]
ENDPOINTS = [
    Endpoint("GET", "/{{group}}", list_files, "The files, the newest first.", "{{group}}"),
    Endpoint("POST", "/{{group}}", upload, STORE, "{{group}}", FILE, body_limit=10_000_000),
    Endpoint("GET", "/{{group}}/{id}", download, "A file's content.", "{{group}}"),
    Endpoint("DELETE", "/{{group}}/{id}", remove, "Removes a file.", "{{group}}"),
]


class Handler(exports.Handler):
    """What the host calls."""

    def routes(self):
        return wharf.routes(ENDPOINTS)

    def handle(self, request: Request) -> Response:
        return wharf.handle(ENDPOINTS, request)
