"""More requests than the server can take, for long: no wrong answer, no lost one, no growth. Exit code 1 if anything is wrong.

    BALEEN_PROGRAM=build/x/apps/baleen python3 tests/server/soak.py SECONDS

Clients of all dialects ask one of some known requests, streamed or not, at once and again; a few leave early or read slowly. Every answer is compared with
the answer that the request got alone, on an idle server. 38 clients want one of 32 places: 120 % load; whoever is refused comes again.
"""

import json
import os
import pathlib
import random
import sys
import tempfile
import threading
import time

from answers_test import DRAWN
from endings_test import send, wait_for
from replies import READERS
from server_process import Server, run

CLIENTS, ADMITTED, KINDS_OF_REQUEST = 38, 32, 60


def read_answer(path, body, received):
    """The reply in bytes of HTTP."""
    head, _, rest = received.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        text = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            count = int(size, 16)
            text, rest = text + rest[:count], rest[count + 2:]
    else:
        text = rest
    if not body.get("stream"):
        return READERS[path][0](json.loads(text))
    events = [("", line[6:] if line == "data: [DONE]" else json.loads(line[6:])) for line in text.decode().split("\n") if line.startswith("data: ")]
    if sum(event == "[DONE]" or event.get("type") in ("message_stop", "response.completed", "response.incomplete") for _, event in events) != 1:
        raise ValueError("not one terminal event")
    return READERS[path][1](events, body.get("n", 1))


class Soak:
    def __init__(self, server, ledger):
        self.server, self.ledger = server, ledger
        self.stop, self.lock = threading.Event(), threading.Lock()
        self.counts = dict.fromkeys(("answered", "refused", "left", "wrong"), 0)
        self.wrong = []
        draw = random.Random(17)
        self.requests = []
        for i in range(KINDS_OF_REQUEST):
            path = list(DRAWN)[i % 4]
            body = DRAWN[path](draw)
            if path.endswith("completions"):
                body["stream_options"] = {"include_usage": True}
            self.requests.append((path, body, READERS[path][0](server.post(path, body).json)))

    def count(self, what, why=None):
        with self.lock:
            self.counts[what] += 1
            if why is not None:
                self.wrong.append(why)

    def one(self, draw):
        path, body, expected = draw.choice(self.requests)
        body = {**body, "stream": draw.random() < 0.5}
        connection = send(self.server, path, body)
        if draw.random() < 0.03:
            time.sleep(draw.random() * 0.05)
            connection.close()
            return self.count("left")
        slow, received = draw.random() < 0.05, b""
        while piece := connection.recv(200 if slow else 1 << 16):
            received += piece
            if slow:
                time.sleep(0.005)
        connection.close()
        status = int(received[9:12] or 0)
        if status in (429, 503, 529):
            time.sleep(0.1)
            return self.count("refused")
        if status != 200:
            return self.count("wrong", f"{path} {status} {received[-300:]!r}")
        try:
            answer = read_answer(path, body, received)
        except Exception as error:
            return self.count("wrong", f"{path}: {error}")
        self.count("answered")
        if answer != expected:
            self.count("wrong", f"{path} {body}: {answer} instead of {expected}")

    def client(self, number):
        draw = random.Random(number)
        while not self.stop.is_set():
            try:
                self.one(draw)
            except OSError as error:
                self.count("wrong", f"{error}")

    def files(self):
        return len(os.listdir(f"/proc/{self.server.process.pid}/fd"))

    def run(self, seconds):
        threads = [threading.Thread(target=self.client, args=(i,)) for i in range(CLIENTS)]
        for thread in threads:
            thread.start()
        sizes, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(min(seconds / 20, 15))
            sizes.append(self.server.resident_bytes() >> 10)
            print(f"{sizes[-1] / 1024:.1f} MiB, {self.files()} files, {self.counts}", flush=True)
        self.stop.set()
        for thread in threads:
            thread.join()
        return sizes

    def check(self, sizes, files):
        """What is wrong, in words."""
        faults = self.wrong[:5]
        third = len(sizes) // 3
        growth = max(sizes[-third:]) - max(sizes[third:2 * third] or sizes)
        if growth > 0.03 * max(sizes):
            faults.append(f"memory grew by {growth} KiB: {sizes}")
        if not wait_for(lambda: self.files() <= files + 3):
            faults.append(f"{self.files()} files are open, {files} were")
        for name in ('baleen_kv_blocks{use="sequences"}', "baleen_requests_open", "baleen_requests_running", "baleen_requests_waiting"):
            if not self.server.wait_for_metric(name, 0):
                faults.append(f"{name} is {self.server.metric(name)}")
        if self.counts["refused"] == 0:
            faults.append("nothing was refused: this was no overload")
        ways = [self.server.metric(f'baleen_choices_total{{way="{way}"}}') for way in ("submitted", "ended")]
        if ways[0] != ways[1]:
            faults.append(f"{ways[0]} choices were submitted and {ways[1]} ended")
        total = json.loads(run("usage", "--ledger", self.ledger, "--json").stdout)["total"]["requests"]
        served = self.counts["answered"] + len(self.requests)
        if not served <= total <= served + self.counts["left"]:
            faults.append(f"the ledger has {total} requests of {served} answered and {self.counts['left']} left")
        return faults


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as folder:
        ledger = pathlib.Path(folder) / "ledger.db"
        server = Server("--ledger", ledger, "--cache-dir", pathlib.Path(folder) / "cache", "--cache-bytes", "64MiB", "--max-requests", ADMITTED, "--parallel", 16)
        soak = Soak(server, ledger)
        files = soak.files()
        sizes = soak.run(seconds)
        faults = soak.check(sizes, files)
        tokens = server.metric('baleen_tokens_total{kind="decode"}')
        code = server.stop()
    if code != 0:
        faults.append(f"exit code {code}")
    for fault in faults:
        print("fault:", fault)
    print(f"{seconds:.0f} s, {soak.counts}, {tokens:.0f} tokens, {min(sizes) >> 10} to {max(sizes) >> 10} MiB: {'FAILED' if faults else 'passed'}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
