"""The tenant's database, with rows as dictionaries."""

from componentize_py_types import Err
from wit_world.imports import database
from wit_world.imports.database import (
    Error_UniqueViolation,
    Value_Boolean,
    Value_Integer,
    Value_Null,
    Value_Text,
)

Plain = str | int | bool | None


def query(sql: str, *parameters: Plain) -> list[dict]:
    """The rows of a statement."""
    found = database.query(sql, [value(one) for one in parameters])
    return [dict(zip(found.columns, map(plain, row))) for row in found.rows]


def execute(sql: str, *parameters: Plain) -> int:
    """Runs a statement, and says how many rows it has changed."""
    return database.execute(sql, [value(one) for one in parameters])


def is_taken(error: Err) -> bool:
    """Whether a statement failed since there is a row with such a value already."""
    return isinstance(error.value, Error_UniqueViolation)


def value(parameter: Plain) -> database.Value:
    match parameter:
        case None:
            return Value_Null()
        case bool():
            return Value_Boolean(parameter)
        case int():
            return Value_Integer(parameter)
        case _:
            return Value_Text(parameter)


def plain(cell: database.Value) -> object:
    return None if isinstance(cell, Value_Null) else cell.value
