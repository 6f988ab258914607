"""tokenize, detokenize, render and parse on input that is damaged, hostile or merely unusual."""

import copy
import json
import os
import unittest

import program
from program import REPOSITORY
from trial import Trial, run_all

GOLDEN = REPOSITORY / "tests" / "golden" / "text"
TOKENIZER = json.loads((GOLDEN / "tokenizer.json").read_text())
DEEP = b"[" * 100000
INVALID_UTF8 = {
    "continuation": b"a\x80b",
    "overlong": b"\xc0\xaf",
    "overlong-3": b"\xe0\x80\xaf",
    "surrogate": b"\xed\xa0\x80",
    "too-large": b"\xf4\x90\x80\x80",
    "cut": b"ab\xe4\xb8",
    "ff": b"\xff\xfe",
    "f5": b"\xf5\x80\x80\x80",
    "lead-then-letter": b"\xc3a",
}


def changed(change):
    """The tokenizer after `change`, which gets a copy and may return another document."""
    document = copy.deepcopy(TOKENIZER)
    return json.dumps(change(document) or document).encode()


def at(*path, value):
    def change(document):
        place = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def without(*path):
    def change(document):
        place = document
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return change


def special(content):
    """The place of an added token."""
    return next(i for i, token in enumerate(TOKENIZER["added_tokens"]) if token["content"] == content)


WHOLE = json.dumps(TOKENIZER).encode()
A_MERGE = TOKENIZER["model"]["merges"][0]
PAIR = A_MERGE.split(" ") if isinstance(A_MERGE, str) else A_MERGE
AS_PAIRS = [merge.split(" ") if isinstance(merge, str) else merge for merge in TOKENIZER["model"]["merges"]]
AS_TEXTS = [" ".join(pair) for pair in AS_PAIRS]
BEGIN = "<｜begin▁of▁sentence｜>"

DAMAGED_TOKENIZERS = {
    "empty": b"",
    "half": WHOLE[: len(WHOLE) // 2],
    "last-byte-missing": WHOLE[:-1],
    "array": b"[]",
    "null": b"null",
    "number": b"1",
    "string": b'"x"',
    "no-keys": b"{}",
    "deep-arrays": DEEP,
    "deep-objects": b'{"a":' * 100000,
    "deep-in-model": b'{"model":' + DEEP,
    "invalid-utf8": WHOLE.replace(b'"BPE"', b'"B\xff"'),
    "nul-bytes": bytes(1000),
    "bom": b"\xef\xbb\xbf" + WHOLE,
    "utf16": WHOLE.decode().encode("utf-16"),
    "trailing": WHOLE + b"x",
    "two": WHOLE + WHOLE,
    "single-quotes": b"{'model': 1}",
    "repeated-vocab": WHOLE.replace(b'"merges"', b'"vocab": {}, "merges"', 1),
    "repeated-model": b'{"model": {},' + WHOLE[1:],
    "wordpiece": changed(at("model", "type", value="WordPiece")),
    "unigram": changed(at("model", "type", value="Unigram")),
    "type-number": changed(at("model", "type", value=3)),
    "byte-fallback": changed(at("model", "byte_fallback", value=True)),
    "dropout": changed(at("model", "dropout", value=0.1)),
    "ignore-merges": changed(at("model", "ignore_merges", value=True)),
    "subword-prefix": changed(at("model", "continuing_subword_prefix", value="##")),
    "word-suffix": changed(at("model", "end_of_word_suffix", value="</w>")),
    "model-missing": changed(without("model")),
    "model-array": changed(at("model", value=[])),
    "model-null": changed(at("model", value=None)),
    "vocab-missing": changed(without("model", "vocab")),
    "vocab-array": changed(at("model", "vocab", value=[["a", 0]])),
    "vocab-empty": changed(at("model", "vocab", value={})),
    "vocab-null": changed(at("model", "vocab", value=None)),
    "merges-missing": changed(without("model", "merges")),
    "merges-object": changed(at("model", "merges", value={})),
    "merges-text": changed(at("model", "merges", value="a b")),
    "merge-number": changed(at("model", "merges", 0, value=1)),
    "merge-one-word": changed(at("model", "merges", 0, value="ab")),
    "merge-three-words": changed(at("model", "merges", 0, value="a b c")),
    "merge-empty": changed(at("model", "merges", 0, value="")),
    "merge-space": changed(at("model", "merges", 0, value=" ")),
    "merge-triple": changed(at("model", "merges", 0, value=["a", "b", "c"])),
    "merge-pair-of-numbers": changed(at("model", "merges", 0, value=[1, 2])),
    "merge-unknown-left": changed(at("model", "merges", 0, value="zzqqxx a")),
    "merge-unknown-joined": changed(at("model", "merges", 0, value=["~", "}"])),
    "merge-null": changed(at("model", "merges", 0, value=None)),
    "merge-huge": changed(at("model", "merges", 0, value="a" * 5000000 + " b")),
    "id-negative": changed(at("model", "vocab", PAIR[0], value=-1)),
    "id-2^31": changed(at("model", "vocab", PAIR[0], value=2**31)),
    "id-2^64": changed(at("model", "vocab", PAIR[0], value=2**64)),
    "id-billion": changed(at("model", "vocab", PAIR[0], value=10**9)),
    "id-int-max": changed(at("model", "vocab", PAIR[0], value=2**31 - 1)),
    "id-text": changed(at("model", "vocab", PAIR[0], value="7")),
    "id-fraction": changed(at("model", "vocab", PAIR[0], value=1.5)),
    "id-null": changed(at("model", "vocab", PAIR[0], value=None)),
    "id-repeated": changed(at("model", "vocab", PAIR[0], value=300)),
    "id-1e400": WHOLE.replace(b'"model"', b'"x": 1, "model"').replace(json.dumps(PAIR[0]).encode() + b": ", json.dumps(PAIR[0]).encode() + b": 1e400", 1),
    "byte-missing": changed(without("model", "vocab", "Ċ")),
    "letter-missing": changed(without("model", "vocab", "a")),
    "added-object": changed(at("added_tokens", value={})),
    "added-empty": changed(at("added_tokens", value=[])),
    "added-missing": changed(without("added_tokens")),
    "added-null": changed(at("added_tokens", value=None)),
    "added-number": changed(at("added_tokens", 0, value=7)),
    "added-empty-content": changed(at("added_tokens", 3, "content", value="")),
    "added-no-content": changed(without("added_tokens", 0, "content")),
    "added-content-number": changed(at("added_tokens", 0, "content", value=1)),
    "added-no-id": changed(without("added_tokens", 0, "id")),
    "added-id-negative": changed(at("added_tokens", 0, "id", value=-5)),
    "added-id-text": changed(at("added_tokens", 0, "id", value="0")),
    "added-id-billion": changed(at("added_tokens", 0, "id", value=10**9)),
    "added-id-2^63": changed(at("added_tokens", 0, "id", value=2**63)),
    "added-same-id": changed(at("added_tokens", 1, "id", value=0)),
    "added-lstrip": changed(at("added_tokens", 0, "lstrip", value=True)),
    "added-rstrip": changed(at("added_tokens", 0, "rstrip", value=True)),
    "added-single-word": changed(at("added_tokens", 0, "single_word", value=True)),
    "added-long": changed(at("added_tokens", 3, "content", value="x" * 2000000)),
    "added-other-id": changed(at("added_tokens", special("<think>"), "id", value=5000)),
    "added-takes-a-word": changed(at("added_tokens", special("<think>"), "id", value=TOKENIZER["model"]["vocab"]["a"])),
    "normalizer-nfkc": changed(at("normalizer", value={"type": "NFKC"})),
    "normalizer-text": changed(at("normalizer", value="NFC")),
    "normalizer-in-sequence": changed(at("normalizer", value={"type": "Sequence", "normalizers": [{"type": "Lowercase"}]})),
    "pre-missing": changed(without("pre_tokenizer")),
    "pre-null": changed(at("pre_tokenizer", value=None)),
    "pre-metaspace": changed(at("pre_tokenizer", value={"type": "Metaspace"})),
    "pre-empty": changed(at("pre_tokenizer", "pretokenizers", value=[])),
    "pre-number": changed(at("pre_tokenizer", "pretokenizers", 0, value=1)),
    "pre-other-regex": changed(at("pre_tokenizer", "pretokenizers", 0, "pattern", value={"Regex": "(a+)+$"})),
    "pre-string-pattern": changed(at("pre_tokenizer", "pretokenizers", 0, "pattern", value={"String": " "})),
    "pre-removed": changed(at("pre_tokenizer", "pretokenizers", 0, "behavior", value="Removed")),
    "pre-inverted": changed(at("pre_tokenizer", "pretokenizers", 0, "invert", value=True)),
    "pre-prefix-space": changed(at("pre_tokenizer", "pretokenizers", -1, "add_prefix_space", value=True)),
    "pre-use-regex": changed(at("pre_tokenizer", "pretokenizers", -1, "use_regex", value=True)),
    "pre-thousand": changed(at("pre_tokenizer", "pretokenizers", value=TOKENIZER["pre_tokenizer"]["pretokenizers"][:1] * 1000)),
    "pre-no-bytes": changed(lambda d: d["pre_tokenizer"]["pretokenizers"].pop() and None),
    "decoder-metaspace": changed(at("decoder", value={"type": "Metaspace"})),
    "decoder-text": changed(at("decoder", value="ByteLevel")),
    "decoder-number": changed(at("decoder", value=5)),
    "truncation": changed(at("truncation", value={"max_length": 3, "strategy": "LongestFirst", "stride": 0, "direction": "Right"})),
    "truncation-number": changed(at("truncation", value=5)),
    "padding": changed(at("padding", value={"strategy": {"Fixed": 8}, "direction": "Right", "pad_id": 2, "pad_token": "x", "pad_type_id": 0})),
    **{
        "no-" + name: changed(lambda d, name=name: d["added_tokens"].pop(special(name)) and None)
        for name in (BEGIN, "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<think>", "</think>", "｜DSML｜")
    },
}

GOOD_TOKENIZERS = {
    "as-it-is": WHOLE,
    "merges-as-pairs": changed(at("model", "merges", value=AS_PAIRS)),
    "merges-as-texts": changed(at("model", "merges", value=AS_TEXTS)),
    "indented": json.dumps(TOKENIZER, indent=4).encode(),
    "not-ascii": json.dumps(TOKENIZER, ensure_ascii=False).encode(),
    "no-version": changed(lambda d: d.pop("version", None) and None),
    "type-missing": changed(lambda d: d["model"].pop("type", None) and None),
    "normalizer-null": changed(at("normalizer", value=None)),
    "normalizer-missing": changed(lambda d: d.pop("normalizer", None) and None),
    "truncation-null": changed(at("truncation", value=None)),
    "unknown-key": changed(at("made_by", value={"x": [1, None, 1e300]})),
    "keys-reversed": changed(lambda d: dict(reversed(d.items()))),
    "crlf": json.dumps(TOKENIZER, indent=1).replace("\n", "\r\n").encode(),
    "post-processor-null": changed(at("post_processor", value=None)),
}

CONFIGS = {  # name: (content, refused)
    "empty": (b"", True),
    "half": (b'{"bos_token": "', True),
    "array": (b"[]", True),
    "deep": (DEEP, True),
    "invalid-utf8": (b'{"a": "\xff"}', True),
    "bos-number": (b'{"bos_token": 5}', True),
    "bos-unknown": (b'{"bos_token": "<s>"}', True),
    "eos-unknown": (b'{"eos_token": {"content": "</s>"}}', True),
    "bos-empty": (b'{"bos_token": ""}', True),
    "bos-object": (b'{"bos_token": {"lstrip": false}}', True),
    "folder": (None, True),
    "no-keys": (b"{}", False),
    "nulls": (b'{"bos_token": null, "eos_token": null}', False),
    "object": (json.dumps({"bos_token": {"__type": "AddedToken", "content": BEGIN}}).encode(), False),
}


def is_json(check):
    return lambda output: check(json.loads(output))


def lines(check):
    return lambda output: check([json.loads(line) for line in output.decode().split("\n")[:-1]])


def refused_lines(count):
    """Every one of the lines is {"error": "…"}."""
    return lines(lambda found: len(found) == count and all(list(line) == ["error"] and line["error"] for line in found))


class BadTokenizers(program.Case):
    def model(self, name, tokenizer, config=b'{"add_bos_token": false}'):
        folder = self.folder / name.replace("/", "_")
        folder.mkdir()
        if tokenizer is not None:
            (folder / "tokenizer.json").write_bytes(tokenizer)
        if config is None:
            (folder / "tokenizer_config.json").mkdir()
        else:
            (folder / "tokenizer_config.json").write_bytes(config)
        return folder

    def test_damaged(self):
        trials = [
            Trial(name, ["tokenize", "--json", "--model", self.model(name, content)], "hello", says=("tokenizer.json",), output=b"")
            for name, content in DAMAGED_TOKENIZERS.items()
        ]
        trials += [
            Trial("config " + name, ["tokenize", "--json", "--model", self.model("c" + name, WHOLE, content)], "hello", says=("token",), output=b"")
            for name, (content, refused) in CONFIGS.items()
            if refused
        ]
        (self.folder / "loop").symlink_to("loop")
        (self.folder / "dangling").mkdir()
        (self.folder / "dangling" / "tokenizer.json").symlink_to("nowhere")
        (self.folder / "pipe").mkdir()
        os.mkfifo(self.folder / "pipe" / "tokenizer.json")
        (self.folder / "inside").mkdir()
        (self.folder / "inside" / "tokenizer.json").mkdir()
        places = {
            "absent": self.folder / "absent",
            "loop": self.folder / "loop",
            "file": GOLDEN / "tokenizer.json",
            "no tokenizer": self.folder / "loop" / "..",
            "no file": self.model("nofile", None),
            "dangling": self.folder / "dangling",
            "pipe": self.folder / "pipe",
            "folder": self.folder / "inside",
            "device": "/dev/null",
            "empty name": "",
            "hub id": "nobody/nothing",
            "hub escape": "../../etc",
            "three parts": "a/b/c",
            "not utf-8": b"\xff\xfe",
            "line end": "a\nb",
            "long": "x" * 100000,
            "longer than a path": "x/" * 3000,
        }
        trials += [Trial("place " + name, ["tokenize", "--json", "--model", place], "hello", output=b"") for name, place in places.items()]
        run_all(self, trials)

    def test_good(self):
        ids = self.answered(program.run("tokenize", "--json", "--model", GOLDEN, text="hello 你好 <think>1234")).encode()
        trials = [
            Trial(name, ["tokenize", "--json", "--model", self.model(name, content)], "hello 你好 <think>1234", 0, output=ids)
            for name, content in GOOD_TOKENIZERS.items()
        ]
        trials += [
            Trial("config " + name, ["tokenize", "--json", "--model", self.model("c" + name, WHOLE, content)], "hello 你好 <think>1234", 0, output=ids)
            for name, (content, refused) in CONFIGS.items()
            if not refused
        ]
        alone = self.model("alone", WHOLE)
        (alone / "tokenizer_config.json").unlink()
        (self.folder / "link").symlink_to(alone)
        for name, place in {"no config": alone, "slash": f"{alone}/", "dots": alone / ".." / "alone", "link": self.folder / "link"}.items():
            trials.append(Trial(name, ["tokenize", "--json", "--model", place], "hello 你好 <think>1234", 0, output=ids))
        run_all(self, trials)


PLAIN, BY_LINE = ["tokenize", "--json", "--model", GOLDEN], ["tokenize", "--json", "--lines", "--model", GOLDEN]

UNUSUAL_TEXTS = {
    "nul": b"a\0b\0",
    "crlf": b"a\r\nb\r\n",
    "bom": b"\xef\xbb\xbfhello",
    "no line end": b"abc",
    "controls": bytes(range(1, 32)),
    "last plane": "\U0010ffff\uffff\ufdd0".encode(),
    "marks": ("e" + "\u0301" * 50).encode(),
    "joined emoji": "👩‍👩‍👧‍👦🏳️‍🌈".encode(),
    "right to left": "\u202eabc\u202c שלום".encode(),
}

REPEATED_TEXTS = {
    "one letter": b"a",
    "spaces": b" ",
    "line ends": b"\n",
    "emoji": "😀".encode(),
    "marks": "\u0301".encode(),
    "digits": b"7",
    "ideographs": "鲸".encode(),
    "signs": b"!",
    "crlf": b"\r\n",
    "nul": b"\0",
    "half tokens": "<｜begin▁of".encode(),
    "specials": b"<think>",
    "words": b"the quick brown fox ",
    "tabs and spaces": b"\t ",
}

BAD_LINES = [
    b"",
    b"x",
    b"1",
    b"null",
    b"{}",
    b"[]",
    b"true",
    b"'a'",
    b'"',
    b'"a',
    b'a"',
    b'"\\ud800"',
    b'"\\udc00\\ud800"',
    b'"\\u12"',
    b'"\\x41"',
    b'"\ta"',
    DEEP,
    b'{"a":' * 50000,
    b"9" * 100000,
    b"1e999999999",
    b"NaN",
    b'"a" "b"',
    b'"a",',
    b'\xef\xbb\xbf"a"',
    b"\0",
]

GOOD_LINES = [
    b'""',
    b'"a"',
    b' "a" ',
    b'"a"\r',
    b'"\\ud83d\\ude00"',
    b'"\\u0000"',
    b'"' + b"a" * 1_000_000 + b'"',
    b'"\\/"',
    b'"\x7f"',
    '"\u2028"'.encode(),
]

VOCABULARY = max([*TOKENIZER["model"]["vocab"].values(), *(token["id"] for token in TOKENIZER["added_tokens"])]) + 1
BAD_IDS = {
    "empty": b"",
    "space": b" ",
    "object": b"{}",
    "number": b"5",
    "text": b'"a"',
    "null": b"null",
    "negative": b"[-1]",
    "fraction": b"[1.5]",
    "whole fraction": b"[1.0]",
    "exponent": b"[1e1]",
    "too large": f"[0, {VOCABULARY}]".encode(),
    "2^31": b"[2147483648]",
    "2^63": b"[9223372036854775808]",
    "2^64": b"[18446744073709551616]",
    "huge": b"[" + b"9" * 100000 + b"]",
    "nested": b"[[1]]",
    "text inside": b'["1"]',
    "null inside": b"[null]",
    "true inside": b"[true]",
    "NaN": b"[NaN]",
    "Infinity": b"[Infinity]",
    "half": b"[1, 2",
    "comma": b"[1, 2,]",
    "two": b"[1][2]",
    "deep": DEEP,
    "hexadecimal": b"[0x10]",
    "leading zero": b"[01]",
    "plus": b"[+1]",
    "invalid utf8": b"[1\xff]",
    "bom": b"\xef\xbb\xbf[1]",
    "nul": b"[1]\0",
    "plain words": b"1 2 3",
    "-0.0": b"[-0.0]",
}


class BadText(program.Case):
    def test_tokenize(self):
        trials = [Trial("raw " + name, PLAIN, text, 2, ("standard input", "UTF-8"), b"") for name, text in INVALID_UTF8.items()]
        trials += [
            Trial("line " + name, BY_LINE, b'"' + text + b'"\n"a"\n', 0, output=lines(lambda found: "error" in found[0] and isinstance(found[1], list)))
            for name, text in INVALID_UTF8.items()
        ]
        trials.append(Trial("empty", PLAIN, b"", 0, output=b"[]\n"))
        trials.append(Trial("empty table", PLAIN[:1] + PLAIN[2:], b"", 0, output=b""))
        trials.append(Trial("table", PLAIN[:1] + PLAIN[2:], b"a\nb", 0, output=lambda found: found.count(b"\n") == 3))
        for name, text in UNUSUAL_TEXTS.items():
            trials.append(Trial("valid " + name, PLAIN, text, 0, output=is_json(lambda found: len(found) > 0)))
            there = program.run("tokenize", "--json", "--model", GOLDEN, text=text)
            self.assertEqual(program.run("detokenize", "--model", GOLDEN, text=there.stdout).stdout, text, name)
        run_all(self, trials)

    def test_tokenize_large(self):
        trials = []
        for name, unit in REPEATED_TEXTS.items():
            trials.append(
                Trial(
                    "10 MB of " + name,
                    PLAIN,
                    unit * (10_000_000 // len(unit)),
                    0,
                    output=lambda found: found.startswith(b"[") and found.endswith(b"]\n") and len(found) > 1000,
                )
            )
        run_all(self, trials)

    def test_tokenize_lines(self):
        trials = [Trial("bad lines", BY_LINE, b"\n".join(BAD_LINES) + b"\n", 0, output=refused_lines(len(BAD_LINES)))]
        trials.append(
            Trial(
                "good lines",
                BY_LINE,
                b"\n".join(GOOD_LINES),
                0,
                output=lines(lambda found: len(found) == len(GOOD_LINES) and all(isinstance(line, list) for line in found) and found[0] == []),
            )
        )
        ends = json.dumps("a\u2028b\u2029c\x85d")
        there = self.answered(program.run("tokenize", "--lines", "--model", GOLDEN, text=ends))
        back = self.answered(program.run("detokenize", "--lines", "--model", GOLDEN, text=there))
        self.assertEqual((json.loads(back), len(back.splitlines())), (json.loads(ends), 1))
        trials.append(Trial("no lines", BY_LINE, b"", 0, output=b""))
        trials.append(Trial("many lines", BY_LINE, b'"ab"\n' * 300000, 0, output=lambda found: found.count(b"\n") == 300000))
        trials.append(Trial("line of 40 MB", BY_LINE, b'"' + b"word " * 8_000_000 + b'"', 0, output=lambda found: found.endswith(b"]\n")))
        run_all(self, trials)

    def test_detokenize(self):
        plain, by_line = ["detokenize", "--model", GOLDEN], ["detokenize", "--lines", "--model", GOLDEN]
        trials = [Trial("raw " + name, plain, text, 2, output=b"") for name, text in BAD_IDS.items()]
        one_line = [text for name, text in BAD_IDS.items() if name != "empty"]
        trials.append(Trial("lines", by_line, b"\n".join(one_line), 0, output=refused_lines(len(one_line))))
        trials.append(Trial("empty array", plain, b"[]", 0, output=b""))
        trials.append(Trial("white space", plain, b" [ ]\r\n\t", 0, output=b""))
        trials.append(Trial("empty array in a line", by_line, b"[]\n[]", 0, output=b'""\n""\n'))
        part = [TOKENIZER["model"]["vocab"][name] for name in ("ä", "½")]  # the bytes e4 bd
        trials.append(Trial("cut character raw", plain, json.dumps(part), 0, output=b"\xe4\xbd"))
        trials.append(Trial("cut character in a line", by_line, json.dumps(part), 0, output='"\ufffd"\n'.encode()))
        trials.append(Trial("million ids", plain, json.dumps([5] * 1_000_000), 0, output=lambda found: len(found) >= 1_000_000))
        run_all(self, trials)


if __name__ == "__main__":
    unittest.main()
