"""differences - where a server is known to read or refuse otherwise what HTTP allows, each with its reason.

None of these takes a request for another one. HAProxy and Tornado refuse nothing that the proxy forwards.
"""

import re
import urllib.parse

from servers import Record

NGINX_METHOD = re.compile(rb"[A-Z_-]+")
# Only one of each. Those of framing and Host, of which the proxy forwards one at most, are not among them.
NGINX_UNIQUE = (b"authorization", b"content-range", b"expect", b"if-match", b"if-modified-since", b"if-none-match", b"if-range",
                b"if-unmodified-since")


def leaves_root(path):
    """Do the path's dot segments, percent-encoded ones too, lead above its first slash?"""
    depth = 0
    for segment in urllib.parse.unquote_to_bytes(path).split(b"/")[1:]:
        if segment == b"..":
            depth -= 1
        elif segment != b".":
            depth += 1
        if depth < 0:
            return True
    return False


def nginx_reason(request):
    path = request.target.partition(b"?")[0]
    name = request.host.partition(b":")[0]
    if request.method == b"TRACE":
        return "nginx answers TRACE 405 by itself"
    if not NGINX_METHOD.fullmatch(request.method):
        return "nginx takes capitals, '-' and '_' for methods only"
    if request.target == b"*":
        return "nginx 1.22 does not know the asterisk-form"
    if b"\0" in urllib.parse.unquote_to_bytes(path):
        return "nginx decodes the path and refuses a NUL in it"
    if leaves_root(path):
        return "nginx resolves the path's dot segments and refuses to leave its root"
    if b".." in request.host or name == b".":
        return "nginx refuses a host with an empty label"
    if any(len(request.values(name)) > 1 for name in NGINX_UNIQUE):
        return "nginx refuses a second field of a few names"
    return None


def reason_to_refuse(server_name, request):
    """Why this server refuses this request; None where it has to take it."""
    return nginx_reason(request) if server_name == "nginx" else None


def as_read_by(server_name, request):
    """The request as this server has to understand it."""
    if server_name != "tornado":
        return request
    # Tornado strips values of what Unicode calls white space, of which obs-text has two bytes.
    return Record(request.method, request.target, request.body,
                  [(name, value.strip(b" \t\x85\xa0")) for name, value in request.fields])
