"""Whoever uses the server learns nothing of the others, and takes nothing from them (promises 29 to 31)."""

import math
import os
import tempfile
import time
import unittest

import server_process
from server_process import Server, run

PREFIX = "In the deep sea the whales of the north keep their oldest songs. " * 40
SHORTER = PREFIX[:len(PREFIX) // 2]
SAMPLES = int(os.environ.get("BALEEN_TIMING_SAMPLES", "60"))


def kolmogorov_smirnov(a, b):
    """(distance, p) of two samples, by the asymptotic distribution."""
    a, b = sorted(a), sorted(b)
    i = j = 0
    distance = 0.0
    while i < len(a) and j < len(b):
        if a[i] <= b[j]:
            i += 1
        else:
            j += 1
        distance = max(distance, abs(i / len(a) - j / len(b)))
    size = math.sqrt(len(a) * len(b) / (len(a) + len(b)))
    x = (size + 0.12 + 0.11 / size) * distance
    p = 2 * sum((-1) ** (k - 1) * math.exp(-2 * k * k * x * x) for k in range(1, 101)) if x > 0.3 else 1.0
    return distance, max(0.0, min(1.0, p))


class Caches(unittest.TestCase):
    def test_are_apart_by_key_and_by_user_in_memory_and_on_disk(self):
        with tempfile.TemporaryDirectory() as folder:
            ledger, cache = folder + "/ledger.db", folder + "/cache"
            keys = [run("keys", "create", name, "--ledger", ledger).stdout.decode().strip() for name in ("ann", "bob")]

            def cached(server, path="/v1/chat/completions", key=keys[0], text=PREFIX, **fields):
                messages = [{"role": "user", "content": text}]
                body = {"/v1/chat/completions": {"model": "plankton", "messages": messages, "max_tokens": 2, "thinking": {"type": "disabled"}},
                        "/v1/messages": {"model": "claude-x", "messages": messages, "max_tokens": 2},
                        "/v1/responses": {"model": "plankton", "input": text, "max_output_tokens": 2, "reasoning": {"effort": "none"}},
                        "/v1/completions": {"model": "plankton", "prompt": text, "max_tokens": 2}}[path]
                answer = server.post(path, {**body, **fields}, headers={"authorization": f"Bearer {key}"})
                self.assertEqual(answer.status, 200, answer.body)
                usage = answer.json["usage"]
                return usage.get("cache_read_input_tokens", (usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}).get("cached_tokens"))

            server = Server("--ledger", ledger, "--cache-dir", cache)
            self.assertEqual(cached(server), 0)
            self.assertGreater(cached(server), 500)
            for restart in (False, True):
                if restart:
                    self.assertEqual(server.stop(), 0)
                    server = Server("--ledger", ledger, "--cache-dir", cache)
                    self.assertGreater(cached(server), 500, "the disk keeps it")
                others = [{"key": keys[1]}, {"user_id": "x"}, {"user": "y"}] if not restart else [{"user_id": "z"}, {"user": "zz"}]
                for other in others:
                    self.assertEqual(cached(server, **other), 0, (restart, other))
                self.assertEqual(cached(server, "/v1/messages", metadata={"user_id": f"m{restart}"}), 0)
                self.assertEqual(cached(server, "/v1/responses", user=f"r{restart}"), 0)
                self.assertEqual(cached(server, "/v1/completions", user_id=f"t{restart}"), 0)
                self.assertGreater(cached(server, user_id="x"), 500)
                self.assertGreater(cached(server, "/v1/messages", metadata={"user_id": "x"}), 500, "one user, whatever the dialect")
            self.assertGreater(cached(server, key=keys[1]), 500)
            self.assertEqual(server.stop(), 0)

    def test_one_users_flood_leaves_the_others_prefix(self):
        def hit_after_flood(*flags):
            server = Server("--context", 2048, "--kv-memory", "8MiB", "--parallel", 2, *flags)
            first = server.chat(PREFIX, user_id="quiet", max_tokens=2).json["usage"]
            self.assertEqual(first["prompt_cache_hit_tokens"], 0)
            flood = int(1.5 * server.metric('baleen_kv_blocks{use="all"}') * 128 / first["prompt_tokens"]) + 2
            for i in range(flood):
                self.assertEqual(server.chat(f"{i} " + PREFIX, user_id="loud", max_tokens=2).status, 200)
            hit = server.chat(PREFIX, user_id="quiet", max_tokens=2).json["usage"]["prompt_cache_hit_tokens"]
            self.assertEqual(server.stop(), 0)
            return hit

        self.assertGreater(hit_after_flood(), 500)
        self.assertEqual(hit_after_flood("--tenant-quota", 1), 0, "the flood must be one")


class Timing(server_process.Case):
    FLAGS = ("--threads", "1", "--parallel", "1")

    def first_token(self, text, user):
        """(seconds, tokens from the cache) of a request for one token."""
        began = time.perf_counter()
        answer = self.server.chat(text, user_id=user, max_tokens=1)
        return time.perf_counter() - began, answer.json["usage"]["prompt_cache_hit_tokens"]

    def test_does_not_tell_what_another_user_has_cached(self):
        times = {"cached by another": [], "by nobody": [], "by oneself": []}
        for i in range(SAMPLES + 5):
            mine, theirs = f"{i} a " + SHORTER, f"{i} b " + SHORTER
            self.first_token(theirs, "victim")
            asked = [("cached by another", theirs, f"spy {i} b"), ("by nobody", mine, f"spy {i} a"), ("by oneself", theirs, "victim")]
            for j in range(3):
                kind, text, user = asked[(i + j) % 3]
                took, hit = self.first_token(text, user)
                self.assertEqual(hit > 0, kind == "by oneself")
                if i >= 5:
                    times[kind].append(took)
        distance, p = kolmogorov_smirnov(times["cached by another"], times["by nobody"])
        own_distance, own_p = kolmogorov_smirnov(times["by oneself"], times["by nobody"])
        print(f"Kolmogorov-Smirnov of {SAMPLES} and {SAMPLES} first tokens: distance {distance:.3f}, p {p:.3f}; to one's own cache {own_distance:.3f}, p {own_p:.1g}")
        self.assertGreater(p, 0.001)
        self.assertLess(own_p, 0.001, "the test must see what one's own cache does")


if __name__ == "__main__":
    unittest.main()
