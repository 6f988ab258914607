"""baleen score: log-probabilities of a text."""

import json
import math
import unittest

import program
from program import MODEL, run


def score(*arguments, **options):
    return run("score", "--model", MODEL, *arguments, **options)


class Score(program.Case):
    def test_totals_follow_from_the_tokens(self):
        text = "你好 35+4"
        scored = json.loads(self.answered(score("--json", "--text", self.file("t.txt", text.encode()))))
        ids = json.loads(self.answered(run("tokenize", "--model", MODEL, "--json", text=text)))
        self.assertEqual(scored["tokens"], ids)
        self.assertEqual((scored["token_count"], scored["byte_count"], len(scored["logprobs"])), (len(ids), len(text.encode()), len(ids)))
        nats = -sum(scored["logprobs"])
        self.assertAlmostEqual(scored["perplexity"], math.exp(nats / len(ids)), places=6)
        self.assertAlmostEqual(scored["bits_per_byte"], nats / math.log(2) / len(text.encode()), places=9)

    def test_a_likely_answer_is_likelier(self):
        prompt = "<｜User｜>35+4<｜Assistant｜></think>"
        answer = lambda text: sum(json.loads(self.answered(score("--json", text=prompt + text)))["logprobs"][7:])
        self.assertGreater(answer("35 + 4 = 36."), answer("35 + 4 = 71."))

    def test_the_table_has_a_line_for_each_token(self):
        lines = self.answered(score(text="a\nb")).splitlines()
        self.assertTrue(lines[0].split("\t")[1].startswith('"'))
        self.assertEqual(lines[-4].split()[0], "perplexity")
        self.assertEqual(lines[-1], "bytes 3")
        self.assertEqual(lines[-2], f"tokens {len(lines) - 4}")

    def test_long_texts_and_refusals(self):
        self.assertEqual(json.loads(self.answered(score("--json", text="hello. " * 200)))["byte_count"], 1400)
        self.refused(score(text=""))
        self.refused(score(text=b"a\xff"), "UTF-8")
        self.refused(score("--text", self.folder / "absent"), "absent")
        self.refused(run("score", text="a"), "--model")


if __name__ == "__main__":
    unittest.main()
