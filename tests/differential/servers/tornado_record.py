#!/usr/bin/python3
"""tornado_record - Tornado as a server that records each request as it understood it: PORT RECORDS.

It stands on Tornado's connection and parser alone, without its web framework, so that nothing of a request is hidden.
"""

import sys

import tornado.httpserver
import tornado.httputil
import tornado.ioloop

LIMIT_BYTES = 1 << 24


class Recorder(tornado.httputil.HTTPMessageDelegate):
    def __init__(self, connection):
        self.connection = connection
        self.start_line = self.fields = None
        self.body = bytearray()

    def headers_received(self, start_line, headers):
        self.start_line, self.fields = start_line, list(headers.get_all())

    def data_received(self, chunk):
        self.body += chunk

    def finish(self):
        parts = [self.start_line.method, self.start_line.path, bytes(self.body)]
        for name, value in self.fields:
            parts += [name, value]
        parts = [part if isinstance(part, bytes) else part.encode("latin-1") for part in parts]
        with open(sys.argv[2], "ab") as file:
            file.write(" ".join(str(len(part)) for part in parts).encode() + b"\n" + b"".join(parts))
        self.connection.write_headers(
            tornado.httputil.ResponseStartLine("HTTP/1.1", 200, "OK"), tornado.httputil.HTTPHeaders({"Content-Length": "0"}))
        self.connection.finish()


class Server(tornado.httpserver.HTTPServer):
    def start_request(self, server_conn, request_conn):
        return Recorder(request_conn)


server = Server(lambda request: None,
                max_header_size=LIMIT_BYTES, max_body_size=LIMIT_BYTES, max_buffer_size=2 * LIMIT_BYTES)
server.listen(int(sys.argv[1]), "127.0.0.1")
tornado.ioloop.IOLoop.current().start()
