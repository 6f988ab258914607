"""baleen serve: what its routes answer, who may use them, what they cost, and how it stops (commands.md, "baleen serve")."""

import json
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import server_process
from server_process import Server, at_once, run

OPEN = ["/health", "/ready"]
POSTS = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens", "/tokenize"]
LONG = "Tell me all you know of whales. " * 300


class Routes(server_process.Case):
    def test_health_ready_models_and_the_document(self):
        for path in OPEN:
            self.assertEqual(self.server.get(path).status, 200, path)
        for path in ("/v1/models", "/models"):
            self.assertEqual([model["id"] for model in self.server.get(path).json["data"]], ["plankton"])
        self.assertEqual(self.server.get("/v1/models/plankton").json["id"], "plankton")
        self.assertEqual(self.server.get("/v1/models/other").status, 404)
        document = self.server.get("/openapi.json").json
        for path in POSTS:
            self.assertIn(path, document["paths"])

    def test_tokenize(self):
        answer = self.server.post("/tokenize", {"prompt": "35+4"}).json
        self.assertEqual(len(answer["tokens"]), answer["count"])
        prompt = self.server.post("/v1/completions", {"model": "plankton", "prompt": answer["tokens"], "max_tokens": 1}).json
        self.assertEqual(prompt["usage"]["prompt_tokens"], answer["count"])
        self.assertEqual(self.server.post("/v1/completions", {"model": "plankton", "prompt": "35+4", "max_tokens": 1}).json["usage"]["prompt_tokens"], answer["count"])
        self.assertEqual(self.server.post("/tokenize", {"prompt": 3}).error["param"], "prompt")

    def test_the_same_answer_streamed_and_not_on_every_route(self):
        whole = self.server.chat("What is the capital of Peru?").json
        body = {"model": "plankton", "messages": [{"role": "user", "content": "What is the capital of Peru?"}], "thinking": {"type": "disabled"}, "temperature": 0,
                "max_tokens": 24, "stream_options": {"include_usage": True}}
        events = [data for _, data in self.server.stream("/v1/chat/completions", body)]
        self.assertEqual(events[-1], "[DONE]")
        text = "".join(choice["delta"].get("content") or "" for event in events[:-1] for choice in event["choices"])
        self.assertEqual(text, whole["choices"][0]["message"]["content"])
        self.assertEqual(events[-2]["usage"]["completion_tokens"], whole["usage"]["completion_tokens"])
        for path in ("/chat/completions", "/beta/chat/completions"):
            self.assertEqual(self.server.chat("What is the capital of Peru?", path=path).json["choices"], whole["choices"])
        message = self.server.post("/v1/messages", {"model": "claude-opus-4", "max_tokens": 24, "temperature": 0, "messages": body["messages"]}).json
        self.assertEqual("".join(block.get("text", "") for block in message["content"]), text)
        response = self.server.post("/v1/responses", {"model": "plankton", "max_output_tokens": 24, "temperature": 0, "input": "What is the capital of Peru?", "reasoning": {"effort": "none"}}).json
        self.assertEqual("".join(part["text"] for item in response["output"] for part in item["content"]), text)

    def test_a_model_that_is_not_served(self):
        self.assertEqual((self.server.chat(model="other").status, self.server.chat(model="other").error["param"]), (404, "model"))
        message = self.server.post("/v1/messages", {"model": "other", "max_tokens": 4, "messages": [{"role": "user", "content": "hi"}]})
        self.assertEqual((message.status, message.error["type"]), (404, "not_found_error"))
        self.assertEqual(message.headers["request-id"], message.json["request_id"])

    def test_bad_requests_are_named_and_harm_nobody(self):
        for body, field in (({"temperature": 3}, "temperature"), ({"n": 17}, "n"), ({"messages": []}, "messages"), ({"max_tokens": "x"}, "max_tokens"), ({"logit_bias": {"999999": 1}}, "logit_bias")):
            answer = self.server.chat(**body)
            self.assertIn(answer.status, (400, 422), field)
            self.assertIn(field, answer.error["message"])
        self.assertEqual(self.server.post("/v1/chat/completions", b"{\"a\": ").status, 400)
        self.assertEqual(self.server.post("/v1/chat/completions", b"[" * 65 + b"]" * 65).status, 400)
        self.assertEqual(self.server.get("/nowhere").status, 404)
        self.assertEqual(self.server.get("/v1/chat/completions").status, 405)
        self.assertEqual(self.server.chat().status, 200)

    def test_a_disconnect_frees_the_engine(self):
        for stream in (True, False):
            for text in ("hello", LONG):
                connection = self.server.connect()
                connection.request("POST", "/v1/chat/completions", json.dumps({"model": "plankton", "messages": [{"role": "user", "content": text}], "max_tokens": 3000, "ignore_eos": True,
                                                                               "stream": stream}), {"content-type": "application/json"})
                time.sleep(0.2)
                connection.close()
                self.assertTrue(self.server.wait_for_metric("baleen_requests_running", 0), (stream, len(text)))
                self.assertTrue(self.server.wait_for_metric("baleen_requests_open", 0), (stream, len(text)))

    def test_no_cors_and_no_foreign_host(self):
        answer = self.server.get("/health", headers={"origin": "http://evil.example"})
        self.assertFalse([name for name in answer.headers if name.startswith("access-control")])
        self.assertIn(self.server.get("/v1/models", headers={"host": "evil.example"}).status, (403, 421))
        self.assertEqual(self.server.get("/v1/models", headers={"host": "localhost:1"}).status, 200)

    def test_status_has_what_the_dashboard_shows(self):
        self.server.chat()
        status = self.server.get("/v1/status").json
        self.assertEqual(status["model"]["id"], "plankton")
        self.assertGreater(status["tokens"]["decode"], 0)
        self.assertGreater(status["latency"]["first_token_s"]["count"], 0)
        self.assertGreater(sum(row["bytes"] for row in status["memory"]), 1 << 20)


class Load(server_process.Case):
    FLAGS = ("--max-requests", "4")

    def test_beyond_the_limit_is_refused_at_once_in_both_families(self):
        def ask(i):
            if i % 2 == 0:
                return self.server.chat("hello", max_tokens=400, ignore_eos=True)
            return self.server.post("/v1/messages", {"model": "claude-x", "max_tokens": 400, "messages": [{"role": "user", "content": "tell me a story"}], "ignore_eos": True})

        answers = at_once(ask, range(24))
        refused = [(i, answer) for i, answer in enumerate(answers) if answer.status != 200]
        self.assertTrue(refused)
        self.assertGreaterEqual(len(answers) - len(refused), 4)
        for i, answer in refused:
            self.assertIn(answer.status, (429, 503) if i % 2 == 0 else (429, 529))
            self.assertTrue(1 <= int(answer.headers["retry-after"]) <= 60)
        self.assertEqual(self.server.chat().status, 200)


class Keys(server_process.Case):
    @classmethod
    def flags(cls):
        cls.ledger = cls.folder / "ledger.db"
        cls.key = run("keys", "create", "ann", "--ledger", cls.ledger).stdout.decode().strip()
        return ("--ledger", cls.ledger, "--api-key", "the-operators-own-key")

    def with_key(self, key=None):
        return {"authorization": f"Bearer {key or self.key}"}

    def total(self):
        return json.loads(run("usage", "--ledger", self.ledger, "--json").stdout)["total"]

    def test_every_route_but_liveness_needs_a_key(self):
        for path in OPEN:
            self.assertEqual(self.server.get(path).status, 200)
        for path in POSTS:
            self.assertEqual(self.server.post(path, {}).status, 401, path)
            self.assertEqual(self.server.post(path, {}, headers=self.with_key("sk-baleen-wrong")).status, 401, path)
        for path in ("/v1/models", "/models", "/metrics", "/openapi.json", "/v1/status", "/v1/usage", "/user/balance", "/v1/models/plankton"):
            self.assertEqual(self.server.get(path).status, 401, path)
        self.assertEqual(self.server.post("/v1/messages", {}).error["type"], "authentication_error")
        for headers in (self.with_key(), self.with_key("the-operators-own-key"), {"x-api-key": self.key}):
            self.assertEqual(self.server.get("/v1/models", headers=headers).status, 200)

    def test_a_request_is_in_the_ledger_before_its_last_byte_and_once(self):
        before = self.total()
        usage = self.server.chat(headers=self.with_key(), n=3).json["usage"]
        after = self.total()
        self.assertEqual(after["requests"] - before["requests"], 1)
        self.assertEqual(after["prompt_tokens"] - before["prompt_tokens"], usage["prompt_tokens"])
        self.assertEqual(after["completion_tokens"] - before["completion_tokens"], usage["completion_tokens"])
        message = self.server.post("/v1/messages", {"model": "claude-x", "max_tokens": 8, "messages": [{"role": "user", "content": LONG}]}, headers=self.with_key()).json["usage"]
        last = self.total()
        prompt = message["input_tokens"] + message["cache_read_input_tokens"] + message["cache_creation_input_tokens"]
        self.assertEqual(last["prompt_tokens"] - after["prompt_tokens"], prompt)
        self.assertEqual(last["prompt_tokens"], last["prompt_cache_hit_tokens"] + last["prompt_cache_miss_tokens"])

    def test_a_revoke_takes_effect_and_create_is_seen(self):
        key = run("keys", "create", "bob", "--ledger", self.ledger).stdout.decode().strip()
        end = time.monotonic() + 3
        while self.server.get("/v1/models", headers=self.with_key(key)).status != 200 and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual(self.server.get("/v1/models", headers=self.with_key(key)).status, 200)
        self.assertEqual(run("keys", "revoke", "bob", "--ledger", self.ledger).returncode, 0)
        time.sleep(3)
        self.assertEqual(self.server.get("/v1/models", headers=self.with_key(key)).status, 401)

    def test_a_quota_of_tokens_and_of_requests_at_once(self):
        key = run("keys", "create", "carl", "--ledger", self.ledger, "--tokens-total", 10, "--max-concurrent", 1).stdout.decode().strip()
        time.sleep(2.5)
        answers = at_once(lambda _: self.server.chat("hello", headers=self.with_key(key), max_tokens=300, ignore_eos=True), range(4))
        self.assertEqual(sorted(answer.status for answer in answers)[:2], [200, 429])
        answer = self.server.chat(headers=self.with_key(key))
        self.assertEqual(answer.status, 429)
        self.assertIn("retry-after", answer.headers)

    def test_balance_and_usage(self):
        self.assertIn("is_available", self.server.get("/user/balance", headers=self.with_key()).json)
        self.server.chat(headers=self.with_key())
        usage = self.server.get("/v1/usage?since=2026-01-01T00:00:00Z", headers=self.with_key()).json
        self.assertEqual(list(usage["by_key"]), ["ann"])
        told = json.loads(run("usage", "--ledger", self.ledger, "--key", "ann", "--since", "2026-01-01", "--json").stdout)
        self.assertEqual(usage, {"object": "usage", **told}, "GET /v1/usage and `baleen usage --json` say the same")
        self.assertEqual(self.server.get("/v1/usage?since=never", headers=self.with_key()).status, 400)

    def test_neither_keys_nor_prompts_are_in_the_log(self):
        self.server.chat("a canary of 4711 feathers", headers=self.with_key())
        self.server.chat("a canary of 4711 feathers", headers=self.with_key(), temperature=9)
        log = self.server.log.read_text()
        for secret in (self.key, "the-operators-own-key", "canary", "feathers"):
            self.assertNotIn(secret, log)


class Replay(server_process.Case):
    TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}}}]

    @classmethod
    def flags(cls):
        return ("--cache-dir", cls.folder / "cache")

    def turn(self, messages, **fields):
        body = {"model": "plankton", "messages": messages, "tools": self.TOOLS, "temperature": 1, "seed": 5, "max_tokens": 200, "thinking": {"type": "disabled"}, "tool_choice": "required", **fields}
        answer = self.server.post("/v1/chat/completions", body)
        self.assertEqual(answer.status, 200, answer.body)
        return answer

    def test_the_second_turn_pays_only_what_is_new_also_after_a_restart(self):
        first = [{"role": "user", "content": LONG}]
        answer = self.turn(first).json
        message = answer["choices"][0]["message"]
        self.assertTrue(message.get("tool_calls"), message)
        messages = first + [message] + [{"role": "tool", "tool_call_id": call["id"], "content": "a whale"} for call in message["tool_calls"]]
        second = self.turn(messages, tool_choice="auto", max_tokens=8)
        self.assertEqual(second.headers.get("x-baleen-replayed-turns"), "1")
        usage, known = second.json["usage"], answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]
        new = usage["prompt_tokens"] - known
        self.assertLessEqual(usage["prompt_cache_miss_tokens"], new + 8)
        self.server.stop()
        type(self).server = Server(*self.flags())
        again = self.turn(messages, tool_choice="auto", max_tokens=8)
        self.assertEqual(again.headers.get("x-baleen-replayed-turns"), "1")
        self.assertEqual(again.json["usage"]["prompt_tokens"], usage["prompt_tokens"])
        self.assertLessEqual(again.json["usage"]["prompt_cache_miss_tokens"], new + 8)

    def test_reasoning_that_the_client_left_out_comes_back(self):
        first = [{"role": "user", "content": "Look up the word whale."}]
        message = self.turn(first, thinking={"type": "enabled"}, tool_choice="auto", temperature=0).json["choices"][0]["message"]
        if not message.get("tool_calls"):
            message = self.turn(first, thinking={"type": "enabled"}, tool_choice="required").json["choices"][0]["message"]
        if not message.get("tool_calls"):
            self.skipTest("the model called nothing while thinking")
        results = [{"role": "tool", "tool_call_id": call["id"], "content": "a whale"} for call in message["tool_calls"]]
        whole = self.turn(first + [message] + results, thinking={"type": "enabled"}, tool_choice="auto", max_tokens=8)
        bare = self.turn(first + [{**message, "reasoning_content": None}] + results, thinking={"type": "enabled"}, tool_choice="auto", max_tokens=8)
        self.assertEqual(bare.json["usage"]["prompt_tokens"], whole.json["usage"]["prompt_tokens"])
        self.assertEqual(bare.headers.get("x-baleen-restored-reasoning"), "1")


class Stopping(unittest.TestCase):
    def test_sigterm_lets_streams_finish_with_their_text(self):
        server = Server()
        body = {"model": "plankton", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 1500, "ignore_eos": True, "temperature": 0}
        whole = server.post("/v1/chat/completions", body).json["choices"][0]["message"]
        texts = []

        def follow():
            events = [data for _, data in server.stream("/v1/chat/completions", body)]
            texts.append(("".join(c["delta"].get("content") or "" for e in events[:-1] for c in e["choices"]), events[-1]))

        thread = threading.Thread(target=follow)
        thread.start()
        time.sleep(0.15)
        self.assertEqual(server.stop(), 0)
        thread.join()
        self.assertEqual(texts, [(whole["content"], "[DONE]")])

    def test_a_second_signal_stops_at_once(self):
        server = Server()
        body = {"model": "plankton", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 30000, "ignore_eos": True}
        connection = server.connect()
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        began = time.monotonic()
        self.assertEqual(server.stop(), 0)
        self.assertLess(time.monotonic() - began, 10)

    def test_a_foreign_address_without_a_key_is_refused(self):
        done = run("serve", "--host", "0.0.0.0", "--port", "0")
        self.assertTrue(1 <= done.returncode <= 125)
        self.assertIn("key", done.stderr.decode())

    def test_settings_from_environment_and_file(self):
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder) / "config.json"
            config.write_text(json.dumps({"max-requests": 1, "api-key": "from-the-file"}))
            server = Server("--config", config, environment={"BALEEN_API_KEY": "from-the-environment"})
            self.assertEqual(server.get("/v1/models", headers={"authorization": "Bearer from-the-environment"}).status, 200)
            self.assertEqual(server.get("/v1/models", headers={"authorization": "Bearer from-the-file"}).status, 401)
            self.assertEqual(server.stop(), 0)
            config.write_text(json.dumps({"max-request": 1}))
            done = run("serve", "--config", config)
            self.assertTrue(1 <= done.returncode <= 125)
            self.assertIn("max-request", done.stderr.decode())

    def test_a_kill_loses_no_line_and_counts_none_twice(self):
        with tempfile.TemporaryDirectory() as folder:
            ledger = pathlib.Path(folder) / "ledger.db"
            server = Server("--ledger", ledger)
            served, stop = [], threading.Event()

            def ask():
                while not stop.is_set():
                    try:
                        answer = server.chat("hello", max_tokens=3)
                    except OSError:
                        return
                    served.append(answer.json["usage"]["completion_tokens"])

            threads = [threading.Thread(target=ask) for _ in range(4)]
            for thread in threads:
                thread.start()
            time.sleep(1.5)
            server.process.kill()
            stop.set()
            for thread in threads:
                thread.join()
            server.stop()
            total = json.loads(run("usage", "--ledger", ledger, "--json").stdout)["total"]
            self.assertGreater(len(served), 10)
            self.assertGreaterEqual(total["requests"], len(served))
            self.assertLessEqual(total["requests"], len(served) + len(threads))


if __name__ == "__main__":
    unittest.main()
