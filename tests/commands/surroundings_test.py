"""Command lines, environments and limits of the system that are impossible or merely unusual."""

import json
import os
import pathlib
import resource
import signal
import subprocess
import time
import unittest

import program
from program import MODEL
from session import ANSWER, CHAT, COMMANDS, HELLO, one_object
from trial import Trial, run_all

BAD_COMMAND_LINES = {
    "nothing": [],
    "unknown": ["dance"],
    "empty": [""],
    "invalid": [b"\xff"],
    "flag": ["--loud"],
    "two commands": ["parse", "render"],
    "long": ["x" * 100000],
    "lines": ["a\n" * 500],
    "single dash": ["-"],
    "double dash": ["--"],
    "config": ["--config", "/etc/passwd"],
    "equals": ["generate", "--model="],
    "think list": ["generate", "--model", MODEL, "--prompt", "a", "--think", "off,low"],
    "response file": ["@/etc/passwd"],
    "flag with value": ["tokenize", "--model", MODEL, "--json=maybe"],
    "inspect nothing": ["inspect"],
    "twin nothing": ["twin"],
    "logits nothing": ["logits"],
}

NOWHERE = {"HOME": None, "XDG_STATE_HOME": None, "XDG_CACHE_HOME": None, "HF_HOME": None, "TERM": None, "LANG": None, "LC_ALL": None}

GOOD_ENVIRONMENTS = {
    "bare": NOWHERE,
    "home nowhere": {"HOME": "/no/such"},
    "home a file": {"HOME": "/etc/passwd"},
    "home empty": {"HOME": ""},
    "state nowhere": {"XDG_STATE_HOME": "/proc/x"},
    "dumb": {"TERM": "dumb"},
    "C": {"LC_ALL": "C"},
    "turkish": {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
    "german": {"LC_ALL": "de_DE.UTF-8"},
    "unknown locale": {"LC_ALL": "xx_YY"},
    "reference": {"BALEEN_ISA": "reference"},
    "isa empty": {"BALEEN_ISA": ""},
    "threads 1": {"BALEEN_THREADS": "1"},
    "threads empty": {"BALEEN_THREADS": ""},
    "pin on": {"BALEEN_PIN": "on"},
    "pin off": {"BALEEN_PIN": "off"},
    "pin empty": {"BALEEN_PIN": ""},
    "weights mapped": {"BALEEN_WEIGHTS": "mapped"},
    "weights packed": {"BALEEN_WEIGHTS": "packed"},
    "weights empty": {"BALEEN_WEIGHTS": ""},
    "many nodes": {"HWLOC_SYNTHETIC": "numa:2 core:1 pu:1"},
    "long": {"X": "y" * 100000},
}


class OddSurroundings(program.Case):
    def test_command_line(self):
        trials = [Trial("command line " + name, arguments, b"", None, output=b"") for name, arguments in BAD_COMMAND_LINES.items()]
        for command in COMMANDS:
            trials.append(
                Trial("help of " + command, [command, "--help"], b"", 0, output=lambda found: (b"Examples" in found or b"bench" in found) and len(found) > 200)
            )
            if command != "chat":
                trials.append(Trial("unknown flag of " + command, [command, "--no-such-flag"], b"", 1, ("--no-such-flag",), b""))
        trials.append(Trial("help", ["--help"], b"", 0, output=lambda found: all(command.encode() in found for command in COMMANDS)))
        trials.append(Trial("version", ["--version"], b"", 0, output=lambda found: found.count(b"\n") == 1 and found[:1].isdigit()))
        run_all(self, trials)

    def test_closed_streams(self):
        trials = []
        for name, line in {"closed": '"$@" >&-', "full": '"$@" >/dev/full', "read only": '"$@" 1</dev/null'}.items():
            for what, arguments, text in (
                ("help", ["--help"], b""),
                ("generate", HELLO, b""),
                ("generate json", [*HELLO, "--json"], b""),
                ("chat", CHAT, b"35+4\n"),
                ("score", ["score", "--model", MODEL], b"a"),
                ("tokenize", ["tokenize", "--model", MODEL], b"a"),
                ("lines", ["tokenize", "--lines", "--model", MODEL], b'"a"\n'),
                ("parse", ["parse"], "a<｜end▁of▁sentence｜>"),
                ("inspect", ["inspect", MODEL], b""),
            ):
                trials.append(Trial(f"output {name} {what}", arguments, text, 5, ("standard output",), shell=line))
        for what, arguments in (
            ("tokenize", ["tokenize", "--model", MODEL]),
            ("lines", ["tokenize", "--lines", "--model", MODEL]),
            ("chat", CHAT),
            ("score", ["score", "--model", MODEL]),
            ("parse", ["parse"]),
        ):
            trials.append(Trial("input closed " + what, arguments, b"", 5, ("standard input",), shell='"$@" <&-'))
            trials.append(Trial("input folder " + what, arguments, b"", 5, ("standard input",), shell='"$@" </'))
        trials.append(Trial("input closed generate", HELLO, b"", 0, output=ANSWER, shell='"$@" <&-'))
        trials.append(Trial("messages closed", HELLO, b"", 0, output=ANSWER, shell='"$@" 2>&-'))
        out = self.folder / "logits.safetensors"
        trials.append(
            Trial(
                "logits with messages closed",
                ["logits", "--model", MODEL, "--tokens", self.file("t", [0, 1, 2]), "--out", out],
                b"",
                0,
                shell='"$@" <&- >&- 2>&-',
                folder=self.folder,
            )
        )
        trials.append(
            Trial(
                "pipe closed",
                ["generate", "--model", MODEL, "--temperature", "30", "--seed", "1", "--prompt", "a", "--max-tokens", "5000"],
                b"",
                5,
                shell='set -o pipefail; "$@" | head -c 1 >/dev/null',
            )
        )
        trials.append(Trial("pipe closed chat", ["chat", "--model", MODEL], b"hi\n" * 40, 5, shell='set -o pipefail; "$@" | true'))
        run_all(self, trials)
        written = out.read_bytes()
        size = int.from_bytes(written[:8], "little")
        ends = [tensor["data_offsets"][1] for tensor in json.loads(written[8 : 8 + size]).values() if "data_offsets" in tensor]
        self.assertEqual(len(written), 8 + size + max(ends))

    def test_surroundings(self):
        trials = []
        for name, environment in GOOD_ENVIRONMENTS.items():
            trials.append(Trial("generate " + name, HELLO, b"", 0, output=ANSWER, environment=environment))
            trials.append(Trial("chat " + name, CHAT, b"35+4\n", 0, output=lambda found: found.startswith(b"35 + 4"), environment=environment))
        for name, environment in {
            "isa foo": {"BALEEN_ISA": "foo"},
            "isa capital": {"BALEEN_ISA": "AVX2"},
            "threads 0": {"BALEEN_THREADS": "0"},
            "threads text": {"BALEEN_THREADS": "abc"},
            "threads -1": {"BALEEN_THREADS": "-1"},
            "threads 1.5": {"BALEEN_THREADS": "1.5"},
            "threads huge": {"BALEEN_THREADS": "9" * 30},
            "pin 1": {"BALEEN_PIN": "1"},
            "pin capital": {"BALEEN_PIN": "ON"},
            "weights nowhere": {"BALEEN_WEIGHTS": "nowhere"},
        }.items():
            trials.append(Trial("environment " + name, HELLO, b"", None, (list(environment)[0],), b"", environment=environment))
        for name, arguments in {"hub id": ["--model", "a/b"], "plain name": ["--model", "nothing"]}.items():
            trials.append(Trial("no home " + name, ["tokenize", *arguments], b"", 3, output=b"", environment=NOWHERE))
        trials.append(Trial("generate in a folder that is gone", HELLO, b"", 0, output=ANSWER, shell='d=$(mktemp -d); cd "$d"; rmdir "$d"; "$@"'))
        trials.append(Trial("chat in a folder that is gone", CHAT, b"/save x\n", None, output=b"", shell='d=$(mktemp -d); cd "$d"; rmdir "$d"; "$@"'))
        trials.append(
            Trial("model in a folder that is gone", ["tokenize", "--model", "."], b"", 3, output=b"", shell='d=$(mktemp -d); cd "$d"; rmdir "$d"; "$@"')
        )
        save = self.folder / "save"
        save.mkdir()
        no_files = '((ulimit -f 0; exec "$@") 2>&1 >&3 | cat >&2; exit "${PIPESTATUS[0]}") 3>&1 | cat; exit "${PIPESTATUS[0]}"'
        trials.append(
            Trial(
                "chat without room for files",
                CHAT,
                f"35+4\n/save {save}/x.json\n".encode(),
                5,
                (),
                lambda found: found.startswith(b"35 + 4"),
                shell=no_files,
                folder=save,
            )
        )
        logits = ["logits", "--model", MODEL, "--tokens", self.file("t", [1] * 30), "--out", save / "l.safetensors"]
        trials.append(Trial("logits without room for files", logits, b"", 5, ("l.safetensors",), shell=no_files, folder=save))
        trials += [Trial(f"{count} descriptors", HELLO, b"", 0, output=ANSWER, limits={resource.RLIMIT_NOFILE: count}) for count in (5, 8, 16)]
        run_all(self, trials)
        self.assertEqual(list(save.iterdir()), [])

    @unittest.skipIf(b"__asan_init" in pathlib.Path(program.PROGRAM).read_bytes(), "a sanitizer reserves terabytes of addresses")
    def test_little_memory(self):
        """Whatever the limit: an answer, or a message and exit 5."""
        coarse, fine = (6000, 8000, 10000, 14000, 20000, 24000, 28000, 32000, 40000, 60000, 100000), range(26500, 30000, 100)  # about what it takes to start
        render = ("render", ["render", "--lines"], b'{"version": "0731", "a": ' + b"[1," * 1000 + b"\n")
        for kilobytes in (*coarse, *fine):
            for name, arguments, text in (render,) if kilobytes in fine else (
                ("generate", [*HELLO, "--threads", "4"], b""),
                ("tokenize", ["tokenize", "--json", "--model", MODEL], b"word " * 200000),
                ("chat", CHAT, b"35+4\n"),
                render,
            ):
                with self.subTest(name, kilobytes=kilobytes):
                    done = subprocess.run(
                        ["bash", "-c", f'ulimit -v {kilobytes}; exec "$@"', "bash", program.PROGRAM, *map(str, arguments)],
                        input=text,
                        capture_output=True,
                        timeout=60,
                    )
                    message = done.stderr.decode(errors="replace")
                    if (
                        b"error while loading shared libraries" in done.stderr
                        or done.returncode in (126, 127)
                        and b"baleen" not in done.stderr.replace(program.PROGRAM.encode(), b"")
                    ):
                        continue  # the system could not even start it
                    if done.returncode < 0 and kilobytes * 1024 < os.path.getsize(program.PROGRAM):
                        continue  # nor map it: it ends by a signal before its first instruction
                    self.assertIn(done.returncode, (0, 5), message)
                    self.assertTrue(done.returncode == 0 or message.strip())

    @unittest.skipIf(b"__asan_init" in pathlib.Path(program.PROGRAM).read_bytes(), "a sanitizer needs a larger stack")
    def test_little_stack(self):
        """However far a stack may grow: an answer, or a message and exit 5."""
        for kilobytes in (64, 100, 128, 200, 250, 256, 300, 1000):
            for threads in ("1", "2"):
                with self.subTest(kilobytes=kilobytes, threads=threads):
                    command = ["bash", "-c", f'ulimit -s {kilobytes}; exec "$@"', "bash", program.PROGRAM, *map(str, HELLO), "--threads", threads]
                    done = subprocess.run(command, capture_output=True, timeout=60)
                    self.assertIn(done.returncode, (5,) if kilobytes <= 250 else (0,) if kilobytes >= 1000 else (0, 5), done.stderr)
                    self.assertTrue(done.returncode == 0 or b"ulimit -s" in done.stderr, done.stderr)

    def test_signals(self):
        for name, arguments in (("generate", ["generate", "--prompt", "hello"]), ("json", ["generate", "--prompt", "hello", "--json"])):
            with self.subTest(name):
                process = subprocess.Popen(
                    [program.PROGRAM, *arguments, "--model", str(MODEL), "--temperature", "30", "--seed", "1", "--max-tokens", "100000"],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env={**os.environ, "BALEEN_ISA": "reference"},
                )
                time.sleep(1.5)
                process.send_signal(signal.SIGINT)
                output, message = process.communicate(timeout=60)
                self.assertTrue(0 <= process.returncode <= 125, (process.returncode, message))
                if name == "json":
                    self.assertTrue(one_object(output))


if __name__ == "__main__":
    unittest.main()
