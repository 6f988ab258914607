"""baleen keys, usage and cost: keys made, used up to their quotas and revoked; sums of a ledger; the price of 1M tokens."""

import json
import os
import re
import resource
import sqlite3
import stat
import subprocess
import unittest

import program
from program import run


def record(connection, request_id, key_id, model, day, hit, miss, completion, cost, status=200):
    """Adds a request as a server does. Days since 1970; cost in pico-dollars."""
    connection.execute(
        "INSERT INTO usage (request_id, key_id, model, route, time, prompt_tokens, hit_tokens, miss_tokens, completion_tokens, reasoning_tokens, choices, status,"
        " finish, queue_seconds, first_token_seconds, total_seconds, cost) VALUES (?, ?, ?, '/v1/chat/completions', ?, ?, ?, ?, ?, 1, 1, ?, 'stop', 0, 0, 0, ?)",
        (request_id, key_id, model, day * 86400, hit + miss, hit, miss, completion, status, cost))


class Ledger(program.Case):
    def setUp(self):
        super().setUp()
        self.ledger = self.folder / "lab.db"

    def keys(self, *arguments, **options):
        return run("keys", *arguments, "--ledger", self.ledger, **options)

    def create(self, name, *arguments):
        return self.answered(self.keys("create", name, *arguments))

    def listed(self):
        return {key["name"]: key for key in json.loads(self.answered(self.keys("list", "--json")))["keys"]}

    def test_a_key_is_shown_once_and_only_its_hash_is_kept(self):
        first, second = self.create("alice"), self.create("bob")
        for secret in first, second:
            self.assertRegex(secret, r"^sk-baleen-[0-9a-f]{64}\n$")
        self.assertNotEqual(first, second)
        self.assertEqual(stat.S_IMODE(os.stat(self.ledger).st_mode), 0o600)
        shown = self.answered(self.keys("list")) + self.answered(self.keys("list", "--json"))
        for path in self.folder.iterdir():
            for secret in first, second:
                for part in secret[10:26].encode(), bytes.fromhex(secret[10:74])[:8]:
                    self.assertNotIn(part, path.read_bytes())
                self.assertNotIn(secret[10:26], shown)
        self.assertIn("alice", shown)

    def test_names_are_free_again_when_they_are_revoked(self):
        self.create("alice")
        self.refused(self.keys("create", "alice"), "alice", "revoke")
        self.answered(self.keys("revoke", "alice"))
        self.refused(self.keys("revoke", "alice"), "no live key")
        self.create("alice")
        self.assertEqual(len(json.loads(self.answered(self.keys("list", "--json")))["keys"]), 2)
        for name in "", "a b", "é", "x" * 65, "a/b":
            self.refused(self.keys("create", name), "name of a key")

    def test_quotas_are_set_one_by_one(self):
        self.create("alice", "--max-concurrent", "4", "--money-per-month", "25.50", "--tokens-total", "9223372036854775807")
        quotas = self.listed()["alice"]["quotas"]
        self.assertEqual(quotas, {"max_concurrent": 4, "tokens_per_day": None, "tokens_total": 2**63 - 1, "money_per_month_usd": 25.5, "money_total_usd": None})
        self.answered(self.keys("quota", "alice", "--tokens-per-day", "0", "--money-per-month", "none"))
        changed = self.listed()["alice"]["quotas"]
        self.assertEqual((changed["max_concurrent"], changed["tokens_per_day"], changed["money_per_month_usd"]), (4, 0, None))
        for flag in "--max-concurrent", "--tokens-per-day", "--tokens-total", "--money-per-month", "--money-total":
            for wrong in "-1", "x", "1e3", "9223372036854775808", "nan":
                self.refused(self.keys("quota", "alice", f"{flag}={wrong}"), flag)
        self.refused(self.keys("quota", "alice"), "--max-concurrent")
        self.refused(run("keys"), "the commands are create, revoke, quota, list")
        self.refused(self.keys("quota", "carol", "--tokens-total", "1"), "carol")
        self.assertEqual(self.listed()["alice"]["quotas"], changed)

    def test_sums_by_key_model_and_day(self):
        self.create("alice")
        self.create("bob", "--tokens-total", "50")
        with sqlite3.connect(self.ledger) as connection:
            record(connection, "1", 1, "flash", 20000, 10, 5, 3, 1)
            record(connection, "2", 2, "flash", 20000, 0, 7, 2, 10**12)
            record(connection, "3", 2, "pro", 20001, 1, 0, 0, 5 * 10**17, status=500)
            record(connection, "4", None, "pro", 20001, 0, 100, 50, 0)
        connection.close()
        usage = json.loads(self.answered(run("usage", "--ledger", self.ledger, "--json")))
        self.assertEqual(usage["total"], {"requests": 4, "failed": 1, "prompt_tokens": 123, "prompt_cache_hit_tokens": 11, "prompt_cache_miss_tokens": 112, "completion_tokens": 55,
                                          "reasoning_tokens": 4, "total_tokens": 178, "cost_usd": 500001.000000000001, "cost_usd_exact": "500001.000000000001"})
        self.assertEqual({name: one["prompt_tokens"] for name, one in usage["by_key"].items()}, {"alice": 15, "bob": 8, "(none)": 100})
        self.assertEqual({name: one["prompt_tokens"] for name, one in usage["by_model"].items()}, {"flash": 22, "pro": 101})
        self.assertEqual({name: one["requests"] for name, one in usage["by_day"].items()}, {"2024-10-04": 2, "2024-10-05": 2})
        for arguments, requests in ((["--since", "2024-10-05"], 2), (["--until", "2024-10-05"], 2), (["--since", "2024-10-04T00:00:01Z"], 2), (["--key", "bob"], 2), (["--key", "(none)"], 1),
                                    (["--model", "pro", "--key", "bob"], 1), (["--key", "carol"], 0)):
            found = json.loads(self.answered(run("usage", "--ledger", self.ledger, "--json", *arguments)))
            self.assertEqual(found["total"]["requests"], requests, arguments)
        table = self.answered(run("usage", "--ledger", self.ledger, "--by", "day"))
        self.assertEqual([line.split()[0] for line in table.splitlines()], ["day", "2024-10-04", "2024-10-05", "total"])
        self.assertEqual(self.listed()["bob"]["used"]["tokens_total"], 10)
        self.refused(run("usage", "--ledger", self.ledger, "--since", "yesterday"), "--since")

    def test_nothing_is_taken_out(self):
        self.create("alice")
        with sqlite3.connect(self.ledger) as connection:
            record(connection, "1", 1, "m", 20000, 1, 1, 1, 1)
        for sql in "DELETE FROM usage", "UPDATE usage SET cost = 0", "DELETE FROM keys":
            with self.assertRaisesRegex(sqlite3.DatabaseError, "append-only"):
                connection.execute(sql)
        with self.assertRaises(sqlite3.IntegrityError):
            record(connection, "1", 1, "m", 20000, 1, 1, 1, 1)
        connection.close()

    def test_files_that_are_no_ledger(self):
        orders = [("keys", "list"), ("keys", "revoke", "a"), ("keys", "quota", "a", "--tokens-total", "1"), ("usage",)]
        for order in orders:
            done = run(*order, "--ledger", self.ledger)
            self.refused(done, "keys create")
            self.assertEqual(done.returncode, 3)
            self.assertFalse(self.ledger.exists())
        other = self.folder / "other.db"
        with sqlite3.connect(other) as connection:
            connection.execute("CREATE TABLE t (x)")
        connection.close()
        wrong = [self.file("text", b"no database, but long enough " * 50), self.folder, self.file("empty", b""), other, "/dev/null", "/proc/self/mem"]
        for path in wrong:
            for order in orders + ([("keys", "create", "a")] if path not in (wrong[2],) else []):
                self.refused(run(*order, "--ledger", path))
        self.assertEqual(run("keys", "list", "--ledger", wrong[0]).returncode, 2)
        self.assertEqual(wrong[0].read_bytes(), b"no database, but long enough " * 50)
        self.create("a")
        whole = self.ledger.read_bytes()
        self.refused(run("keys", "list", "--ledger", self.file("cut", whole[: len(whole) // 2])))
        later = self.folder / "later.db"
        later.write_bytes(whole)
        connection = sqlite3.connect(later)
        connection.execute("PRAGMA user_version = 2")
        connection.close()
        done = run("keys", "list", "--ledger", later)
        self.refused(done, "version")
        self.assertEqual(done.returncode, 4)

    def test_a_full_disk_and_a_closed_output(self):
        limited = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
        done = subprocess.run([program.PROGRAM, "keys", "create", "a", "--ledger", self.ledger], capture_output=True, preexec_fn=limited, timeout=60)
        self.refused(done, "ledger")
        self.assertEqual((done.returncode, done.stdout), (5, b""))
        self.create("a")  # what the failure left is no obstacle
        with open("/dev/full", "wb") as full:
            done = subprocess.run([program.PROGRAM, "keys", "create", "b", "--ledger", self.ledger], stdout=full, stderr=subprocess.PIPE, timeout=60)
        self.refused(done, "revoked")
        self.assertIsNotNone(self.listed()["b"]["revoked"])

    def test_keys_made_at_the_same_time(self):
        runs = [subprocess.Popen([program.PROGRAM, "keys", "create", f"key{i}", "--ledger", self.ledger], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for i in range(8)]
        self.assertEqual([process.communicate()[1] for process in runs], [b""] * 8)
        self.assertEqual(len(self.listed()), 8)


class Cost(program.Case):
    def cost(self, *arguments):
        return json.loads(self.answered(run("cost", "--json", *arguments)))

    def test_the_worked_checks(self):
        """USD 3 an hour and 1,000 tokens/s: 0.83 for 1M when always busy, 1.67 at half; 5,556 and 1,389 tokens/s to break even; 370 and 93 at USD 0.20."""
        busy = self.cost("--rent", "3", "--utilisation", "1", "--prefill", "1000")
        self.assertEqual(f"{busy['miss']['usd_per_million']['median']:.2f}", "0.83")
        self.assertEqual(f"{self.cost('--rent', '3', '--utilisation', '0.5', '--prefill', '1000')['miss']['usd_per_million']['median']:.2f}", "1.67")
        rates = lambda cost: tuple(round(cost["break_even"][kind]["tokens_per_second"]) for kind in ("miss", "output"))
        self.assertEqual(rates(busy), (5556, 1389))
        self.assertEqual(rates(self.cost("--rent", "0.20", "--utilisation", "1")), (370, 93))
        text = self.answered(run("cost", "--rent", "3", "--utilisation", "1", "--prefill", "1000"))
        for part in ("cache miss    USD 0.83  at 1,000 tokens/s, projected, 1 run\n", "cache miss    5,556 at USD 0.15; in peak hours 2,778 at USD 0.30", "output        1,389 at USD 0.60",
                     "cache hit     277,778 at USD 0.003", "2026-11-15", "energy        not measured", "mix not given", "requests at once not given"):
            self.assertIn(part, text)

    def test_capital_energy_runs_and_blend(self):
        given = ("--capex", "8760", "--life-years", "1", "--watts", "500", "--pue", "1.2", "--kwh", "0.5", "--opex", "0.7", "--utilisation", "0.5")
        cost = self.cost(*given, "--prefill", "900", "1000", "1100", "--restore", "10000", "--decode", "100", "--rates", "measured", "--miss-tokens", "1000", "--hit-tokens", "3000", "--output-tokens", "500")
        self.assertAlmostEqual(cost["usd_per_hour"], 1 + 0.3 + 0.7)
        self.assertAlmostEqual(cost["usd_per_busy_hour"], 4)
        price = lambda rate: 1e6 * 4 / 3600 / rate
        self.assertEqual((cost["miss"]["runs"], cost["miss"]["source"]), (3, "measured"))
        self.assertAlmostEqual(cost["miss"]["usd_per_million"]["low"], price(1100))
        self.assertAlmostEqual(cost["miss"]["usd_per_million"]["high"], price(900))
        self.assertAlmostEqual(cost["blend"]["usd_per_million"]["high"], (1000 * price(900) + 3000 * price(10000) + 500 * price(100)) / 4500)
        self.assertAlmostEqual(cost["output"]["joules_per_token"], 5)
        self.assertIsNone(self.cost(*given, "--prefill", "1000", "--miss-tokens", "1", "--output-tokens", "1")["blend"])

    def test_a_measured_load(self):
        measured = {"parallel": 8, "together_tokens_per_second": [100.0, 120.0, 110.0],
                    "load": {"seconds": 36.0, "prompt_tokens": 3000, "cached_tokens": 1500, "completion_tokens": 1000, "between_tokens_seconds": {"p50": 0.05, "p99": 0.1}}}
        path = self.file("engine.json", measured)
        cost = self.cost("--rent", "2", "--utilisation", "0.5", "--measured", path)
        self.assertAlmostEqual(cost["load"]["usd_per_million"], 4 * 36 / 3600 / 4000 * 1e6)
        self.assertEqual((cost["output"]["runs"], cost["output"]["tokens_per_second"]["median"]), (3, 110))
        self.assertIn("measured", cost["output"]["source"])
        self.assertEqual((cost["workload"]["concurrency"], cost["workload"]["user_tokens_per_second"]), (8, 20))
        for wrong in ({}, [], {**measured, "load": 7}, {**measured, "together_tokens_per_second": []}, {**measured, "together_tokens_per_second": ["x"]}, {**measured, "parallel": None}):
            self.refused(run("cost", "--rent", "2", "--utilisation", "0.5", "--measured", self.file("wrong.json", wrong)), "wrong.json")

    def test_refusals(self):
        self.refused(run("cost", "--rent", "3"), "--utilisation")
        self.refused(run("cost", "--utilisation", "1"), "--rent")
        for wrong in "0", "1.01", "-1", "nan", "x":
            self.refused(run("cost", "--rent", "3", "--utilisation", wrong))
            self.refused(run("cost", "--rent", "3", "--utilisation", "1", "--prefill", wrong if wrong != "1.01" else "inf"))
        self.refused(run("cost", "--capex", "3", "--utilisation", "1"), "--life-years")
        self.refused(run("cost", "--capex", "3", "--rent", "1", "--life-years", "1", "--utilisation", "1"))
        self.refused(run("cost", "--capex", "3", "--life-years", "1", "--kwh", "1", "--utilisation", "1"), "--watts")
        self.refused(run("cost", "--rent", "3", "--utilisation", "1", "--price-model", "unknown"), "unknown")
        self.refused(run("cost", "--rent", "3", "--utilisation", "1", "--prices", self.file("prices.json", {"source": "s", "date": "d"})), "date")
        free = {"source": "s", "date": "2026-01-01", "models": [{"model": "*", "hit": 0, "miss": 1, "output": 2}]}
        even = self.cost("--rent", "3.6", "--utilisation", "1", "--prices", self.file("free.json", free))["break_even"]
        self.assertEqual((set(even), round(even["miss"]["tokens_per_second"])), ({"model", "prices", "date", "miss", "output"}, 1000))


if __name__ == "__main__":
    unittest.main()
