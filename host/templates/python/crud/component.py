"""`{{group}}`: items in a table of their own."""

from urllib.parse import parse_qs

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.handler import Kind
from wit_world.imports import clock, log
from wit_world.imports.http import Request, Response
from wit_world.imports.log import Level

import wharf
from database import execute, is_taken, query
from wharf import Endpoint, Refusal, answer, in_path, parameter, response, sent

COLUMNS = "id, name, amount, created_at"


def list_items(request: Request) -> Response:
    after = whole(parse_qs(request.query).get("after", ["0"])[0])
    if after is None:
        raise Refusal(400, "after must be a whole number")
    sql = f"SELECT {COLUMNS} FROM {{table}} WHERE id > $1 ORDER BY id LIMIT 50"
    return answer(200, query(sql, after))


def create(request: Request) -> Response:
    name, amount = item(request)
    sql = f"INSERT INTO {{table}} (name, amount, created_at) VALUES ($1, $2, $3) RETURNING {COLUMNS}"
    made = written(sql, name, amount, clock.now())[0]
    log.write(Level.INFO, f"item {made['id']} was added")
    return answer(201, made)


def show(request: Request) -> Response:
    return found(query(f"SELECT {COLUMNS} FROM {{table}} WHERE id = $1", id_of(request)))


def update(request: Request) -> Response:
    name, amount = item(request)
    sql = f"UPDATE {{table}} SET name = $1, amount = $2 WHERE id = $3 RETURNING {COLUMNS}"
    return found(written(sql, name, amount, id_of(request)))


def remove(request: Request) -> Response:
    if execute("DELETE FROM {{table}} WHERE id = $1", id_of(request)) == 0:
        raise Refusal(404, "Not Found")
    return response(204)


def item(request: Request) -> tuple[str, int]:
    """The item that a client has sent."""
    body = sent(request)
    name, amount = body.get("name"), body.get("amount")
    fields = {}
    if not isinstance(name, str) or not 1 <= len(name) <= 100:
        fields["name"] = ["must be text of 1 to 100 characters"]
    if not isinstance(amount, int) or isinstance(amount, bool) or not 0 <= amount < 2**63:
        fields["amount"] = ["must be a whole number of at least 0"]
    if fields:
        raise Refusal(422, "The item is not valid.", fields=fields)
    return name, amount


def id_of(request: Request) -> int:
    number = whole(in_path(request, "id"))
    if number is None:
        raise Refusal(404, "Not Found")
    return number


def whole(text: str) -> int | None:
    """A whole number that a column can hold."""
    if len(text) > 18 or not text.isascii() or not text.isdigit():
        return None
    return int(text)


def found(items: list[dict]) -> Response:
    if not items:
        raise Refusal(404, "Not Found")
    return answer(200, items[0])


def written(sql: str, *parameters: str | int) -> list[dict]:
    try:
        return query(sql, *parameters)
    except Err as error:
        if is_taken(error):
            raise Refusal(409, "there is an item of this name") from None
        raise


PAGE = [parameter("after", Kind.INTEGER, False, "The id that the page comes after.")]
ITEM = [
    parameter("name", Kind.TEXT, True, "What it is called; no two items are called the same."),
    parameter("amount", Kind.INTEGER, True, "How many there are."),
]
ENDPOINTS = [
    Endpoint("GET", "/{{group}}", list_items, "The items, 50 at a time.", "{{group}}", PAGE),
    Endpoint("POST", "/{{group}}", create, "Adds an item.", "{{group}}", ITEM),
    Endpoint("GET", "/{{group}}/{id}", show, "One item.", "{{group}}"),
    Endpoint("PUT", "/{{group}}/{id}", update, "Changes an item.", "{{group}}", ITEM),
    Endpoint("DELETE", "/{{group}}/{id}", remove, "Removes an item.", "{{group}}"),
]


class Handler(exports.Handler):
    """What the host calls."""

    def routes(self):
        return wharf.routes(ENDPOINTS)

    def handle(self, request: Request) -> Response:
        return wharf.handle(ENDPOINTS, request)
