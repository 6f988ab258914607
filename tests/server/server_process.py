"""A `baleen serve` of its own for each test class, and small ways to talk to it."""

import atexit
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ["BALEEN_PROGRAM"]


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]


class Server:
    """The program, started and ready. flags: of `baleen serve`."""

    def __init__(self, *flags, environment=None, port=0, command=None):
        self.folder = tempfile.TemporaryDirectory()
        self.log = pathlib.Path(self.folder.name) / "log"
        self.environment = {**os.environ, "BALEEN_HOME": str(REPOSITORY), **(environment or {})}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([PROGRAM, "serve", "--port", str(port), *map(str, flags)] if command is None else command,
                                            stdout=subprocess.PIPE, stderr=log, env=self.environment)
        atexit.register(self.process.kill)  # a test that failed leaves nothing running
        line = self.process.stdout.readline().decode()
        found = re.search(r"(https?)://([^ /:]+|\[[^]]+\]):(\d+)", line)
        if not found:
            self.process.wait(30)
            raise AssertionError(f"the server did not start: {line!r} {self.log.read_text()}")
        self.host, self.port = found[2].strip("[]"), int(found[3])

    def stop(self, how=signal.SIGTERM, seconds=60):
        """The exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(seconds)
        self.process.stdout.close()
        self.folder.cleanup()
        return code

    def connect(self, seconds=60):
        return http.client.HTTPConnection(self.host, self.port, timeout=seconds)

    def call(self, method, path, body=None, headers=None, seconds=60):
        connection = self.connect(seconds)
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        try:
            connection.request(method, path, data, {"content-type": "application/json", **(headers or {})})
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body, **options):
        return self.call("POST", path, body, **options)

    def chat(self, text="35+4", path="/v1/chat/completions", headers=None, **fields):
        """fields of None are left out."""
        body = {"model": "plankton", "messages": [{"role": "user", "content": text}], "thinking": {"type": "disabled"}, "temperature": 0, "max_tokens": 24, **fields}
        return self.post(path, {name: value for name, value in body.items() if value is not None}, headers=headers)

    def stream(self, path, body, headers=None):
        """The events of a stream: (event, data) with data parsed, "[DONE]" as it stands, comments as (":", text)."""
        connection = self.connect()
        connection.request("POST", path, json.dumps({**body, "stream": True}).encode(), {"content-type": "application/json", **(headers or {})})
        response = connection.getresponse()
        if response.status != 200:
            raise AssertionError(f"{response.status}: {response.read()!r}")
        name = ""
        for line in response:
            line = line.decode().rstrip("\n").rstrip("\r")
            if line.startswith(":"):
                yield ":", line[1:].strip()
            elif line.startswith("event:"):
                name = line[6:].strip()
            elif line.startswith("data:"):
                data = line[5:].strip()
                yield name, data if data == "[DONE]" else json.loads(data)
                name = ""
        connection.close()

    def metric(self, name, headers=None):
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics", headers=headers).body.decode(), re.M)
        return float(found[1]) if found else None

    def wait_for_metric(self, name, value, seconds=4):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.metric(name) == value:
                return True
            time.sleep(0.05)
        return False

    def resident_bytes(self):
        return int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run(*arguments, text=""):
    return subprocess.run([PROGRAM, *map(str, arguments)], input=text.encode(), capture_output=True, timeout=120, env={**os.environ, "BALEEN_HOME": str(REPOSITORY)})


class Case(unittest.TestCase):
    """Tests of one class share a server that is started with FLAGS."""

    FLAGS = ()
    ENVIRONMENT = {}

    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls._folder.name)
        cls.server = Server(*cls.flags(), environment=cls.ENVIRONMENT)

    @classmethod
    def flags(cls):
        return cls.FLAGS

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls._folder.cleanup()


def at_once(work, arguments):
    """work(argument) for all of them, each in a thread of its own; the results in order."""
    results = [None] * len(arguments)

    def one(i):
        try:
            results[i] = work(arguments[i])
        except Exception as error:  # seen by the test in the result
            results[i] = error

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(arguments))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
