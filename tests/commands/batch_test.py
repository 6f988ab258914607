"""baleen batch: its contract, point by point: lines, exit codes, resuming, fields, choices, usage, cache, drafts."""

import json
import os
import random
import signal
import subprocess
import time
import unittest

import program
from program import MODEL, PROGRAM, run

QUESTIONS = ["35+4", "hello", "What is the capital of Peru?", "你好", "tell me a story", "count to five"]


def request(custom_id, question="35+4", url="/v1/chat/completions", **body):
    chat = {"messages": [{"role": "user", "content": question}], "thinking": {"type": "disabled"}, "max_tokens": 30, "temperature": 0}
    body = {**(chat if url.endswith("chat/completions") else {"prompt": question, "max_tokens": 8, "temperature": 0}), **body}
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": {k: v for k, v in body.items() if v is not None}}


def many(count, **body):
    return [request(f"r{i}", f"{QUESTIONS[i % len(QUESTIONS)]} {i}", temperature=i % 3 / 2, **body) for i in range(count)]


class Batch(program.Case):
    def lines(self, requests, name="in.jsonl", end=b"\n"):
        raw = [line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode() for line in requests]
        return self.file(name, b"\n".join(raw) + end)

    def batch(self, source, *flags, out="out.jsonl", code=0, model=MODEL):
        done = run("batch", source, "--out", self.folder / out, "--model", model, *flags)
        self.assertEqual(done.returncode, code, done.stderr.decode(errors="replace"))
        return (self.folder / out).read_bytes()

    def answers(self, requests, *flags, code=0, **options):
        answers = [json.loads(line) for line in self.batch(self.lines(requests), *flags, code=code, **options).decode().split("\n")[:-1]]
        (self.folder / options.get("out", "out.jsonl")).unlink()
        return answers

    def body(self, *flags, **fields):
        answer, = self.answers([request("a", **fields)], *flags)
        self.assertEqual(answer["response"]["status_code"], 200)
        return answer["response"]["body"]

    def refusal(self, line, *flags):
        answer, = self.answers([line], *flags, code=2)
        self.assertIn(answer["response"]["status_code"], (400, 422))
        self.assertIsNone(answer["error"])
        error = answer["response"]["body"]["error"]
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        return answer, error


class Lines(Batch):
    def test_answers_stand_in_order_whatever_the_length(self):
        requests = [request(f"r{i}", max_tokens=1 + (37 * i) % 60, ignore_eos=True) for i in range(40)]
        answers = self.answers(requests)
        self.assertEqual([a["custom_id"] for a in answers], [r["custom_id"] for r in requests])
        self.assertEqual([a["response"]["body"]["usage"]["completion_tokens"] for a in answers], [r["body"]["max_tokens"] for r in requests])
        self.assertEqual(len({a["id"] for a in answers}), 40)
        for answer in answers:
            self.assertEqual(set(answer), {"id", "custom_id", "response", "error"})
            self.assertEqual(set(answer["response"]), {"status_code", "request_id", "body"})

    def test_forms_of_the_file(self):
        one = json.dumps(request("a")).encode()
        expected = self.batch(self.lines([one]))
        for name, text in (("no-end", one), ("crlf", one + b"\r\n"), ("blank", one + b"\n\n  \n"), ("mark", b"\xEF\xBB\xBF" + one + b"\n")):
            os.utime(self.file(name, text), ns=(os.stat(self.folder / "in.jsonl").st_mtime_ns,) * 2)
            self.assertEqual(self.batch(self.folder / name, out=name + ".out"), expected, name)
        self.assertEqual(self.batch(self.file("empty", b""), out="empty.out"), b"")
        self.assertEqual(self.batch(self.file("blank-only", b"\n\n"), out="blank-only.out"), b"")

    def test_bad_lines_have_their_own_answers(self):
        good = request("good")
        bad = [b"{", b"\xff\xfe", b"[]", b"1", b"null", b'"text"', b"{}", b"[" * 100000, b'{"custom_id": "\\ud800"}', b"\x00",
               {**good, "custom_id": None}, {**good, "custom_id": 7}, {**good, "custom_id": "x" * 5000}, {**good, "custom_id": ""}]
        answers = self.answers([good, *bad, good], code=2)
        self.assertEqual(len(answers), len(bad) + 2)
        for number, answer in enumerate(answers[1:-1], 2):
            self.assertEqual((answer["custom_id"], answer["line"]), (None, number))
            self.assertEqual(answer["response"]["status_code"] // 100, 4)
        self.assertEqual([answers[i]["response"]["status_code"] for i in (0, -1)], [200, 200])
        self.assertEqual(answers[0]["response"]["body"]["choices"], answers[-1]["response"]["body"]["choices"])
        for field, value in (("method", "GET"), ("method", None), ("url", "/v1/embeddings"), ("url", 5), ("body", []), ("body", None), ("body", "{}")):
            answer, error = self.refusal({**good, field: value})
            self.assertEqual((answer["custom_id"], error["param"]), ("good", field))
            self.assertIn(field, error["message"])

    def test_paths(self):
        source = self.lines([request("a")])
        self.refused(run("batch", self.folder / "none", "--out", self.folder / "o", "--model", MODEL), "none")
        self.refused(run("batch", self.folder, "--out", self.folder / "o", "--model", MODEL), "folder")
        self.refused(run("batch", source, "--out", source, "--model", MODEL), "--out")
        self.refused(run("batch", source, "--out", self.folder, "--model", MODEL), "--out")
        self.refused(run("batch", source, "--out", self.folder / "no" / "o", "--model", MODEL), "no")
        self.refused(run("batch", source, "--out", self.folder / "o", "--model", self.folder / "m"))
        self.refused(run("batch", source, "--model", MODEL), "--out")
        self.refused(run("batch", source, "--out", self.file("other", b'{"id": "batch_req_1"}\n'), "--model", MODEL), "other")
        self.assertEqual((self.folder / "other").read_bytes(), b'{"id": "batch_req_1"}\n')
        self.assertEqual(json.loads(source.read_bytes())["custom_id"], "a")
        for flag, value in (("--parallel", 0), ("--parallel", -1), ("--parallel", "x"), ("--context", 1), ("--context", 10**9), ("--draft", "some"), ("--draft", "dspark"),
                            ("--kv-memory", "1B"), ("--cache-dir", source), ("--threads", 0)):
            self.refused(run("batch", source, "--out", self.folder / "o", "--model", MODEL, flag, value))


class Resuming(Batch):
    def begin(self, source, *flags):
        return subprocess.Popen([PROGRAM, "batch", str(source), "--out", str(self.folder / "out.jsonl"), "--model", str(MODEL), "--parallel", "4", *flags],
                                stderr=subprocess.PIPE)

    def wait_for_lines(self, process, count):
        partial = self.folder / "out.jsonl.partial"
        end = time.monotonic() + 60
        while time.monotonic() < end and process.poll() is None:
            if partial.exists() and partial.read_bytes().count(b"\n") >= count:
                return
            time.sleep(0.005)

    def test_a_killed_run_goes_on(self):
        source = self.lines(many(80, ignore_eos=True))
        whole = self.batch(source, out="whole.jsonl")
        partial = self.folder / "out.jsonl.partial"
        for wanted in (1, 20, 50):
            process = self.begin(source)
            self.wait_for_lines(process, wanted)
            process.kill()
            process.communicate()
            self.assertFalse((self.folder / "out.jsonl").exists())
            kept = partial.read_bytes()
            self.assertTrue(whole.startswith(kept[:kept.rfind(b"\n") + 1]))
            partial.write_bytes(kept + b'{"id": "torn')
        self.assertEqual(self.batch(source), whole)
        self.assertFalse(partial.exists())

    def test_every_torn_end_is_done_again(self):
        source = self.lines(many(3))
        whole = self.batch(source)
        for length in (0, 1, whole.find(b"\n"), whole.find(b"\n") + 1, len(whole) - 1, random.Random(5).randrange(len(whole))):
            (self.folder / "out.jsonl").unlink()
            (self.folder / "out.jsonl.partial").write_bytes(whole[:length])
            self.assertEqual(self.batch(source), whole, length)

    def test_a_finished_file_stays(self):
        source = self.lines([request("a"), b"{"])
        whole = self.batch(source, code=2)
        stamp = os.stat(self.folder / "out.jsonl").st_mtime_ns
        self.assertEqual(self.batch(source), whole)
        self.assertEqual(os.stat(self.folder / "out.jsonl").st_mtime_ns, stamp)
        (self.folder / "out.jsonl").write_bytes(whole[:-3])
        self.assertEqual(self.batch(source, code=2), whole)
        self.refused(run("batch", self.lines([request("b")], "other.jsonl"), "--out", self.folder / "out.jsonl", "--model", MODEL), "out.jsonl")
        self.assertEqual((self.folder / "out.jsonl").read_bytes(), whole)

    def test_refused_lines_of_an_earlier_run_count(self):
        source = self.lines([b"{", request("a")])
        whole = self.batch(source, code=2)
        (self.folder / "out.jsonl").unlink()
        (self.folder / "out.jsonl.partial").write_bytes(whole.split(b"\n")[0] + b"\n")
        self.assertEqual(self.batch(source, code=2), whole)

    def test_ctrl_c_keeps_whole_lines(self):
        source = self.lines(many(80, ignore_eos=True, max_tokens=60))
        process = self.begin(source)
        self.wait_for_lines(process, 2)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 5, message)
        self.assertIn(b"again", message)
        self.assertTrue((self.folder / "out.jsonl.partial").read_bytes().endswith(b"\n"))
        self.assertEqual(self.batch(source).count(b"\n"), 80)

    def test_one_at_a_time(self):
        source = self.lines(many(200, ignore_eos=True, max_tokens=60))
        process = self.begin(source)
        self.wait_for_lines(process, 1)
        self.refused(run("batch", source, "--out", self.folder / "out.jsonl", "--model", MODEL), "another run")
        process.kill()
        process.communicate()


class Choices(Batch):
    def test_company_does_not_matter(self):
        requests = many(24, logprobs=True, top_logprobs=3)
        source = self.lines(requests)
        alone = self.batch(source, "--parallel", 1, out="alone")
        self.assertEqual(self.batch(source, "--parallel", 16, out="together"), alone)
        self.assertEqual(self.batch(source, "--parallel", 16, "--threads", 1, out="one-thread"), alone)

    def test_greedy_is_generate(self):
        for question in QUESTIONS:
            generated = json.loads(self.answered(run("generate", "--model", MODEL, "--prompt", question, "--temperature", 0, "--json", "--think", "low", "--max-tokens", 60)))
            body = self.body(question=question, thinking=None, reasoning_effort="low", max_tokens=60)
            message = body["choices"][0]["message"]
            self.assertEqual((message["content"], message["reasoning_content"]), (generated["content"], generated["reasoning_content"]))
            self.assertEqual({k: body["usage"][k] for k in generated["usage"]}, generated["usage"])
            self.assertEqual(body["choices"][0]["finish_reason"], generated["finish_reason"])

    def test_logprobs(self):
        for url in ("/v1/chat/completions", "/v1/completions"):
            wanted = {"logprobs": True, "top_logprobs": 20} if url.endswith("chat/completions") else {"logprobs": 20}
            choice = self.body(url=url, **wanted)["choices"][0]
            for token in choice["logprobs"]["content"]:
                top = token["top_logprobs"]
                self.assertEqual(len({entry["token"] for entry in top}), 20)
                values = [entry["logprob"] for entry in top]
                self.assertEqual(values, sorted(values, reverse=True))
                self.assertEqual((top[0]["token"], top[0]["logprob"], top[0]["bytes"]), (token["token"], token["logprob"], token["bytes"]))
            text = choice["message"]["content"] if "message" in choice else choice["text"]
            self.assertEqual(bytes(byte for token in choice["logprobs"]["content"] for byte in token["bytes"]).decode(), text)

    def test_logprobs_of_thinking_stand_apart(self):
        body = self.body(question="What is the capital of Peru?", thinking={"type": "enabled"}, reasoning_effort="low", logprobs=True, max_tokens=200)
        choice = body["choices"][0]
        said = lambda part: bytes(byte for token in choice["logprobs"][part] for byte in token["bytes"]).decode()
        self.assertEqual(said("reasoning_content"), choice["message"]["reasoning_content"] + "</think>")
        self.assertEqual(said("content"), choice["message"]["content"])
        self.assertEqual(body["usage"]["completion_tokens_details"]["reasoning_tokens"], len(choice["logprobs"]["reasoning_content"]))

    def test_stop(self):
        for stop, kept in (("+ 4 =", "35 "), (["36"], "35 + 4 = "), ("3", "")):
            choice = self.body(stop=stop)["choices"][0]
            self.assertEqual((choice["message"]["content"], choice["finish_reason"]), (kept, "stop"))

    def test_n_and_seeds(self):
        body = self.body(question="tell me a story", n=3, temperature=1.5, seed=5)
        self.assertEqual([c["index"] for c in body["choices"]], [0, 1, 2])
        single = [self.body(question="tell me a story", temperature=1.5, seed=seed) for seed in (5, 6, 7)]
        self.assertEqual([c["message"] for c in body["choices"]], [s["choices"][0]["message"] for s in single])
        self.assertEqual(body["usage"]["completion_tokens"], sum(s["usage"]["completion_tokens"] for s in single))
        self.assertEqual(body["usage"]["prompt_tokens"], single[0]["usage"]["prompt_tokens"])

    def test_biases_and_the_end(self):
        self.assertEqual(self.body(ignore_eos=True, max_tokens=25)["usage"]["completion_tokens"], 25)
        self.assertEqual(self.body(logit_bias={"1": -100}, max_tokens=25)["choices"][0]["finish_reason"], "length")
        self.assertEqual(self.body(logit_bias={"5": 100}, max_tokens=3, logprobs=True)["usage"]["completion_tokens"], 3)

    def test_special_text_is_plain(self):
        usage = [self.body(question=question, max_tokens=1)["usage"]["prompt_tokens"] for question in ("", "</think>")]
        self.assertGreater(usage[1] - usage[0], 1)


class Usage(Batch):
    def test_prompt_tokens_are_rendered_and_tokenised(self):
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "你好 35+4"}]
        for effort, flag in (("low", "low"), ("high", "high"), ("max", "max"), (None, "off")):
            prompt = self.answered(run("render", "--messages", self.file("m.json", messages), "--thinking", flag))
            ids = json.loads(self.answered(run("tokenize", "--model", MODEL, "--json", text=prompt)))
            thinking = {"type": "enabled" if effort else "disabled"}
            usage = self.body(messages=messages, thinking=thinking, reasoning_effort=effort)["usage"]
            self.assertEqual(usage["prompt_tokens"], len(ids))
            self.assertEqual(usage["total_tokens"], usage["prompt_tokens"] + usage["completion_tokens"])
            self.assertEqual(usage["prompt_tokens_details"]["cached_tokens"], 0)
        self.assertEqual(self.body(url="/v1/completions", question=[0, 5, 6])["usage"]["prompt_tokens"], 3)

    def test_a_prompt_must_fit(self):
        answer, error = self.refusal(request("a", "word " * 40000), "--context", 2000)
        self.assertEqual((error["param"], error["code"]), ("messages", "context_length_exceeded"))


class Cache(Batch):
    def cached(self, body):
        return body["usage"]["prompt_tokens_details"]["cached_tokens"]

    def test_a_later_run_takes_what_an_earlier_one_left(self):
        folder = self.folder / "cache"
        story = "The whale swims in the sea and sings a long song. " * 120
        first = self.body("--cache-dir", folder, question=story)
        self.assertEqual(self.cached(first), 0)
        again = self.body("--cache-dir", folder, question=story)
        self.assertGreaterEqual(self.cached(again), first["usage"]["prompt_tokens"] - 128)
        self.assertEqual(again["choices"], first["choices"])
        turn = {"messages": [{"role": "user", "content": story}, {"role": "assistant", "content": first["choices"][0]["message"]["content"]}, {"role": "user", "content": "hello"}]}
        second = self.body("--cache-dir", folder, **turn)
        self.assertGreaterEqual(self.cached(second), first["usage"]["prompt_tokens"] - 128)
        self.assertEqual(second["choices"], self.body(**turn)["choices"])
        other = self.body("--cache-dir", folder, question=story[:len(story) // 2] + "But then it sleeps.")
        self.assertGreater(self.cached(other), 0)
        self.assertEqual(self.cached(self.body("--cache-dir", folder, question=story, user="someone else")), 0)


class Drafts(Batch):
    def test_drafts_change_nothing_at_temperature_0(self):
        source = self.lines([request(f"r{i}", question, logprobs=True, top_logprobs=2, max_tokens=60) for i, question in enumerate(QUESTIONS)])
        plain = self.batch(source, out="off")
        for draft in ("mtp", "auto"):
            self.assertEqual(self.batch(source, "--draft", draft, out=draft), plain)

    def test_a_dspark_drafter_changes_nothing_at_temperature_0(self):
        model = self.folder / "model"
        made = run("twin", "--preset", "tiny-dspark", "--out", model)
        self.assertEqual(made.returncode, 0, made.stderr)
        source = self.lines([request(f"r{i}", question, logprobs=True, top_logprobs=2, max_tokens=40, ignore_eos=True) for i, question in enumerate(QUESTIONS)])
        answers = {}
        for draft in ("off", "dspark", "auto"):
            done = run("batch", source, "--out", self.folder / draft, "--model", model, "--draft", draft, "--parallel", 3)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotIn(b"DSpark", done.stderr)  # what is used is not said to be unused
            answers[draft] = (self.folder / draft).read_bytes()
        self.assertEqual(answers["dspark"], answers["off"])
        self.assertEqual(answers["auto"], answers["off"])
        self.refused(run("batch", source, "--out", self.folder / "mtp", "--model", model, "--draft", "mtp"), "--draft", "a DSpark drafter", "an MTP module")


if __name__ == "__main__":
    unittest.main()
