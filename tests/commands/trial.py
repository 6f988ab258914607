"""Trials of the program on odd input: one row each, and the rules that every row is held to."""

import os
import pathlib
import resource
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Optional

import program

MOST_SECONDS = 20
MOST_MEMORY = 3 << 30  # bytes resident; a sanitizer takes a few times what a release takes
MOST_LINES = 40


@dataclass
class Trial:
    """A run and what must come of it. `code`: 0, the code of a refusal, or None for any of 1 … 125."""

    name: str
    arguments: list
    text: object = b""  # standard input, bytes, or an open file
    code: Optional[int] = None
    says: tuple = ()  # words of the message, when it is refused
    output: object = None  # standard output: bytes, or a function of them that says whether they are right
    environment: dict = field(default_factory=dict)
    limits: dict = field(default_factory=dict)  # of the resource module
    shell: str = ""  # a shell line with "$@" in it, instead of the plain run
    folder: object = None  # looked through afterwards for what a broken write left


def _argument(value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")


def _limit(limits):
    def apply():
        for what, value in limits.items():
            resource.setrlimit(what, (value, value))

    return apply if limits else None


def _environment(changes):
    merged = {**os.environ, **changes}
    return {key: value for key, value in merged.items() if value is not None}


def faults(trial):
    """What is wrong with the run, as a list of texts."""
    command = [program.PROGRAM.encode(), *map(_argument, trial.arguments)]
    if trial.shell:
        command = [b"bash", b"-c", trial.shell.encode(), b"bash", *command]
    begin = time.monotonic()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as message, tempfile.TemporaryFile() as given:
        given.write(trial.text if isinstance(trial.text, bytes) else trial.text.encode())
        given.seek(0)
        process = subprocess.Popen(command, stdin=given, stdout=output, stderr=message, env=_environment(trial.environment), preexec_fn=_limit(trial.limits))
        code, usage = _wait(process)
        output.seek(0), message.seek(0)
        return _judge(trial, code, usage, time.monotonic() - begin, output.read(), message.read())


def _wait(process):
    end = time.monotonic() + 6 * MOST_SECONDS
    pause = 0.002
    while time.monotonic() < end:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage
        time.sleep(pause)
        pause = min(0.05, pause * 1.5)
    process.kill()
    process.wait()
    return None, None


def _judge(trial, code, usage, seconds, output, message):
    text = message.decode(errors="replace")
    found = []
    if code is None:
        return ["did not end"]
    cpu = usage.ru_utime + usage.ru_stime
    if not 0 <= code <= 125:
        found.append(f"exit {code}")
    elif trial.code is None and code == 0:
        found.append("was not refused")
    elif trial.code is not None and code != trial.code:
        found.append(f"exit {code}, wanted {trial.code}")
    if "Sanitizer" in text or "runtime error" in text or "CHECK failed" in text:
        found.append("a bug showed itself")
    if code != 0 and not text.strip():
        found.append("no message")
    if len(text.splitlines()) > MOST_LINES:
        found.append(f"a message of {len(text.splitlines())} lines")
    if len(message) > 20000:
        found.append(f"a message of {len(message)} bytes")
    if code != 0:
        found += [f"the message does not say {word!r}" for word in trial.says if word not in text]
    if cpu > MOST_SECONDS:
        found.append(f"took {cpu:.1f} s")
    if usage.ru_maxrss * 1024 > MOST_MEMORY:
        found.append(f"took {usage.ru_maxrss >> 10} MiB")
    if callable(trial.output):
        if not trial.output(output):
            found.append(f"wrong output {output[:300]!r}")
    elif trial.output is not None and output != trial.output:
        found.append(f"output {output[:300]!r}, wanted {trial.output[:300]!r}")
    if trial.folder is not None:
        found += [f"left behind {path}" for path in pathlib.Path(trial.folder).rglob("*.partial-*") if not _is_being_written(path)]
    return [f"{what}\n    exit {code}, {seconds:.1f} s: {text[:600]}" for what in found]


def _is_being_written(path):
    """A trial beside this one writes to the same folder; the file is named after its process, and gone or renamed before that ends."""
    return pathlib.Path("/proc", path.name.rpartition("-")[2]).exists() or not path.exists()


def run_all(test, trials):
    """Runs the trials, two at a time, and reports each that is not as it should be."""
    names = [trial.name for trial in trials]
    test.assertEqual(len(names), len(set(names)), "names must differ: " + str(sorted(name for name in names if names.count(name) > 1)))
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(faults, trials))
    for trial, found in zip(trials, results):
        with test.subTest(trial.name):
            if found:
                test.fail("\n".join(found))
    return len(trials)
