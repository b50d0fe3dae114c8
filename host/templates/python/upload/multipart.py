"""Files in multipart forms (RFC 7578).

The parser of `email` would take uploaded mails apart, and does not say where in the body a file lies, which `blobs.keep`
wants to know.
"""

from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser

from wit_world.imports.http import Request

from wharf import header


@dataclass
class File:
    """A file's name, and where in the body its content lies."""

    name: str
    offset: int
    length: int


def file_in(request: Request, field: str) -> File | None:
    """The file that was sent in a field."""
    form = Message()
    form["content-type"] = header(request, "content-type") or ""
    boundary = form.get_boundary()
    if form.get_content_type() != "multipart/form-data" or not boundary:
        return None
    body, delimiter = request.body, f"--{boundary}".encode()
    start = body.find(delimiter)
    while start >= 0:
        start = body.find(b"\r\n", start) + 2
        offset = body.find(b"\r\n\r\n", start) + 4
        end = body.find(b"\r\n" + delimiter, offset)
        if start < 2 or offset < 4 or end < 0:
            return None
        part = HeaderParser().parsestr(body[start:offset].decode(errors="replace"))
        name = part.get_filename()
        # A browser sends an empty name where nobody chose a file.
        if name and part.get_param("name", header="content-disposition") == field:
            return File(name, offset, end - offset)
        start = end + 2
    return None
