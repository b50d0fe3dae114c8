"""The coupons service in Python; what it promises is written in ../README.md."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

from componentize_py_types import Err
from wit_world.exports import Handler
from wit_world.exports.handler import Access_Public, Kind, Parameter, Place, Route, Throttle
from wit_world.imports import cache, clock, database, log, settings
from wit_world.imports.database import (
    Error_Busy,
    Error_Timeout,
    Error_Unavailable,
    Error_UniqueViolation,
    Value_Integer,
    Value_Null,
    Value_Text,
)
from wit_world.imports.http import Caller_Identity, Request, Response
from wit_world.imports.log import Level

PAGE = 50
CODE_BYTES = 64
MOST_BRACKETS = 100
PAGE_SECONDS = 60
GENERATION_SECONDS = 86_400
COLUMNS = "code, percent, redeemed_by, redeemed_at"


def list_page(request: Request) -> Response:
    after = parse_qs(request.query).get("after", [""])[0]
    # Whatever changes a coupon makes a new generation, so a page of an older one is never read again.
    generation = (cache.get("coupons/generation") or b"").hex()
    key = f"coupons/{generation}/{after}"
    if cached := cache.get(key):
        return response(200, cached, ("x-cache", "hit"))
    rows = query(
        f"SELECT {COLUMNS} FROM coupons WHERE code > $1 ORDER BY code LIMIT $2", after, PAGE + 1
    )
    coupons = rows[:PAGE]
    next_after = coupons[-1]["code"] if len(rows) > PAGE else None
    body = encode({"coupons": coupons, "next": next_after})
    cache.set(key, body, PAGE_SECONDS)
    return response(200, body, ("x-cache", "miss"))


def create(request: Request) -> Response:
    sent = members(request.body)
    code, percent = sent.get("code"), sent.get("percent")
    most = int(settings.get("most_percent") or 100)
    fields = {}
    if not is_code(code):
        fields["code"] = f"must be text of 1 to {CODE_BYTES} bytes without control characters"
    if not is_whole(percent) or not 1 <= percent <= most:
        fields["percent"] = f"must be a whole number from 1 to {most}"
    if fields:
        return answer(422, {"message": "the coupon is not valid", "fields": fields})
    try:
        database.execute(
            "INSERT INTO coupons (code, percent) VALUES ($1, $2)", values(code, int(percent))
        )
    except Err as error:
        if isinstance(error.value, Error_UniqueViolation):
            return answer(409, {"message": "there is a coupon with this code already"})
        raise
    changed()
    return answer(
        201, {"code": code, "percent": int(percent), "redeemed_by": None, "redeemed_at": None}
    )


def show(request: Request) -> Response:
    return found(coupon(code_of(request)))


def redeem(request: Request) -> Response:
    code, who = code_of(request), caller_of(request)
    redeemed = query(
        "UPDATE coupons SET redeemed_by = $1, redeemed_at = $2 "
        f"WHERE code = $3 AND redeemed_at IS NULL RETURNING {COLUMNS}",
        who,
        clock.now(),
        code,
    )
    if redeemed:
        changed()
        log.write(Level.INFO, f"coupon {code} redeemed by {who}")
        return answer(200, redeemed[0])
    if coupon(code):
        return answer(409, {"message": "this coupon was redeemed before"})
    return found(None)


@dataclass
class Endpoint:
    """A route and what answers it; the host names the route by its index."""

    method: str
    path: str
    summary: str
    parameters: list[Parameter]
    answer: Callable[[Request], Response]

    def route(self) -> Route:
        return Route(
            method=self.method,
            path=self.path,
            access=Access_Public(),
            throttle=Throttle.USUAL,
            tag="coupons",
            summary=self.summary,
            parameters=self.parameters,
            body_limit=None,
        )


CODE = Parameter("code", Place.PATH, Kind.TEXT, True, "")
AFTER = Parameter("after", Place.INPUT, Kind.TEXT, False, "The code that the page comes after.")
NEW = [
    Parameter("code", Place.INPUT, Kind.TEXT, True, "The code."),
    Parameter("percent", Place.INPUT, Kind.INTEGER, True, "The discount."),
]
ENDPOINTS = [
    Endpoint("GET", "/api/coupons", "The coupons by code, a page at a time.", [AFTER], list_page),
    Endpoint("POST", "/api/coupons", "Creates a coupon.", NEW, create),
    Endpoint("GET", "/api/coupons/{code}", "One coupon.", [CODE], show),
    Endpoint("POST", "/api/coupons/{code}/redeem", "Redeems a coupon, once.", [CODE], redeem),
]


class Handler(Handler):
    """What the host calls."""

    def routes(self) -> list[Route]:
        return [endpoint.route() for endpoint in ENDPOINTS]

    def handle(self, request: Request) -> Response:
        try:
            return ENDPOINTS[request.route].answer(request)
        except Err as error:
            return failed(error.value)


def coupon(code: str) -> dict | None:
    rows = query(f"SELECT {COLUMNS} FROM coupons WHERE code = $1", code)
    return rows[0] if rows else None


def found(one: dict | None) -> Response:
    if one:
        return answer(200, one)
    return answer(404, {"message": "there is no such coupon"})


def members(body: bytes) -> dict:
    """The members of a JSON object; none if it is not one."""
    # The parser calls itself for each level, and the stack has an end that Python does not know.
    if body.count(b"[") + body.count(b"{") > MOST_BRACKETS:
        return {}
    try:
        read = json.loads(body)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def is_code(code: object) -> bool:
    if not isinstance(code, str) or any(char < " " or char == "\x7f" for char in code):
        return False
    try:
        return 1 <= len(code.encode()) <= CODE_BYTES
    except UnicodeEncodeError:
        # Half of a surrogate pair is no character.
        return False


def is_whole(number: object) -> bool:
    if isinstance(number, float):
        return number.is_integer()
    return isinstance(number, int) and not isinstance(number, bool)


def code_of(request: Request) -> str:
    return request.path_parameters[0][1]


def caller_of(request: Request) -> str:
    match request.caller:
        case Caller_Identity(user):
            return f"{user.realm}/{user.user_id}"
    return "anonymous"


def changed() -> None:
    cache.increment("coupons/generation", GENERATION_SECONDS)


def query(sql: str, *parameters: str | int) -> list[dict]:
    """The rows of a statement, as dictionaries."""
    found = database.query(sql, values(*parameters))
    plain = lambda value: None if isinstance(value, Value_Null) else value.value
    return [dict(zip(found.columns, map(plain, row))) for row in found.rows]


def values(*parameters: str | int) -> list[database.Value]:
    return [Value_Text(one) if isinstance(one, str) else Value_Integer(one) for one in parameters]


def failed(error: object) -> Response:
    if isinstance(error, (Error_Busy, Error_Unavailable, Error_Timeout)):
        return answer(503, {"message": "Service Unavailable"}, ("retry-after", "1"))
    log.write(Level.ERROR, f"the database: {error}")
    return answer(500, {"message": "Server Error"})


def answer(status: int, body: dict, *headers: tuple[str, str]) -> Response:
    return response(status, encode(body), *headers)


def encode(body: dict) -> bytes:
    return json.dumps(body).encode()


def response(status: int, body: bytes, *headers: tuple[str, str]) -> Response:
    headers = [("content-type", "application/json"), *headers]
    return Response(status, [(name, value.encode()) for name, value in headers], body)
