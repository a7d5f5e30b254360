#!/usr/bin/python3
"""tornado_service - a backend as other people write them: Tornado answers /info, Kazoo registers it. Nothing of ours.

    tornado_service.py ZOOKEEPER_SERVERS
"""

import datetime
import json
import os
import platform
import signal
import sys

import kazoo.client
import tornado.httpserver
import tornado.ioloop
import tornado.netutil
import tornado.web


class Info(tornado.web.RequestHandler):
    def get(self):
        self.set_header("X-Served-By", self.application.settings["name"])
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps({"cpu_info": os.cpu_count(), "system_info": platform.uname()._asdict(),
                               "localtime": datetime.datetime.now().isoformat()}))


def main(servers):
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    name = f"127.0.0.1:{sockets[0].getsockname()[1]}"
    server = tornado.httpserver.HTTPServer(tornado.web.Application([("/info", Info)], name=name))
    server.add_sockets(sockets)
    client = kazoo.client.KazooClient(hosts=servers, timeout=4)
    client.start()
    client.create(f"/zk_registry/data/tornado_app/{name}", b"", ephemeral=True, makepath=True)
    print("registered", name, flush=True)
    loop = tornado.ioloop.IOLoop.current()
    signal.signal(signal.SIGTERM, lambda number, frame: loop.add_callback_from_signal(loop.stop))
    loop.start()
    client.stop()


if __name__ == "__main__":
    main(sys.argv[1])
