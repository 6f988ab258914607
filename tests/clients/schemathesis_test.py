"""schemathesis over the OpenAPI document of a live server finds nothing. BALEEN_SCHEMATHESIS_EXAMPLES: how many bodies it draws for each operation."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import server_process
from server_process import Server

EXAMPLES = os.environ.get("BALEEN_SCHEMATHESIS_EXAMPLES", "2")
# Enough for every drawn body; but as a drawn body rarely says max_tokens, a drawn prompt may make the model write until the context is full.
CONTEXT = 16384
# One route of each kind: its other paths have the same schemas. With more examples all are visited.
KINDS = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens", "/tokenize", "/v1/models", "/v1/models/{model}",
         "/health", "/ready", "/metrics", "/openapi.json", "/v1/status", "/v1/usage", "/user/balance")


class Schemathesis(unittest.TestCase):
    def check(self, flags, *arguments, headers=None):
        server = Server("--context", CONTEXT, *flags)
        try:
            with tempfile.TemporaryDirectory() as folder:
                document = pathlib.Path(folder) / "openapi.json"
                document.write_bytes(server.get("/openapi.json", headers=headers).body)
                command = [sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", f"http://127.0.0.1:{server.port}", "--max-examples", EXAMPLES,
                           "--no-color", "--seed", "7", *arguments]
                for name, value in (headers or {}).items():
                    command += ["-H", f"{name}: {value}"]
                done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
            self.assertEqual(done.returncode, 0, done.stdout[-20000:] + done.stderr[-2000:])
            self.assertTrue(server.wait_for_metric("baleen_requests_open", 0, seconds=10) if not headers else True)
        finally:
            server.stop()

    def test_nothing_is_found(self):
        paths = [] if int(EXAMPLES) > 2 else [word for path in KINDS for word in ("--include-path", path)]
        self.check((), *paths)

    def test_nothing_is_found_with_a_key_and_a_ledger(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = [] if int(EXAMPLES) > 2 else [word for path in KINDS[5:] for word in ("--include-path", path)]
            self.check(("--api-key", "the-operators-own-key", "--ledger", pathlib.Path(folder) / "ledger.db"), *paths, headers={"Authorization": "Bearer the-operators-own-key"})


if __name__ == "__main__":
    unittest.main()
