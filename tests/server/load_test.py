"""baleen serve under load and under attack: a thousand streams with slow readers, slow and huge and half-open senders."""

import asyncio
import json
import os
import random
import socket
import statistics
import time
import unittest

import server_process

STREAMS = 1000


def request(body, path="/v1/chat/completions"):
    data = json.dumps(body).encode()
    return b"POST %s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (path.encode(), len(data)) + data


def chat(text, max_tokens, stream=True):
    return {"model": "plankton", "messages": [{"role": "user", "content": text}], "thinking": {"type": "disabled"}, "max_tokens": max_tokens, "temperature": 0, "ignore_eos": True, "stream": stream}


async def follow(port, number, max_tokens, slow):
    """(status, terminal events, tokens' text) of one stream; a slow one reads a little, then sleeps."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
    writer.write(request(chat(f"hello {number}", max_tokens)))
    await writer.drain()
    received = b""
    while True:
        piece = await reader.read(512 if slow else 1 << 16)
        if not piece:
            break
        received += piece
        if slow:
            await asyncio.sleep(0.02)
    writer.close()
    return int(received.split(b" ", 2)[1]), received.count(b"data: [DONE]"), received


class ManyStreams(server_process.Case):
    FLAGS = ("--max-requests", "1500")

    def test_a_thousand_streams_with_one_slow_reader_in_ten_all_end_once(self):
        async def run():
            return await asyncio.gather(*(follow(self.server.port, i, 12, i % 10 == 0) for i in range(STREAMS)))

        idle, began = self.server.metric("baleen_engine_idle_seconds_total"), time.monotonic()
        results = asyncio.run(run())
        wall = time.monotonic() - began
        idle = self.server.metric("baleen_engine_idle_seconds_total") - idle
        self.assertEqual([status for status, _, _ in results], [200] * STREAMS)
        self.assertEqual([done for _, done, _ in results], [1] * STREAMS)
        self.assertTrue(self.server.wait_for_metric("baleen_requests_open", 0))
        print(f"{STREAMS} streams in {wall:.1f} s, the engine idle for {idle:.2f} s of them")

    def test_a_reader_that_stops_reading_is_cut_off_and_costs_no_one_else(self):
        stuck = [socket.create_connection(("127.0.0.1", self.server.port)) for _ in range(20)]
        for one in stuck:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.sendall(request(chat("hello", 2000)))
        answers = [self.server.chat("35+4").status for _ in range(5)]
        self.assertEqual(answers, [200] * 5)
        for one in stuck:
            one.close()
        self.assertTrue(self.server.wait_for_metric("baleen_requests_open", 0, seconds=20))


class Attacks(server_process.Case):
    FLAGS = ("--max-requests", "300")

    def healthy(self, count):
        """Seconds of `count` small requests, one after another."""
        times = []
        for i in range(count):
            began = time.monotonic()
            self.assertEqual(self.server.chat(f"35+{i % 9}", max_tokens=4).status, 200)
            times.append(time.monotonic() - began)
        return times

    def test_slow_and_half_open_senders_are_no_one_elses_trouble(self):
        calm = self.healthy(100)
        attackers = []
        for i in range(300):
            one = socket.create_connection(("127.0.0.1", self.server.port))
            one.sendall((b"", b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ", b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 50000000\r\n\r\n{")[i % 3])
            attackers.append(one)
        under = self.healthy(100)
        for one in attackers:
            one.close()
        print(f"p50 {statistics.median(calm) * 1e3:.1f} ms calm, {statistics.median(under) * 1e3:.1f} ms under 300 slow senders")
        self.assertLess(statistics.median(under), 1.5 * statistics.median(calm) + 0.005)

    def test_huge_bodies_are_refused_or_read_without_harm(self):
        before = self.server.resident_bytes()
        self.assertEqual(self.server.post("/v1/chat/completions", b"x" * (49 << 20)).status, 413)
        deep = b'{"model": "plankton", "messages": [' + b'{"role": "user", "content": "' + b"a" * (1 << 20) + b'"},' * 1
        self.assertIn(self.server.post("/v1/chat/completions", deep).status, (400, 422))
        text = "whale " * (2 << 20)
        answer = self.server.chat(text)
        self.assertEqual(answer.status, 400)
        self.assertEqual(answer.error["code"], "context_length_exceeded")
        self.assertEqual(self.server.chat().status, 200)
        self.assertLess(self.server.resident_bytes() - before, 1 << 30)

    def test_what_comes_of_random_bytes_is_an_answer_or_a_close(self):
        draw = random.Random(7)
        for _ in range(200):
            with socket.create_connection(("127.0.0.1", self.server.port)) as one:
                one.settimeout(5)
                good = request(chat("hi", 1))
                bytes_ = bytearray(good)
                for _ in range(draw.randrange(1, 20)):
                    bytes_[draw.randrange(len(bytes_))] = draw.randrange(256)
                one.sendall(bytes(bytes_))
                one.shutdown(socket.SHUT_WR)
                try:
                    while one.recv(1 << 16):
                        pass
                except ConnectionResetError:
                    pass
        self.assertEqual(self.server.chat().status, 200)


if __name__ == "__main__":
    unittest.main()
