"""baleen generate: the reference's continuations, streaming, stop texts, refusals, Ctrl-C."""

import json
import os
import signal
import subprocess
import time
import unittest

import program
from program import MODEL, REPOSITORY, run


def generate(*arguments, **options):
    return run("generate", "--model", MODEL, *arguments, **options)


class Generate(program.Case):
    def object(self, *arguments):
        return json.loads(self.answered(generate("--json", "--temperature", 0, *arguments)))

    def test_greedy_is_the_reference(self):
        for name, reference in program.references():
            think = "off" if reference["thinking_mode"] == "chat" else reference["reasoning_effort"] or "low"
            messages = self.file("messages.json", reference["messages"])
            tokens = self.file("tokens.json", reference["tokens"])
            for source in (["--messages", messages, "--think", think], ["--tokens", tokens]):
                answer = self.object("--arithmetic", "exact", "--max-tokens", len(reference["greedy"]), *source)
                self.assertEqual(answer["tokens"], reference["greedy"], name)
                end = reference["greedy"][-1] == 1
                self.assertEqual(answer["text"] + ("<｜end▁of▁sentence｜>" if end else ""), reference["greedy_text"], name)
                self.assertEqual(answer["finish_reason"], "stop" if end else "length", name)
                count = len(reference["tokens"])
                self.assertEqual(answer["usage"], {"prompt_tokens": count, "completion_tokens": len(answer["tokens"]), "total_tokens": count + len(answer["tokens"])})

    def test_parts_of_a_thinking_answer(self):
        answer = self.object("--prompt", "What is the capital of Peru?", "--think", "low")
        self.assertEqual(answer["text"], answer["reasoning_content"] + "</think>" + answer["content"])
        self.assertTrue(answer["reasoning_content"] and answer["content"])
        self.assertEqual(answer["tool_calls"], [])
        self.assertEqual(set(answer["timings"]), {"load_seconds", "prefill_seconds", "prefill_tokens_per_second", "decode_seconds", "decode_tokens_per_second"})
        streamed = self.answered(generate("--temperature", 0, "--prompt", "What is the capital of Peru?", "--think", "low"))
        self.assertEqual(streamed, answer["reasoning_content"] + "\n\n" + answer["content"] + "\n")

    def test_tool_calls(self):
        messages = dict(program.references())["09-tools-thinking"]["messages"]
        answer = self.object("--messages", self.file("m.json", messages[:2]), "--think", "low")
        self.assertEqual(answer["finish_reason"], "tool_calls")
        self.assertEqual(answer["tool_calls"][0]["function"]["name"], "set_timer")
        self.assertEqual(json.loads(answer["tool_calls"][0]["function"]["arguments"]), {"minutes": 19})
        self.assertNotIn("DSML", answer["content"])

    def test_stop_texts_across_token_edges(self):
        whole = self.object("--prompt", "35+4")
        self.assertEqual(whole["text"], "35 + 4 = 36.")
        for stop, kept in (["+ 4 =", "35 "], ["36", "35 + 4 = "], ["3", ""], [".", "35 + 4 = 36"]):
            answer = self.object("--prompt", "35+4", "--stop", stop, "--stop", "never")
            self.assertEqual((answer["text"], answer["content"], answer["finish_reason"]), (kept, kept, "stop"))
        self.assertEqual(self.object("--prompt", "35+4", "--stop", "36!")["text"], whole["text"])

    def test_seed_decides(self):
        once = [json.loads(self.answered(generate("--json", "--prompt", "hello", "--seed", seed, "--temperature", 1.5, "--top-p", 0.95)))["tokens"]
                for seed in (5, 5, 6, 7, 2**64 - 1)]
        self.assertEqual(once[0], once[1])
        self.assertGreater(len(set(map(tuple, once))), 1)

    def test_streams_whole_code_points_in_chinese(self):
        self.answered(generate("--prompt", "你好", "--temperature", 0))
        self.answered(generate("--prompt", "你好", "--temperature", 4, "--seed", 1, "--max-tokens", 200))

    def test_raw_text_is_continued_as_it_stands(self):
        answer = self.object("--raw", "--prompt", "Hello", "--max-tokens", 3)
        self.assertEqual(answer["usage"]["prompt_tokens"], 1)
        self.assertEqual(answer["content"], answer["text"])

    def test_context_ends_the_answer(self):
        answer = self.object("--prompt", "35+4", "--context", 12)
        self.assertEqual((len(answer["tokens"]), answer["finish_reason"]), (4, "length"))
        self.assertEqual(self.object("--prompt", "35+4", "--context", 8)["tokens"], [])
        self.refused(generate("--prompt", "35+4", "--context", 7), "7", "8")

    def test_a_model_without_tokenizer_gives_ids(self):
        folder = REPOSITORY / "tests" / "golden" / "checkpoints" / "dspark"
        done = run("generate", "--model", folder, "--tokens", folder / "tokens.json", "--temperature", 0, "--max-tokens", 4, "--json")
        answer = json.loads(self.answered(done))
        self.assertEqual((len(answer["tokens"]), answer["text"]), (4, ""))
        self.assertIn(b"tokenizer.json", done.stderr)
        self.assertIn(b"DSpark", done.stderr)
        self.refused(run("generate", "--model", folder, "--prompt", "hello"), "tokenizer.json")

    def test_refusals(self):
        good = self.file("good.json", [{"role": "user", "content": "hi"}])
        for arguments in (
            [], ["--prompt", ""], ["--prompt", "a", "--tokens", good], ["--prompt", "a", "--messages", good], ["--prompt", b"\xff"],
            ["--prompt", "a", "--temperature", "-0.1"], ["--prompt", "a", "--temperature", "nan"], ["--prompt", "a", "--temperature", "inf"],
            ["--prompt", "a", "--top-p", "0"], ["--prompt", "a", "--top-p", "1.01"], ["--prompt", "a", "--top-p", "nan"],
            ["--prompt", "a", "--max-tokens", "0"], ["--prompt", "a", "--max-tokens", "-1"], ["--prompt", "a", "--max-tokens", "99999999999999999999"],
            ["--prompt", "a", "--max-tokens", "1.5"], ["--prompt", "a", "--seed", "-1"], ["--prompt", "a", "--seed", str(2**64)],
            ["--prompt", "a", "--stop", ""], ["--prompt", "a", "--think", "hard"], ["--prompt", "a", "--encoding", "may"], ["--prompt", "a", "--arithmetic", "quick"],
            ["--prompt", "a", "--context", "0"], ["--prompt", "a", "--context", "1048577"], ["--prompt", "a", "--threads", "0"], ["--messages", good, "--raw"],
            ["--messages", good, "--system", "x"], ["--messages", self.folder / "absent.json"], ["--messages", self.folder], ["--tokens", good],
            ["--tokens", self.file("a", [])], ["--tokens", self.file("b", [0, 2048])], ["--tokens", self.file("c", [-1])], ["--tokens", self.file("d", [1.5])],
            ["--tokens", self.file("e", b"[0, 1")], ["--tokens", self.file("f", [[0]])], ["--tokens", self.file("g", b"[" * 100000)],
            ["--messages", self.file("h", [])], ["--messages", self.file("i", {})], ["--messages", self.file("j", [{"role": "wizard", "content": "x"}])],
            ["--messages", self.file("k", b"\xff\xfe")], ["--messages", self.file("l", b"[" * 100000)], ["--messages", self.file("m", [{"role": "user", "content": 3}])],
        ):
            with self.subTest(arguments=[str(a)[:60] for a in arguments]):
                arguments = [a.decode("utf-8", "surrogateescape") if isinstance(a, bytes) else a for a in arguments]
                done = generate("--max-tokens", 1, *arguments) if "--max-tokens" not in arguments else generate(*arguments)
                self.refused(done)
                self.assertEqual(done.stdout, b"")

    def test_a_damaged_generation_config_is_refused(self):
        for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
            (self.folder / name).symlink_to(MODEL / name)
        config = self.folder / "generation_config.json"
        answer = lambda: run("generate", "--model", self.folder, "--prompt", "35+4", "--max-tokens", 20)
        for text in ("[]", "{", '{"temperature": "hot"}', '{"temperature": -1}', '{"top_p": 0}', '{"eos_token_id": "x"}', '{"eos_token_id": [1, null]}'):
            config.write_text(text)
            self.refused(answer())
        for text in ('{"do_sample": false}', '{"temperature": 0, "eos_token_id": [1, 2]}', '{"temperature": null, "top_p": 1e-9}'):
            config.write_text(text)
            self.assertEqual(self.answered(answer()), "35 + 4 = 36.\n")
        config.write_text('{"do_sample": false, "eos_token_id": [604]}')  # the third id of the reference: " +"
        self.assertEqual(self.answered(answer()), "35\n")

    def test_ctrl_c_keeps_what_was_written(self):
        # Noise that does not end soon, by the slow kernels, whose numbers are the same everywhere.
        process = subprocess.Popen([program.PROGRAM, "generate", "--model", str(MODEL), "--prompt", "hello", "--temperature", "30", "--seed", "1", "--max-tokens", "100000"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, env={**os.environ, "BALEEN_ISA": "reference"})
        first = process.stdout.read(1)  # it is writing
        process.send_signal(signal.SIGINT)
        output, message = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, message)
        self.assertTrue((first + output).decode())
        self.assertIn(b"stopped by Ctrl-C", message)

    def test_ctrl_c_again_does_not_wait_for_a_long_step(self):
        prompt = self.file("long", [300 + i % 1500 for i in range(2048)])  # one step, and by the slow kernels many seconds of it
        process = subprocess.Popen([program.PROGRAM, "generate", "--model", str(MODEL), "--tokens", str(prompt), "--max-tokens", "1", "--threads", "1"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, env={**os.environ, "BALEEN_ISA": "reference"})
        self.assertIn(b"memory", process.stderr.readline())  # it has begun
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.25)
        process.communicate()
        self.assertEqual(process.returncode, -signal.SIGINT)


if __name__ == "__main__":
    unittest.main()
