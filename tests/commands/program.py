"""Runs the `baleen` program (BALEEN_PROGRAM) on the bundled model."""

import json
import os
import pathlib
import pty
import re
import select
import subprocess
import tempfile
import time
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MODEL = REPOSITORY / "models" / "plankton"
PROGRAM = os.environ["BALEEN_PROGRAM"]


def run(*arguments, text="", environment=None):
    """The finished process; text is standard input, a str or bytes; its outputs are bytes."""
    given = text if isinstance(text, bytes) else text.encode()
    return subprocess.run([PROGRAM, *map(str, arguments)], input=given, capture_output=True, timeout=120, env={**os.environ, **(environment or {})})


def references():
    """(name, reference) of the model's reference conversations."""
    return [(path.stem, json.loads(path.read_text())) for path in sorted((MODEL / "reference").glob("*.json"))]


class Case(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self._folder.name)

    def tearDown(self):
        self._folder.cleanup()

    def file(self, name, value):
        path = self.folder / name
        path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
        return path

    def answered(self, done):
        self.assertEqual(done.returncode, 0, done.stderr.decode(errors="replace"))
        return done.stdout.decode()

    def refused(self, done, *words):
        message = done.stderr.decode(errors="replace")
        self.assertTrue(1 <= done.returncode <= 125, f"exit {done.returncode}: {message}")
        self.assertTrue(1 <= len(message.splitlines()) <= 40, message)
        for word in words:
            self.assertIn(word, message)


class Terminal:
    """The program at a terminal of its own."""

    def __init__(self, *arguments, environment=None):
        self.process, self.descriptor = pty.fork()
        if self.process == 0:
            os.execve(PROGRAM, [PROGRAM, *map(str, arguments)], {**os.environ, "TERM": "xterm", **(environment or {})})
        self.seen = ""

    def type(self, keys):
        self.seen = ""
        os.write(self.descriptor, keys.encode())

    def wait_for(self, words, seconds=60):
        """Reads until the words were seen since the last type(); False when they did not come."""
        end = time.monotonic() + seconds
        while words not in self.seen and time.monotonic() < end:
            if not self._read():
                break
        return words in self.seen

    def wait_for_prompt(self, seconds=60):
        """Reads until the prompt stands last: keys typed before it are the line discipline's, and a lone Ctrl-D of then is lost."""
        end = time.monotonic() + seconds
        while not re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen).endswith("> ") and time.monotonic() < end and self._read():
            pass

    def wait_for_more(self, characters, seconds=60):
        """Reads until so many characters were seen since the last type()."""
        end = time.monotonic() + seconds
        while len(self.seen) < characters and time.monotonic() < end and self._read():
            pass
        return len(self.seen) >= characters

    def leave(self, seconds=60):
        """Types Ctrl-D at the prompt, again where it came too early, and returns what finish() does."""
        self.wait_for_prompt()
        for _ in range(seconds):
            try:
                os.write(self.descriptor, b"\x04")
            except OSError:  # the program has ended
                pass
            code = self.finish(1, kill=False)
            if code is not None:
                return code
        return self.finish(0)

    def finish(self, seconds=60, kill=True):
        """Reads to the end and returns the exit code, negative for a signal, None when it did not end."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._read()
            ended, status = os.waitpid(self.process, os.WNOHANG)
            if ended:
                os.close(self.descriptor)
                return os.waitstatus_to_exitcode(status)
        if kill:
            os.kill(self.process, 9)
            os.waitpid(self.process, 0)
        return None

    def _read(self):
        ready, _, _ = select.select([self.descriptor], [], [], 0.1)
        if not ready:
            return True
        try:
            piece = os.read(self.descriptor, 65536)
        except OSError:  # the other side is closed
            return False
        self.seen += piece.decode(errors="replace")
        return bool(piece)
