"""generate with impossible flags, prompts, settings and tokenizers."""

import json
import unittest

import program
from bad_input_test import DEEP, TOKENIZER
from program import MODEL
from session import ANSWER, DSPARK, GENERATE, one_object, variant
from trial import Trial, run_all

BAD_FLAGS = {
    "temperature -1": ["--temperature", "-1"],
    "temperature nan": ["--temperature", "nan"],
    "temperature inf": ["--temperature", "inf"],
    "temperature text": ["--temperature", "hot"],
    "temperature empty": ["--temperature", ""],
    "temperature 1e400": ["--temperature", "1e400"],
    "temperature comma": ["--temperature", "0,5"],
    "top-p 0": ["--top-p", "0"],
    "top-p -1": ["--top-p", "-1"],
    "top-p 2": ["--top-p", "2"],
    "top-p nan": ["--top-p", "nan"],
    "top-k -1": ["--top-k", "-1"],
    "top-k 2^63": ["--top-k", str(2**63)],
    "min-p 1.01": ["--min-p", "1.01"],
    "min-p nan": ["--min-p", "nan"],
    "frequency-penalty 2.01": ["--frequency-penalty", "2.01"],
    "presence-penalty -2.01": ["--presence-penalty", "-2.01"],
    "logit-bias 101": ["--logit-bias", "5=101"],
    "logit-bias twice": ["--logit-bias", "5=1", "--logit-bias", "5=2"],
    "logit-bias text": ["--logit-bias", "5"],
    "logit-bias beyond": ["--logit-bias", "2048=1"],
    "logit-bias -1": ["--logit-bias=-1=1"],
    "max-tokens 0": ["--max-tokens", "0"],
    "max-tokens -1": ["--max-tokens", "-1"],
    "max-tokens 2^63": ["--max-tokens", str(2**63)],
    "max-tokens 1e3": ["--max-tokens", "1e3"],
    "max-tokens empty": ["--max-tokens", ""],
    "seed -1": ["--seed", "-1"],
    "seed 2^64": ["--seed", str(2**64)],
    "seed abc": ["--seed", "abc"],
    "seed 1.5": ["--seed", "1.5"],
    "stop empty": ["--stop", ""],
    "stop invalid": ["--stop", b"\xff"],
    "too many stops": ["--stop=x"] * 65,
    "context 0": ["--context", "0"],
    "context -1": ["--context", "-1"],
    "context too large": ["--context", str(2**40)],
    "think foo": ["--think", "foo"],
    "think empty": ["--think", ""],
    "encoding foo": ["--encoding", "foo"],
    "arithmetic foo": ["--arithmetic", "foo"],
    "system invalid": ["--system", b"\xff"],
    "threads 0": ["--threads", "0"],
    "threads -1": ["--threads", "-1"],
    "threads many": ["--threads", "1000000"],
    "threads text": ["--threads", "two"],
    "two prompts": ["--prompt", "x"],
    "prompt and messages": ["--messages", "x"],
    "prompt and tokens": ["--tokens", "x"],
    "unknown flag": ["--loud"],
    "stray word": ["stray"],
    "no value": ["--seed"],
    "stray empty": [""],
    "stray invalid": [b"\xff\n\n\n"],
    "stray lines": ["a\n" * 1000],
    "stray 100 KB": ["x" * 100000],
    "april low": ["--encoding", "april", "--think", "nothing"],
    "system of messages": ["--messages", "-", "--system", "x"],
}

GOOD_FLAGS = {
    "plain": [],
    "temperature 1e308": ["--temperature", "1e308", "--seed", "1"],
    "temperature tiny": ["--temperature", "1e-300"],
    "top-p tiny": ["--top-p", "1e-300"],
    "cuts": ["--top-k", str(2**63 - 1), "--min-p", "1", "--seed", "1"],
    "penalties": ["--frequency-penalty", "-2", "--presence-penalty", "2", "--seed", "1", "--max-tokens", "20"],
    "logit-bias": ["--logit-bias", "5=-100", "--logit-bias", "0=+100", "--max-tokens", "3"],
    "seed 2^64-1": ["--seed", str(2**64 - 1)],
    "max-tokens huge": ["--max-tokens", str(2**63 - 1), "--context", "30"],
    "stop": ["--stop", "zzz", "--stop", "\n"],
    "system": ["--system", "Be brief."],
    "system empty": ["--system", ""],
    "think max": ["--think", "max"],
    "april": ["--encoding", "april", "--think", "high"],
    "exact": ["--arithmetic", "exact"],
    "context exact": ["--context", "12"],
    "threads 1": ["--threads", "1"],
    "threads 64": ["--threads", "64"],
    "raw": ["--raw"],
    "noise": ["--temperature", "50", "--seed", "3", "--max-tokens", "60"],
}

BAD_CONFIGS = {
    "empty": b"",
    "half": b'{"temperature',
    "array": b"[]",
    "deep": DEEP,
    "invalid": b'{"x": "\xff"}',
    "temperature text": {"temperature": "1"},
    "temperature -1": {"temperature": -1},
    "temperature 1e999": b'{"temperature": 1e999}',
    "temperature NaN": b'{"temperature": NaN}',
    "top_p 2": {"top_p": 2},
    "top_p true": {"top_p": True},
    "eos text": {"eos_token_id": "x"},
    "eos -1": {"eos_token_id": -1},
    "eos 2^40": {"eos_token_id": 2**40},
    "eos nested": {"eos_token_id": [[1]]},
    "folder": None,
}

GOOD_CONFIGS = {
    "missing": None,
    "object": {},
    "nulls": {"temperature": None, "top_p": None, "eos_token_id": None},
    "unknown": {"do_sample": True, "x": [1]},
    "eos list": {"eos_token_id": [1, 2]},
    "eos empty": {"eos_token_id": []},
}


class BadGenerations(program.Case):
    def test_flags(self):
        trials = [
            Trial("generate " + name, ["generate", "--model", MODEL, "--prompt", "a", *flags], b"", None, output=b"") for name, flags in BAD_FLAGS.items()
        ]
        for name, flags in GOOD_FLAGS.items():
            given = [flag for flag in ("--temperature", "--max-tokens") if flag not in flags]
            arguments = ["generate", "--json", "--model", MODEL, "--prompt", "35+4", *flags]
            arguments += [word for flag in given for word in (flag, {"--temperature": "0", "--max-tokens": "3"}[flag])]
            trials.append(Trial("good " + name, arguments, b"", 0, output=one_object))
        run_all(self, trials)

    def test_prompts(self):
        prompts = {
            "none": [],
            "empty": ["--prompt", ""],
            "invalid": ["--prompt", b"a\xff"],
            "longer than the context": ["--prompt", "word " * 500, "--context", "20"],
            "just longer": ["--prompt", "35+4", "--context", "7"],
            "absent messages": ["--messages", self.folder / "absent"],
            "absent tokens": ["--tokens", self.folder / "absent"],
            "folder": ["--tokens", self.folder],
            "empty messages": ["--messages", self.file("a", b"")],
            "deep messages": ["--messages", self.file("b", DEEP)],
            "empty tokens": ["--tokens", self.file("c", b"")],
            "no tokens": ["--tokens", self.file("d", [])],
            "deep tokens": ["--tokens", self.file("e", DEEP)],
            "id of nobody": ["--tokens", self.file("f", [0, 99999999])],
            "id 2^64": ["--tokens", self.file("g", b"[18446744073709551616]")],
            "id negative": ["--tokens", self.file("h", [-1])],
            "messages of nobody": ["--messages", self.file("i", [{"role": "x", "content": "y"}])],
            "raw messages": ["--messages", self.file("j", []), "--raw"],
            "tokens of text": ["--tokens", self.file("k", ["1"])],
            "tokens and system": ["--tokens", self.file("l", [1]), "--system", "x"],
            "tokens invalid": ["--tokens", self.file("m", b"[1\xff]")],
            "tokens then more": ["--tokens", self.file("n", b"[1] [2]")],
            "one object": ["--tokens", self.file("o", {"a": 1})],
            "messages from empty input": ["--messages", "-"],
        }
        trials = [
            Trial(
                "prompt " + name,
                ["generate", "--model", MODEL, *flags],
                b"",
                None,
                says={"longer than the context": ("20",), "just longer": ("7", "8")}.get(name, ()),
                output=b"",
            )
            for name, flags in prompts.items()
        ]
        prompt = json.dumps([{"role": "user", "content": "35+4"}])
        trials.append(Trial("good messages from input", [*GENERATE, "--messages", "-", "--max-tokens", "4"], prompt, 0, output=ANSWER))
        trials.append(
            Trial("good dspark", ["generate", "--model", DSPARK, "--tokens", DSPARK / "tokens.json", "--max-tokens", "3", "--json"], b"", 0, output=one_object)
        )
        trials.append(Trial("dspark prompt", ["generate", "--model", DSPARK, "--prompt", "a"], b"", None, ("tokenizer.json",), b""))
        trials.append(
            Trial("good odd words", [*GENERATE, "--prompt", "\x01" + "\u202e😀" + "e\u0301" * 50, "--max-tokens", "2", "--json"], b"", 0, output=one_object)
        )
        run_all(self, trials)

    def test_generation_configs(self):
        trials = []
        for name, content in BAD_CONFIGS.items():
            folder = variant(self.folder / ("bad " + name), generation_config=content)
            if content is None:
                (folder / "generation_config.json").mkdir()
            trials.append(Trial("generation config " + name, ["generate", "--model", folder, "--prompt", "35+4"], b"", None, ("generation_config.json",), b""))
        for name, content in GOOD_CONFIGS.items():
            folder = variant(self.folder / ("good " + name), generation_config=content)
            trials.append(
                Trial(
                    "generation config " + name,
                    ["generate", "--model", folder, "--prompt", "35+4", "--temperature", "0", "--max-tokens", "4"],
                    b"",
                    0,
                    output=ANSWER,
                )
            )
        run_all(self, trials)

    def test_tokenizers_that_do_not_fit(self):
        trials = []
        larger = json.loads(json.dumps(TOKENIZER))
        larger["added_tokens"].append({**larger["added_tokens"][-1], "id": 2048, "content": "<beyond>"})
        beyond = variant(self.folder / "larger tokenizer", tokenizer=larger)
        trials.append(
            Trial(
                "good larger tokenizer", ["generate", "--model", beyond, "--prompt", "35+4", "--temperature", "0", "--max-tokens", "4"], b"", 0, output=ANSWER
            )
        )
        trials.append(Trial("id beyond the vocabulary", ["generate", "--model", beyond, "--prompt", "a<beyond>"], b"", 2, ("2048",), b""))
        trials.append(Trial("score beyond the vocabulary", ["score", "--model", beyond], b"a<beyond>", 2, ("2048",), b""))
        trials.append(
            Trial(
                "chat beyond the vocabulary", ["chat", "--model", beyond, "--temperature", "0", "--max-tokens", "4"], b"a<beyond>\n35+4\n", 2, ("2048",), ANSWER
            )
        )
        run_all(self, trials)

    def test_tokenizers_that_are_missing_or_damaged(self):
        ids, few = self.file("ids", [0, 5]), ["--temperature", "0", "--max-tokens", "3", "--json"]
        none = variant(self.folder / "no tokenizer", tokenizer=None)
        trials = [Trial("no tokenizer but ids", ["generate", "--model", none, "--tokens", ids, *few], b"", 0, output=one_object)]
        for command in ("chat", "score"):
            trials.append(
                Trial(
                    "no tokenizer " + command,
                    [command, "--model", variant(self.folder / ("none for " + command), tokenizer=None)],
                    b"a",
                    None,
                    ("tokenizer.json",),
                    b"",
                )
            )
            trials.append(
                Trial(
                    "damaged tokenizer " + command,
                    [command, "--model", variant(self.folder / ("bad for " + command), tokenizer=b"{")],
                    b"a",
                    None,
                    ("tokenizer.json",),
                    b"",
                )
            )
        trials.append(
            Trial(
                "damaged tokenizer and ids",
                ["generate", "--model", variant(self.folder / "bad ids", tokenizer=b"{"), "--tokens", self.file("ids2", [0, 5])],
                b"",
                None,
                ("tokenizer.json",),
                b"",
            )
        )
        run_all(self, trials)


if __name__ == "__main__":
    unittest.main()
