"""What the machine does to a server: kill -9 in every phase, full and read-only disks, SIGTERM, taken ports, broken files (promises 1, 15, 28, 36, 37)."""

import json
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest

import server_process
from endings_test import KINDS, body, rest, send, wait_for
from server_process import PROGRAM, Server, run

PREFIX = "All whales have a name, a home and a song of their own. " * 60


class Killed(unittest.TestCase):
    """One ledger and one cache live through all kills."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.flags = ("--ledger", self.folder / "ledger.db", "--cache-dir", self.folder / "cache", "--step-rows", 64)
        self.answered = self.cut = 0

    def ask(self, server, text, tokens=3):
        usage = server.chat(text, max_tokens=tokens).json["usage"]
        self.answered += 1
        return usage

    def kill(self, server):
        server.process.kill()
        server.process.wait()
        server.stop()

    def check(self, what):
        """The next server serves, finds the cache, and the ledger has each answered request once."""
        server = Server(*self.flags)
        usage = self.ask(server, PREFIX + f"After {what}.")
        self.assertGreater(usage["prompt_cache_hit_tokens"], 500, what)
        total = json.loads(run("usage", "--ledger", self.folder / "ledger.db", "--json").stdout)["total"]
        self.assertGreaterEqual(total["requests"], self.answered, what)
        self.assertLessEqual(total["requests"], self.answered + self.cut, what)
        with sqlite3.connect(self.folder / "ledger.db") as ledger:
            self.assertEqual(ledger.execute("PRAGMA integrity_check").fetchone(), ("ok",), what)
        return server

    def test_in_every_phase(self):
        server = Server(*self.flags)
        self.ask(server, PREFIX + "Now.")
        self.assertEqual(server.stop(), 0)
        for delay in (0.005, 0.05, 0.15):  # while it starts
            process = subprocess.Popen([PROGRAM, "serve", "--port", "0", *map(str, self.flags)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       env={**os.environ, "BALEEN_HOME": str(server_process.REPOSITORY)})
            time.sleep(delay)
            process.kill()
            process.wait()
        server = self.check("the start")
        for phase in ("prefill", "decode", "drain"):
            text = f"{phase}: " + (PREFIX * 8 if phase == "prefill" else "hello")
            before = server.metric(f'baleen_tokens_total{{kind="{phase}"}}') or 0
            streams = [send(server, KINDS[0], body(KINDS[0], text=text, tokens=30000, stream=True)) for _ in range(4)]
            self.cut += 4
            if phase == "drain":
                time.sleep(0.2)
                server.process.send_signal(signal.SIGTERM)
                time.sleep(0.2)
            else:
                self.assertTrue(wait_for(lambda: (server.metric(f'baleen_tokens_total{{kind="{phase}"}}') or 0) > before), phase)
            self.kill(server)
            for one in streams:
                one.close()
            server = self.check(phase)
        self.assertEqual(server.stop(), 0)


class FullDisk(unittest.TestCase):
    def limited(self, kilobytes, *flags):
        """A server none of whose files can grow beyond that."""
        words = " ".join(f"'{flag}'" for flag in map(str, flags))
        return Server(command=["bash", "-c", f"trap '' XFSZ; ulimit -f {kilobytes}; exec '{PROGRAM}' serve --port 0 {words}"])

    def test_serving_goes_on_and_failures_are_counted(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            server = Server("--ledger", folder / "ledger.db")
            self.assertEqual(server.stop(), 0)
            server = self.limited(64, "--ledger", folder / "ledger.db", "--cache-dir", folder / "cache")
            for i in range(40):
                self.assertEqual(server.chat(f"{i} " + PREFIX, max_tokens=2).status, 200, i)
            self.assertGreater(server.metric("baleen_ledger_failures_total"), 0)
            self.assertEqual(server.get("/health").status, 200)
            self.assertEqual(server.chat("0 " + PREFIX, max_tokens=2).status, 200)
            self.assertGreater(server.metric('baleen_tokens_total{kind="cached"}'), 0, "the cache in memory goes on")
            self.assertEqual(server.stop(), 0)
            done = json.loads(run("usage", "--ledger", folder / "ledger.db", "--json").stdout)["total"]
            self.assertLess(done["requests"], 41)
            server = Server("--ledger", folder / "ledger.db")
            self.assertEqual(server.chat().status, 200)
            self.assertEqual(server.metric("baleen_ledger_failures_total"), 0)
            self.assertEqual(server.stop(), 0)

    def test_a_cache_that_cannot_be_written(self):
        with tempfile.TemporaryDirectory() as name:
            cache = pathlib.Path(name) / "cache"
            server = Server("--cache-dir", cache)
            server.chat(PREFIX, max_tokens=2)
            self.assertEqual(server.stop(), 0)
            mounted = subprocess.run(["mount", "--bind", "-o", "ro", cache, cache], capture_output=True).returncode == 0
            if not mounted:
                os.chmod(cache, 0o500)
            try:
                server = Server("--cache-dir", cache)
                for i in range(3):
                    self.assertEqual(server.chat(f"{i} " + PREFIX, max_tokens=2).status, 200)
                self.assertEqual(server.get("/health").status, 200)
                self.assertEqual(server.stop(), 0)
            finally:
                if mounted:
                    subprocess.run(["umount", cache], check=True)
                else:
                    os.chmod(cache, 0o700)


class Stopping(unittest.TestCase):
    def test_sigterm_while_streams_of_all_dialects_run(self):
        server = Server()
        streams = [(path, send(server, path, body(path, text="tell me a story", tokens=800, stream=True))) for path in KINDS * 3]
        time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        for path, one in streams:
            received = rest(one).decode()
            ends = {"/v1/messages": "event: message_stop\n", "/v1/responses": "event: response."}.get(path, "data: [DONE]\n")
            self.assertIn(ends, received, path)
            self.assertTrue(received.endswith("0\r\n\r\n"), (path, received[-60:]))
        self.assertEqual(server.stop(), 0)

    def test_a_drain_that_takes_too_long_is_cut_off(self):
        server = Server("--drain-time", 0.3)
        one = send(server, KINDS[0], body(KINDS[0], tokens=60000, stream=True))
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        rest(one)
        self.assertEqual(server.stop(seconds=10), 0)


class Starting(unittest.TestCase):
    """What keeps a server from starting: said in one line that names it, with an exit code of 1 to 125."""

    def refused(self, *words, flags=(), environment=None):
        done = subprocess.run([PROGRAM, "serve", *map(str, flags)], capture_output=True, timeout=60,
                              env={**os.environ, "BALEEN_HOME": str(server_process.REPOSITORY), "BALEEN_PORT": "0", **(environment or {})})
        self.assertTrue(1 <= done.returncode <= 125, (done.returncode, done.stderr))
        for word in words:
            self.assertIn(word, done.stderr.decode())
        return done.stderr.decode()

    def test_a_port_in_use(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            said = self.refused("--port", "in use", flags=("--port", other.getsockname()[1]))
            self.assertNotIn("memory:", said, "the weights were opened first")

    def test_files(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "junk").write_bytes(b"junk")
            self.refused("tls-key", flags=("--tls-cert", folder / "junk"))
            self.refused("junk", flags=("--tls-cert", folder / "junk", "--tls-key", folder / "junk"))
            self.refused("nowhere", flags=("--tls-cert", folder / "nowhere", "--tls-key", folder / "nowhere"))
            self.refused("junk", flags=("--ledger", folder / "junk"))
            self.refused("nowhere", flags=("--ledger", folder / "nowhere" / "ledger.db"))
            self.refused("nowhere", flags=("--config", folder / "nowhere"))
            self.refused("junk", flags=("--config", folder / "junk"))
            self.refused("nowhere", flags=("--model", folder / "nowhere"))
            self.refused("nowhere", flags=("--prices", folder / "nowhere"))

    def test_settings(self):
        self.refused("--host", flags=("--host", "no.such.host.invalid", "--api-key", "k"))
        self.refused("key", flags=("--host", "::"))
        self.refused("BALEEN_PORT", environment={"BALEEN_PORT": "x"}, flags=())
        for name, value in (("PARALLEL", "0"), ("CONTEXT", "x"), ("STEP_ROWS", "-1"), ("KV_MEMORY", "much"), ("CACHE_BYTES", "-5"), ("DRAFT", "some"), ("ARITHMETIC", "other"),
                            ("THREADS", "0"), ("ENCODING", "new"), ("QUEUE_TIME", "0"), ("STALL_TIME", "never"), ("KEEP_ALIVE_TIME", "-1")):
            self.refused("BALEEN_" + name, environment={"BALEEN_" + name: value})

    def test_engine_settings_from_the_environment_and_the_file(self):
        with tempfile.TemporaryDirectory() as name:
            config = pathlib.Path(name) / "config.json"
            config.write_text(json.dumps({"context": 1000, "threads": 1, "kv-memory": "64MiB"}))
            server = Server("--config", config, environment={"BALEEN_CONTEXT": "900"})
            model = server.get("/v1/status").json["model"]
            self.assertEqual((model["context"], model["threads"]), (900, 1))
            self.assertEqual(server.stop(), 0)
            server = Server("--config", config, "--context", 800, environment={"BALEEN_CONTEXT": "900"})
            self.assertEqual(server.get("/v1/status").json["model"]["context"], 800)
            self.assertEqual(server.stop(), 0)
            config.write_text(json.dumps({"draft": "some"}))
            self.refused("config.json", "draft", flags=("--config", config))


if __name__ == "__main__":
    unittest.main()
