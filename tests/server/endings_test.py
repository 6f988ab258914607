"""How requests end that do not run their course: clients that leave, deadlines, silence (promises 10 to 13 and 16 of docs/serving.md)."""

import json
import socket
import threading
import time
import unittest

import server_process
from server_process import Server, at_once

LONG = "Tell me all you know of whales. " * 600
QUESTION = [{"role": "user", "content": "hello"}]
KINDS = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages")


def body(path, text="hello", tokens=6000, **fields):
    """A request that runs for long, in the dialect of its path."""
    messages = [{"role": "user", "content": text}]
    if path == "/v1/responses":
        return {"model": "plankton", "input": text, "max_output_tokens": tokens, "reasoning": {"effort": "none"}, **fields}
    if path == "/v1/messages":
        return {"model": "claude-x", "messages": messages, "max_tokens": tokens, **fields}
    common = {"model": "plankton", "max_tokens": tokens, "ignore_eos": True, **fields}
    return {**common, "prompt": text} if path == "/v1/completions" else {**common, "messages": messages, "thinking": {"type": "disabled"}}


def send(server, path, fields):
    """A connection that has sent its request and read nothing."""
    one = socket.create_connection((server.host, server.port), timeout=60)
    data = json.dumps(fields).encode()
    one.sendall(b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (path.encode(), len(data), data))
    return one


def rest(one):
    received = b""
    while piece := one.recv(1 << 16):
        received += piece
    one.close()
    return received


def wait_for(condition, seconds=5):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


class Leaving(server_process.Case):
    FLAGS = ("--parallel", "2", "--step-rows", "64")

    def blocks(self):
        return self.server.metric('baleen_kv_blocks{use="sequences"}')

    def decoded(self):
        return self.server.metric('baleen_tokens_total{kind="decode"}')

    def check_nothing_is_left(self, what):
        self.assertTrue(wait_for(lambda: self.blocks() == 0), what)
        for name in ("baleen_requests_running", "baleen_requests_waiting", "baleen_requests_open"):
            self.assertTrue(self.server.wait_for_metric(name, 0), (what, name))
        steps = self.server.metric("baleen_engine_steps_total")
        time.sleep(0.1)
        self.assertEqual(self.server.metric("baleen_engine_steps_total"), steps, what)

    def test_in_decode(self):
        for path in KINDS[:2]:
            for stream in (True, False):
                before = self.decoded()
                one = send(self.server, path, body(path, stream=stream))
                self.assertTrue(wait_for(lambda: self.decoded() > before))
                self.assertGreater(self.blocks(), 0)
                one.close()
                self.check_nothing_is_left((path, stream))
        self.assertEqual(self.server.metric('baleen_choices_total{way="cancelled"}') >= 4, True)

    def test_in_prefill(self):
        for path in KINDS:
            for stream in (True, False):
                before, read = self.decoded(), self.server.metric('baleen_tokens_total{kind="prefill"}')
                one = send(self.server, path, body(path, text=f"{path} {stream} " + LONG, stream=stream))
                self.assertTrue(wait_for(lambda: self.server.metric('baleen_tokens_total{kind="prefill"}') > read), (path, stream))
                one.close()
                self.check_nothing_is_left((path, stream))
                self.assertLessEqual(self.decoded() - before, 2, "it was already past its prefill: make the prompt longer")

    def test_in_the_queue(self):
        runners = [send(self.server, KINDS[0], body(KINDS[0], tokens=30000, stream=True)) for _ in range(2)]
        self.assertTrue(self.server.wait_for_metric("baleen_requests_running", 2))
        for path in KINDS:
            for stream in (True, False):
                one = send(self.server, path, body(path, stream=stream))
                self.assertTrue(self.server.wait_for_metric("baleen_requests_waiting", 1), (path, stream))
                one.close()
                self.assertTrue(self.server.wait_for_metric("baleen_requests_waiting", 0), (path, stream))
                self.assertTrue(self.server.wait_for_metric("baleen_requests_open", 2), (path, stream))
        for one in runners:
            one.close()
        self.check_nothing_is_left("the runners")


class Deadlines(unittest.TestCase):
    def check_error(self, path, error, what):
        self.assertIn(what, error["message"], path)
        self.assertEqual(error["type"], "timeout_error" if path == "/v1/messages" else error["type"], path)

    def check_unstreamed(self, server, path, what, **fields):
        answer = server.post(path, body(path, **fields))
        self.assertEqual(answer.status, 504, (path, answer.body))
        self.check_error(path, answer.error, what)

    def check_streamed(self, server, path, what, **fields):
        received = rest(send(server, path, body(path, stream=True, **fields)))
        if received.startswith(b"HTTP/1.1 504"):  # nothing had been sent yet
            self.check_error(path, json.loads(received.partition(b"\r\n\r\n")[2])["error"], what)
            return False
        self.assertTrue(received.startswith(b"HTTP/1.1 200"), received[:200])
        events = [json.loads(line[6:]) for line in received.decode().splitlines() if line.startswith("data: {")]
        wrong = [event for event in events if event.get("error") or event.get("type") in ("error", "response.failed")]
        self.assertEqual(len(wrong), 1, (path, events[-2:]))
        self.assertIs(wrong[0], events[-1], path)
        self.assertIn(what, json.dumps(wrong[0]), path)
        return True

    def test_of_the_queue(self):
        server = Server("--parallel", 1, "--queue-time", 0.3)
        runner = send(server, KINDS[0], body(KINDS[0], tokens=60000, stream=True))
        server.wait_for_metric("baleen_requests_running", 1)
        for path in KINDS:
            self.check_unstreamed(server, path, "deadline for its start")
            self.check_streamed(server, path, "deadline for its start")
        self.assertTrue(wait_for(lambda: server.metric('baleen_choices_total{way="expired"}') == 8))
        runner.close()
        self.assertEqual(server.stop(), 0)

    def test_of_the_first_token(self):
        server = Server("--first-token-time", 0.05, "--step-rows", 64)
        for i, path in enumerate(KINDS):
            self.check_unstreamed(server, path, "deadline for the first token", text=f"{i} " + LONG)
            self.check_streamed(server, path, "deadline for the first token", text=f"s {i} " + LONG)
        self.assertEqual(server.chat(max_tokens=4).status, 200)
        self.assertEqual(server.stop(), 0)

    def test_of_the_whole_answer(self):
        server = Server("--answer-time", 0.3)
        for path in KINDS[:2]:
            self.check_unstreamed(server, path, "deadline for the whole answer", tokens=60000)
            self.assertTrue(self.check_streamed(server, path, "deadline for the whole answer", tokens=60000), path)
        self.assertTrue(wait_for(lambda: server.metric('baleen_kv_blocks{use="sequences"}') == 0))
        self.assertEqual(server.stop(), 0)


class Silence(unittest.TestCase):
    def test_a_waiting_client_gets_signs_of_life_in_every_dialect(self):
        server = Server("--parallel", 1, "--keep-alive-time", 0.1)
        runner = send(server, KINDS[0], body(KINDS[0], tokens=60000, stream=True))
        server.wait_for_metric("baleen_requests_running", 1)
        waiting = [(path, stream, send(server, path, body(path, tokens=4, stream=stream))) for path in KINDS for stream in (True, False)]
        time.sleep(0.8)
        runner.close()
        for path, stream, one in waiting:
            head, _, received = rest(one).partition(b"\r\n\r\n")
            chunks = [line for line in received.split(b"\r\n")]
            self.assertTrue(head.startswith(b"HTTP/1.1 200"), (path, head))
            if stream:
                self.assertGreaterEqual(received.count(b": keep-alive\n\n"), 4, (path, received[:300]))
            else:
                self.assertGreaterEqual(chunks.count(b"\n"), 4, (path, received[:300]))
                text = b"".join(chunks[1::2])  # the pieces of a chunked body
                self.assertTrue(json.loads(text)["usage"], path)
        self.assertEqual(server.stop(), 0)

    def test_health_says_when_a_step_takes_too_long(self):
        server = Server("--stall-time", 0.05, "--step-rows", 4096, "--threads", 1)
        self.assertTrue(wait_for(lambda: server.get("/health").status == 200))
        asking = threading.Thread(target=lambda: server.chat(LONG, max_tokens=1))
        asking.start()
        unwell = []
        while asking.is_alive():
            answer = server.get("/health")
            if answer.status == 503:
                unwell.append(answer.json["engine"])
            time.sleep(0.005)
        self.assertTrue(unwell and "no sign" in unwell[0], unwell)
        self.assertTrue(wait_for(lambda: server.get("/health").status == 200))
        self.assertEqual(server.stop(), 0)


class Fairness(server_process.Case):
    def test_a_long_prompt_does_not_stop_the_tokens_of_others(self):
        one = send(self.server, KINDS[0], body(KINDS[0], tokens=30000, stream=True))
        one.recv(1 << 16)
        took = []

        def read_a_book():
            began = time.monotonic()
            self.server.chat(LONG * 2, max_tokens=1)
            took.append(time.monotonic() - began)

        reading = threading.Thread(target=read_a_book)
        reading.start()
        longest, last = 0, time.monotonic()
        while reading.is_alive():
            self.assertTrue(one.recv(1 << 16))
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        one.close()
        print(f"a prompt took {took[0]:.2f} s, the others' tokens came at most {longest * 1e3:.0f} ms apart")
        self.assertLess(longest, 0.3 * took[0])


class Once(server_process.Case):
    FLAGS = ("--parallel", "8")

    def test_every_accepted_request_ends_in_exactly_one_terminal_event(self):
        def ask(i):
            path = KINDS[i % 4]
            fields = body(path, text=f"story {i}", tokens=1 + i % 40, stream=True)
            received = rest(send(self.server, path, fields)).decode()
            if path == "/v1/responses":
                names = ("event: response.completed", "event: response.incomplete", "event: response.failed")
                return sum(received.count(name + "\n") for name in names)
            return received.count("event: message_stop\n") if path == "/v1/messages" else received.count("data: [DONE]\n")

        self.assertEqual(at_once(ask, range(160)), [1] * 160)
        self.assertTrue(self.server.wait_for_metric("baleen_requests_open", 0))
        self.assertEqual(self.server.metric('baleen_choices_total{way="submitted"}'), self.server.metric('baleen_choices_total{way="ended"}'))

    def test_metrics_hold_no_text(self):
        self.server.chat("a canary of 4711 feathers", user_id="canary bird", max_tokens=8)
        self.server.chat("a canary of 4711 feathers", temperature=9)
        self.server.post("/v1/chat/completions/canary", {})
        metrics = self.server.get("/metrics").body
        for secret in (b"canary", b"4711", b"feathers"):
            self.assertNotIn(secret, metrics)


if __name__ == "__main__":
    unittest.main()
