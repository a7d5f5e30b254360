#!/usr/bin/python3
"""moody_service - a service that knows nothing of a registry, and whose health is set from outside. Nothing of ours.

    moody_service.py PORT [--after SECONDS] [--stubborn] [--ask ZOOKEEPER_SERVERS NODE]

GET /info answers 200, or the status that GET /set/STATUS has set; after /set/hang it does not answer at all. Any other
GET takes 30 ms. Prints "signal NAME MONOTONIC_SECONDS" when it is told to end, and ends at once, as many do: what it
was answering is cut. With --stubborn it does not end. With --ask it says first whether that node is there.
"""

import argparse
import http.server
import os
import signal
import sys
import threading
import time

from kazoo.client import KazooClient

ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
SIGNALS = ENDING | {signal.SIGUSR1}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    status = "200"

    def do_GET(self):
        if self.path.startswith("/set/"):
            Handler.status = self.path.removeprefix("/set/")
        elif self.path != "/info":
            time.sleep(0.03)
        elif Handler.status == "hang":
            time.sleep(60)
        self.send_response(int(Handler.status) if self.path == "/info" else 200)
        self.send_header("Content-Length", "3")
        self.send_header("X-Served-By", f"127.0.0.1:{self.server.server_address[1]}")
        self.end_headers()
        self.wfile.write(b"ok\n")

    do_POST = do_GET

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass  # a check that hangs up early is no news


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--after", type=float, default=0)
    parser.add_argument("--stubborn", action="store_true")
    parser.add_argument("--ask", nargs=2)
    options = parser.parse_args()
    # Waited for, and not handled: a thread that starts another one may take a signal from the main thread's pause(),
    # which then sleeps on. Blocked before there is any thread, as each has what its maker had.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    kazoo = None
    if options.ask:
        kazoo = KazooClient(hosts=options.ask[0])
        kazoo.start(timeout=60)

    def handle(number):
        print("signal", signal.Signals(number).name, *([time.monotonic()] if number in ENDING else []), flush=True)
        if number not in ENDING:
            return
        if kazoo is not None:
            kazoo.sync(options.ask[1].rpartition("/")[0])
            print("node is", "there" if kazoo.exists(options.ask[1]) else "gone", flush=True)
        if not options.stubborn:
            os._exit(0)

    print("starting", os.getpid(), flush=True)
    listens_at = time.monotonic() + options.after
    while (left := listens_at - time.monotonic()) > 0:
        if (info := signal.sigtimedwait(SIGNALS, left)) is not None:
            handle(info.si_signo)
    server = Server(("127.0.0.1", options.port), Handler)
    print("serving", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        handle(signal.sigwait(SIGNALS))


if __name__ == "__main__":
    sys.exit(main())
