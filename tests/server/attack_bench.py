"""What attackers do to a healthy client: the percentiles of its requests beside those to a server that is left alone. Also how long the engine idles while
it should be busy. For an idle machine.

    BALEEN_PROGRAM=build/x/apps/baleen python3 tests/server/attack_bench.py [ROUNDS [REQUESTS]]
"""

import os
import pathlib
import random
import socket
import sys
import threading
import time

from endings_test import KINDS, body, send
from server_process import Server, at_once

ATTACKERS = 1000


def percentile(times, share):
    times = sorted(times)
    return times[min(len(times) - 1, int(share * len(times)))]


class Attackers:
    """Sockets that send slowly, send half, send nothing, or do not read; a thread feeds the slow ones a byte now and then."""

    def __init__(self, server):
        self.server, self.stop, self.sockets = server, threading.Event(), []
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        for i in range(ATTACKERS):
            one = socket.create_connection((server.host, server.port))
            one.sendall((b"", head + b"x-slow: ", head + b"content-length: 50000000\r\n\r\n{", head[:20])[i % 4])
            self.sockets.append(one)
        for _ in range(20):  # readers that do not read what a little answer leaves for them
            one = send(server, KINDS[0], body(KINDS[0], tokens=1, stream=True))
            self.sockets.append(one)
        self.thread = threading.Thread(target=self.feed)
        self.thread.start()

    def feed(self):
        draw = random.Random(3)
        while not self.stop.is_set():
            for _ in range(20):
                i = draw.randrange(ATTACKERS)
                if i % 4 in (1, 2):
                    try:
                        self.sockets[i].send(b"a")
                    except OSError:
                        pass
            time.sleep(0.1)

    def leave(self):
        self.stop.set()
        self.thread.join()
        for one in self.sockets:
            one.close()


class Healthy:
    """A client that keeps its connection."""

    BODY = b'{"model": "plankton", "messages": [{"role": "user", "content": "35+4"}], "thinking": {"type": "disabled"}, "temperature": 0, "max_tokens": 16, "ignore_eos": true}'

    def __init__(self, server):
        self.connection = server.connect()

    def seconds(self):
        began = time.perf_counter()
        self.connection.request("POST", "/v1/chat/completions", self.BODY, {"content-type": "application/json"})
        response = self.connection.getresponse()
        response.read()
        if response.status != 200:
            raise SystemExit(f"a healthy client got {response.status}")
        return time.perf_counter() - began


def processor_seconds(server):
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_attacks(rounds, requests):
    """(calm, attacked, share): seconds of healthy requests, by turns to a server that is left alone and to one that is attacked, so that what else the
    machine does meets both alike; and what share of a processor the attackers alone cost theirs. Each round has attackers of its own."""
    servers = [Server("--max-requests", 300, "--threads", 1) for _ in range(2)]
    clients = [Healthy(server) for server in servers]
    times, spent, watched = ([], []), 0, 0
    for _ in range(rounds):
        attackers = Attackers(servers[1])
        servers[1].wait_for_metric("baleen_requests_open", 0)
        before, began = processor_seconds(servers[1]), time.monotonic()
        time.sleep(1)
        spent, watched = spent + processor_seconds(servers[1]) - before, watched + time.monotonic() - began
        for i in range(requests):
            for which in (i % 2, 1 - i % 2):
                times[which].append(clients[which].seconds())
        attackers.leave()
    for server in servers:
        server.stop()
    return times[0], times[1], spent / watched


def measure_idleness(seconds, clients, *flags):
    """The share of a window in which the engine had nothing to do though `clients` always wanted something."""
    server, stop = Server("--parallel", clients, *flags), threading.Event()
    counts = [0] * clients

    def ask(i):
        while not stop.is_set():
            server.post(KINDS[0], body(KINDS[0], text=f"story {i}", tokens=200, stream=i % 2 == 0))
            counts[i] += 1

    asking = threading.Thread(target=lambda: at_once(ask, range(clients)))
    asking.start()
    time.sleep(1.5)
    idle, steps, began = server.metric("baleen_engine_idle_seconds_total"), server.metric("baleen_engine_steps_total"), time.monotonic()
    time.sleep(seconds)
    wall = time.monotonic() - began
    idle, steps = server.metric("baleen_engine_idle_seconds_total") - idle, server.metric("baleen_engine_steps_total") - steps
    stop.set()
    asking.join()
    server.stop()
    return idle / wall, steps / wall, sum(counts)


def main():
    rounds, requests = (int(word) for word in (sys.argv[1:] + ["5", "200"][len(sys.argv) - 1:]))
    calm, attacked, cost = measure_attacks(rounds, requests)
    for share in (0.5, 0.99):
        a, b = percentile(calm, share), percentile(attacked, share)
        print(f"p{share * 100:.0f}: {a * 1e3:.2f} ms calm, {b * 1e3:.2f} ms under {ATTACKERS + 20} attackers, ratio {b / a:.3f} ({rounds} rounds of {requests} each)")
    print(f"the attackers alone cost {cost * 100:.1f} % of a processor")
    share, steps, answers = measure_idleness(8, 32)
    print(f"the engine idles {share * 100:.3f} % of the time under 32 clients ({steps:.0f} steps/s, {answers} answers)")


if __name__ == "__main__":
    main()
