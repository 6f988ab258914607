"""What attackers do to a healthy client: rounds with and without them, one after another, and the ratio of the percentiles. Also how long the engine
idles while it should be busy. For an idle machine.

    BALEEN_PROGRAM=build/x/apps/baleen python3 tests/server/attack_bench.py [ROUNDS [REQUESTS]]
"""

import random
import socket
import statistics
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


def healthy(server, requests):
    connection, times = server.connect(), []
    data = b'{"model": "plankton", "messages": [{"role": "user", "content": "35+4"}], "thinking": {"type": "disabled"}, "temperature": 0, "max_tokens": 16, "ignore_eos": true}'
    for _ in range(requests):
        began = time.perf_counter()
        connection.request("POST", "/v1/chat/completions", data, {"content-type": "application/json"})
        response = connection.getresponse()
        response.read()
        times.append(time.perf_counter() - began)
        if response.status != 200:
            raise SystemExit(f"a healthy client got {response.status}")
    connection.close()
    return times


def measure_attacks(rounds, requests):
    """(calm, attacked): the percentiles of each round."""
    server = Server("--max-requests", 300)
    healthy(server, requests)
    calm, attacked = [], []
    for _ in range(rounds):
        calm.append(healthy(server, requests))
        attackers = Attackers(server)
        time.sleep(0.3)
        attacked.append(healthy(server, requests))
        attackers.leave()
        time.sleep(0.5)
    server.stop()
    return calm, attacked


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
    calm, attacked = measure_attacks(rounds, requests)
    for share in (0.5, 0.99):
        a, b = (statistics.median(percentile(times, share) for times in rounds_) for rounds_ in (calm, attacked))
        print(f"p{share * 100:.0f}: {a * 1e3:.2f} ms calm, {b * 1e3:.2f} ms under {ATTACKERS + 20} attackers, ratio {b / a:.3f} (median of {rounds} rounds of {requests})")
    share, steps, answers = measure_idleness(8, 32)
    print(f"the engine idles {share * 100:.3f} % of the time under 32 clients ({steps:.0f} steps/s, {answers} answers)")


if __name__ == "__main__":
    main()
