#!/usr/bin/env python3
"""A server that answers the page as the real one does, and misbehaves on demand. The last user message chooses: its first word is the name of
an answer in `replies.py`; anything else is echoed. Started alone it serves the page for development: mock_server.py FILES [PORT] [KEY], where
FILES is files.txt, which the build writes beside the embedded table.
"""

import json
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import replies

SOURCE = os.environ.get("BALEEN_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TYPES = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml",
         "woff2": "font/woff2"}


def page_headers():
    """The headers that the real server sends, read from its source, so that the policy under test is the shipped one."""
    with open(os.path.join(SOURCE, "src/server/web_files.cc"), encoding="utf-8") as file:
        text = re.sub(r'"\s*\n\s*"', "", file.read())
    return re.findall(r'\{"([\w-]+)",\s*"([^"]*)"\}', text)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, files, port=0, key=None):
        super().__init__(("127.0.0.1", port), Answer)
        with open(files, encoding="utf-8") as file:
            self.files = dict(line.strip().split("=", 1) for line in file)
        self.headers = page_headers()
        self.key = key
        self.bodies = []  # what the page asked, oldest first
        self.cut = 0  # streams that the page closed before their end
        self.began = time.time()
        self.polls = 0
        self.outside = []  # paths asked for that do not exist
        self.ledger = True

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def handle_error(self, request, client_address):
        pass  # a browser that closes a connection is no news


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        path = self.path.split("?")[0]
        if path in ("/v1/models", "/v1/status"):
            if self._allowed():
                self._json(200, replies.MODELS if path == "/v1/models" else self._status())
            return
        name = "index.html" if path == "/" else path.lstrip("/")
        if name not in self.server.files:
            self.server.outside.append(path)
            self._json(404, {"error": {"message": "no such path"}})
            return
        with open(self.server.files[name], "rb") as file:
            self._send(200, TYPES[name.rsplit(".", 1)[1]], file.read(), self.server.headers)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions":
            self._json(404, {"error": {"message": "no such path"}})
            return
        if not self._allowed():
            return
        self.server.bodies.append(body)
        refusal = replies.refusal(body)
        if refusal is not None:
            status, message, headers = refusal
            self._json(status, {"error": {"message": message, "type": "x", "param": None, "code": None}}, headers)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for piece in replies.stream(body):
                data = piece if isinstance(piece, bytes) else piece.encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except replies.Cut:
            self.close_connection = True
        except OSError:
            self.server.cut += 1
            self.close_connection = True

    def _allowed(self):
        if self.server.key is None or self.headers.get("Authorization") == f"Bearer {self.server.key}":
            return True
        self._json(401, {"error": {"message": "no key, or a wrong one", "type": "authentication_error"}})
        return False

    def _status(self):
        self.server.polls += 1
        return replies.status(time.time() - self.server.began, self.server.ledger)

    def _json(self, status, value, headers=()):
        self._send(status, "application/json", json.dumps(value).encode(), headers)

    def _send(self, status, content_type, data, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    server = Server(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0, sys.argv[3] if len(sys.argv) > 3 else None)
    print(server.address, flush=True)
    server.serve_forever()
