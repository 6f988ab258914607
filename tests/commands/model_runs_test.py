"""What surrounds a model: flags, prompts, outputs and environment of `logits`, the local cache, `twin`, `inspect`."""

import concurrent.futures
import json
import os
import pathlib
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest

import program
from model_folder import GOLDEN, ModelFolder, read_tensors
from program import run

SHORT = GOLDEN / "short"


def floats(path, name="logits"):
    return struct.unpack(f"<{len(read_tensors(path)[name][2]) // 4}f", read_tensors(path)[name][2])


def sound(path):
    """Whether the logits of a file are finite and neither vanish nor explode."""
    values = floats(path)
    mean = sum(values) / len(values)
    spread = (sum((v - mean) ** 2 for v in values) / len(values)) ** 0.5
    return all(abs(v) < 1e6 for v in values) and 0.1 < spread < 100


class Runs(program.Case):
    def logits(self, *arguments, model=SHORT, tokens=SHORT / "tokens.json", out=None, environment=None):
        self.out = self.folder / "out.safetensors" if out is None else out
        return run("logits", "--model", model, "--tokens", tokens, "--out", self.out, *arguments, environment=environment)

    def refused(self, done, *words):
        super().refused(done, *words)
        self.assertEqual(list(self.folder.rglob("*.partial-*")), [])


class Prompts(Runs):
    def test_refused(self):
        texts = (b"", b" ", b"[]", b"{}", b"null", b"5", b'"[1]"', b"[1.5]", b"[1.0]", b"[1e0]", b"[-1]", b"[256]", b"[9223372036854775808]", b"[18446744073709551616]", b"[1e400]", b'["1"]', b"[[1]]", b"[null]",
                 b"[true]", b"[1,2", b"[1,,2]", b"[1,]", b"[1] x", b"[1][2]", b"[1 2]", b"1,2", b"[\xff]", b"\xff\xfe[\x001\x00]\x00", b"[" * 100_000, b"[" + b'{"a":' * 50_000, b"[01]", b"[+1]", b"[0x1]", b"[NaN]",
                 b"[1]\0", b'{"tokens": [1]}', b"[1, 2, 300, 4]", b"\0" * 100)
        for text in texts:
            with self.subTest(text[:30]):
                self.refused(self.logits(tokens=self.file("tokens.json", text)), "tokens.json")
                self.assertFalse(self.out.exists())

    def test_no_file(self):
        os.mkfifo(self.folder / "pipe")
        for path in (self.folder / "absent.json", self.folder, self.folder / "pipe", "/dev/zero", "/dev/null", ""):
            self.refused(self.logits(tokens=path))
        large = self.folder / "large.json"
        large.touch()
        os.truncate(large, 1 << 40)
        self.refused(self.logits(tokens=large), "large.json")

    def test_whole(self):
        for text in (b"[0]", b"[255]", b" [ 1 , 2 ]\r\n", b"\n[\n1,\n2\n]\n"):
            self.answered(self.logits(tokens=self.file("tokens.json", text)))
            tensors = read_tensors(self.out)
            count = len(json.loads(text))
            self.assertEqual(tensors["logits"][1], [count, 256])
            self.assertEqual(tensors["mtp_logits"][1], [count - 1, 256])

    def test_longer_than_the_context(self):
        model = ModelFolder(self.folder)
        model.config(max_position_embeddings=100)
        self.refused(self.logits(model=model.path, tokens=self.file("tokens.json", [1] * 101)), "max_position_embeddings", "101")
        self.answered(self.logits(model=model.path, tokens=self.file("tokens.json", [1] * 100)))


class Flags(Runs):
    def test_refused(self):
        for flags in (["--chunk", 0], ["--chunk", -1], ["--chunk", "x"], ["--chunk", ""], ["--decode-from", -1], ["--decode-from", "x"], ["--arithmetic", "foo"], ["--arithmetic", ""],
                      ["--threads", 0], ["--threads", -1], ["--threads", "abc"], ["--threads", 100_000], ["--threads", "1.5"], ["--nonsense"], ["extra"], ["--chunk"], ["--chunk", 1, "--chunk", 2]):
            with self.subTest(flags):
                self.refused(self.logits(*flags))
                self.assertFalse(self.out.exists())
        self.refused(run("logits"))
        self.refused(run("logits", "--model", SHORT, "--tokens", SHORT / "tokens.json"), "--out")
        self.refused(run("logits", "--model", SHORT, "--out", self.folder / "x"), "--tokens")

    def test_accepted_and_all_alike(self):
        self.answered(self.logits())
        expected = self.out.read_bytes()
        for flags in (["--chunk", 1], ["--chunk", 3], ["--chunk", 10**9], ["--chunk", (1 << 63) - 1], ["--decode-from", 0], ["--decode-from", 4], ["--decode-from", 5], ["--decode-from", 6],
                      ["--decode-from", (1 << 63) - 1], ["--threads", 1], ["--threads", 64], ["--threads", 1024], ["--pin", "on"], ["--pin", "off"], ["--no-verify"], ["--verbose"]):
            with self.subTest(flags):
                self.answered(self.logits(*flags))
                self.assertEqual(self.out.read_bytes(), expected)

    def test_environment(self):
        for name, values in (("BALEEN_THREADS", ("0", "-1", "abc", "1e3", "100000", " 2", "2x")), ("BALEEN_ISA", ("foo", "AVX2", "sse", "avx512 ", "reference,avx2"))):
            for value in values:
                for command in (self.logits, lambda environment: run("inspect", SHORT, environment=environment), lambda environment: run("parse", "--thinking", "off", environment=environment)):
                    self.refused(command(environment={name: value}), name)
        for environment in ({"BALEEN_THREADS": "3"}, {"BALEEN_THREADS": ""}, {"BALEEN_ISA": "reference"}, {"BALEEN_ISA": ""}):
            self.answered(self.logits(environment=environment))
        for isa in ("avx2", "avx512", "amx"):  # whether this machine has it or not
            done = self.logits(environment={"BALEEN_ISA": isa})
            if done.returncode != 0:
                self.refused(done, "BALEEN_ISA=" + isa)


class Outputs(Runs):
    def test_refused(self):
        (self.folder / "file").write_bytes(b"")
        (self.folder / "loop").symlink_to("loop")
        os.mkfifo(self.folder / "pipe")
        for out in (self.folder / "absent" / "x", self.folder, self.folder / "file" / "x", "/proc/x", "/proc/self/x", "/sys/x", "/dev/full", self.folder / "pipe", self.folder / "loop" / "x", "", "/", ".",
                    self.folder / ("n" * 300)):
            with self.subTest(out):
                self.refused(self.logits(out=out))
        self.assertTrue((self.folder / "pipe").is_fifo())
        self.assertFalse(pathlib.Path("/dev/full").is_file())

    def test_inputs_are_not_replaced(self):
        model = ModelFolder(self.folder)
        tokens = self.file("tokens.json", [1, 2])
        (self.folder / "link.json").symlink_to(tokens)
        for out in (tokens, self.folder / "link.json", model / "config.json", model / "model.safetensors"):
            self.refused(self.logits(model=model.path, tokens=tokens, out=out), "--out")
        self.assertEqual(tokens.read_bytes(), b"[1, 2]")

    def test_written(self):
        out = self.folder / "out ü.safetensors"
        out.write_bytes(b"an older file")
        self.answered(self.logits(out=out))
        self.assertEqual(read_tensors(out)["logits"][1], [5, 256])
        self.answered(self.logits(out="/dev/null"))
        self.assertTrue(pathlib.Path("/dev/null").is_char_device())
        out.unlink()
        self.refused(self.logits("--arithmetic", "exact", tokens=self.file("bad.json", b"[999]"), out=out))
        self.assertFalse(out.exists())

    def test_limits_of_the_system(self):
        command = [program.PROGRAM, "logits", "--model", str(SHORT), "--tokens", str(SHORT / "tokens.json"), "--out", str(self.folder / "o"), "--threads", "64"]
        for limit, value in ((resource.RLIMIT_FSIZE, 4096), (resource.RLIMIT_AS, 60 << 20)):
            done = subprocess.run(command, capture_output=True, timeout=60, preexec_fn=lambda l=limit, v=value: resource.setrlimit(l, (v, v)))
            if done.returncode != 0:
                self.refused(done)
            elif limit != resource.RLIMIT_AS:
                self.fail(f"limit {limit} was not met")
            self.assertEqual((self.folder / "o").exists(), done.returncode == 0)
            (self.folder / "o").unlink(missing_ok=True)


class Cache(Runs):
    """models--owner--name/{blobs, refs, snapshots} as the Hugging Face tools leave it."""

    def make(self, hub, golden="pro"):
        repository = hub / "models--some--model.v1"
        (repository / "blobs").mkdir(parents=True)
        (repository / "refs").mkdir()
        snapshot = repository / "snapshots" / "0123abc"
        snapshot.mkdir(parents=True)
        (repository / "refs" / "main").write_text("0123abc")
        for number, path in enumerate([GOLDEN / golden / "config.json", *(GOLDEN / golden).glob("model*")]):
            shutil.copy(path, repository / "blobs" / str(number))
            (snapshot / path.name).symlink_to(f"../../blobs/{number}")
        return repository

    def open(self, name="some/model.v1", **environment):
        return self.logits(model=name, tokens=GOLDEN / "pro" / "tokens.json", environment={"HF_HUB_CACHE": "", "HF_HOME": "", "HOME": str(self.folder), **environment})

    def test_whole(self):
        self.make(self.folder / "a")
        self.answered(self.open(HF_HUB_CACHE=str(self.folder / "a")))
        self.answered(self.open(HF_HUB_CACHE=str(self.folder / "a"), HF_HOME="/nowhere"))
        self.make(self.folder / "b" / "hub")
        self.answered(self.open(HF_HOME=str(self.folder / "b")))
        repository = self.make(self.folder / ".cache" / "huggingface" / "hub")
        self.answered(self.open())
        (repository / "refs" / "main").write_text("0123abc\n")
        self.answered(self.open())
        (repository / "snapshots" / "older").mkdir()
        self.answered(self.open())
        self.answered(run("inspect", "some/model.v1", environment={"HF_HUB_CACHE": "", "HF_HOME": "", "HOME": str(self.folder)}))

    def test_refused(self):
        hub = self.folder / "hub"
        repository = self.make(hub)
        here = {"HF_HUB_CACHE": str(hub)}
        for name in ("some/other", "some", "some/model.v1/x", "../hub/x", "some/..", "/some/model", "some/mo del", "", "x" * 5000, "a/" + "b" * 5000, "some/model.v1@main", "~/model"):
            with self.subTest(name[:20]):
                self.refused(self.open(name, **here))
        for content in ("gone", "", "../..", "0123abc\nmore", "\xff", "x" * 10_000):
            (repository / "refs" / "main").write_text(content)
            self.refused(self.open(**here))
        (repository / "refs" / "main").write_text("0123abc")
        blob = next((repository / "blobs").iterdir())
        blob.unlink()
        self.refused(self.open(**here))
        shutil.rmtree(repository / "snapshots")
        self.refused(self.open(**here))


class Twins(Runs):
    def twin(self, *arguments, out=None, **options):
        return run("twin", "--out", out or self.folder / "twin", *arguments, **options)

    def test_refused(self):
        (self.folder / "file").write_bytes(b"x")
        (self.folder / "full").mkdir()
        (self.folder / "full" / "letter.txt").write_text("dear")
        config = self.file("bad.json", b"{")
        tiny = ["--preset", "tiny"]
        for arguments, out in ((["--preset", "v5"], None), ([*tiny, "--config", SHORT / "config.json"], None), ([], None), ([*tiny, "--layers", 0], None), ([*tiny, "--layers", -1], None),
                               ([*tiny, "--layers", 10**9], None), ([*tiny, "--layers", 5], None), ([*tiny, "--experts", 0], None), (["--preset", "v4-flash", "--experts", 1], None),
                               (["--preset", "v4-flash", "--experts", 257], None), ([*tiny, "--seed", -1], None), ([*tiny, "--seed", "x"], None), ([*tiny, "--seed", 1 << 64], None), ([*tiny, "--threads", 0], None),
                               (["--config", config], None), (["--config", self.folder / "absent"], None), (["--config", self.folder], None), ([*tiny, "--tokenizer", self.folder], None), (tiny, self.folder / "file"),
                               (tiny, self.folder / "file" / "x"), (tiny, self.folder / "full"), (tiny, "/proc/x"), (tiny, "/dev/null"), (["--preset", "v4-pro"], None), (tiny, SHORT)):
            with self.subTest((arguments, out)):
                self.refused(self.twin(*arguments, out=out))
                self.assertFalse((self.folder / "twin").exists())
        self.assertEqual([path.name for path in (self.folder / "full").iterdir()], ["letter.txt"])
        self.refused(run("twin", "--preset", "tiny"), "--out")
        self.assertFalse((SHORT / "tokenizer.json").exists())

    def test_another_seed_is_another_twin(self):
        self.answered(self.twin("--preset", "tiny", "--seed", 1))
        before = (self.folder / "twin" / "model.safetensors").read_bytes()
        self.refused(self.twin("--preset", "tiny", "--seed", 2), "seed")
        self.refused(self.twin("--preset", "tiny-base", "--seed", 1), "another model")
        self.answered(self.twin("--preset", "tiny", "--seed", 1))
        self.assertEqual((self.folder / "twin" / "model.safetensors").read_bytes(), before)

    def test_killed_and_started_again(self):
        config = json.loads((SHORT / "config.json").read_text()) | {"vocab_size": 60_000, "hidden_size": 256}
        arguments = ["--config", self.file("config.json", config), "--seed", 3]
        self.answered(self.twin(*arguments, out=self.folder / "whole"))
        for delay in (0.01, 0.05, 0.1):
            process = subprocess.Popen([program.PROGRAM, "twin", *map(str, arguments), "--out", self.folder / "twin"], stderr=subprocess.DEVNULL)
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.answered(self.twin(*arguments))
        files = sorted(path.relative_to(self.folder / "twin") for path in (self.folder / "twin").rglob("*") if path.is_file())
        self.assertEqual(files, sorted(path.relative_to(self.folder / "whole") for path in (self.folder / "whole").rglob("*") if path.is_file()))
        for name in files:
            self.assertEqual((self.folder / "twin" / name).read_bytes(), (self.folder / "whole" / name).read_bytes(), name)

    def test_limit_of_file_size(self):
        done = subprocess.run([program.PROGRAM, "twin", "--preset", "tiny", "--out", self.folder / "twin"], capture_output=True,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)))
        self.refused(done)
        self.assertFalse((self.folder / "twin" / "model.safetensors").exists())
        self.answered(self.twin("--preset", "tiny"))

    def test_twins_are_removed_and_nothing_else(self):
        twin = self.folder / "twin"
        self.refused(run("twin", "--delete", twin), "found nothing")
        self.refused(run("twin", "--delete", ""), "found nothing")
        self.answered(self.twin("--preset", "tiny"))
        self.refused(run("twin", "--delete", twin, "--preset", "tiny"))
        self.refused(run("twin", "--delete", twin / "config.json"), "found a file")
        files = sorted(twin.rglob("*"))
        for make, said in ((lambda p: p.write_bytes(b"mine"), "another file"), (lambda p: p.symlink_to(twin / "config.json"), "not a plain file"), (lambda p: p.mkdir(), "not a plain file")):
            for place in (twin / "notes", twin / "inference" / "notes"):
                make(place)
                self.refused(run("twin", "--delete", twin), said)
                place.rmdir() if place.is_dir() and not place.is_symlink() else place.unlink()
                self.assertEqual(sorted(twin.rglob("*")), files)
        (twin / "tokenizer.json.partial-77").write_bytes(b"left by a run that was killed")
        self.assertIn(b"removed", run("twin", "--delete", twin).stderr)
        self.assertFalse(twin.exists())
        for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):  # a model that is no twin
            twin.mkdir(exist_ok=True)
            (twin / name).write_bytes((program.MODEL / name).read_bytes())
        self.refused(run("twin", "--delete", twin), "weights that are no twin")
        (twin / "model.safetensors").unlink()
        self.refused(run("twin", "--delete", twin), "expected the weights of a twin, found none")
        self.assertEqual(len(list(twin.iterdir())), 3)

    def test_small_twins_are_sound(self):
        for preset in ("tiny", "tiny-base", "tiny-dspark"):
            self.answered(self.twin("--preset", preset, out=self.folder / preset))
            for arithmetic in ("exact", "official"):
                self.answered(self.logits("--arithmetic", arithmetic, model=self.folder / preset, tokens=self.file("tokens.json", list(range(5, 105)))))
                self.assertTrue(sound(self.out), preset)
            self.answered(run("inspect", self.folder / preset))


class DefaultArithmetic(Runs):
    """Of a wide model fast, of a narrow one official; the same bits as when it is asked for by name."""

    def logits_with(self, model, *arguments):
        done = run("logits", "--model", model, "--tokens", self.file("tokens.json", list(range(5, 25))), "--out", self.folder / "out.safetensors", *arguments)
        self.answered(done)
        return done.stderr, (self.folder / "out.safetensors").read_bytes()

    def test_narrow_and_wide(self):
        narrow = json.loads((SHORT / "config.json").read_text())
        for width, expected in ((narrow["hidden_size"], "official"), (2048, "fast")):
            config, model = narrow | {"hidden_size": width}, self.folder / f"twin-{width}"
            self.answered(run("twin", "--config", self.file("config.json", config), "--out", model))
            said, logits = self.logits_with(model)
            self.assertIn(f"{expected} arithmetic".encode(), said)
            for arithmetic in ("auto", "official", "fast", "exact"):
                self.assertEqual(self.logits_with(model, "--arithmetic", arithmetic)[1] == logits, arithmetic in ("auto", expected), (width, arithmetic))


class Inspect(Runs):
    def test_damage_is_told_with_what_could_be_read(self):
        model = ModelFolder(self.folder)
        model.tensors(lambda tensors: tensors.pop("norm.weight") and None)
        done = run("inspect", model.path, "--json")
        self.refused(done, "norm.weight")
        report = json.loads(done.stdout)
        self.assertFalse(report["ok"])
        self.assertEqual(report["config"]["layers"], 3)
        model.tensors(lambda tensors: [tensors.pop(name) for name in list(tensors) if name.startswith("mtp.")] and None)
        model.tensors(lambda tensors: tensors.update({"norm.weight": ["BF16", [32], bytes(64)]}))
        self.assertIn("mtp.*", self.answered(run("inspect", model.path)))
        for arguments in ([], [model.path, "--preset", "tiny"], ["--preset", "none"], [self.folder / "absent"], [model / "config.json"]):
            self.refused(run("inspect", *arguments))


if __name__ == "__main__":
    unittest.main()
