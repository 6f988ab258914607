"""Schemas, patterns and grammars that are made to hurt: answered or refused within 5 s, and nobody else suffers (promise 33)."""

import json
import threading
import time
import unittest

import server_process

MOST_SECONDS = 5


def deep(levels):
    schema = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


def objects(levels, width):
    schema = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {f"k{i}": schema for i in range(width)}}
    return schema


def strict(schema):
    return {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object", "properties": {"a": schema}, "required": ["a"]}, "strict": True}}


def of_refs(count):
    definitions = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{(i * 7 + j) % count}"} for j in range(1, 4)] + [{"type": "null"}]} for i in range(count)}
    return {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": {"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": definitions}}}


ATTACKS = {
    "deep": strict(deep(25)), "wide": strict({"type": "object", "properties": {f"k{i}": {"type": "string"} for i in range(3000)}}), "bushy": strict(objects(5, 5)),
    "huge enum": strict({"enum": [f"value number {i}" for i in range(20000)]}), "long enum": strict({"enum": ["x" * 50000, "y" * 50000]}),
    "itself": {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": {"$ref": "#"}}},
    "a ring": {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}}},
    "refs": of_refs(200), "all of": strict({"allOf": [{"type": "object", "properties": {f"k{i}": {"type": "string"}}} for i in range(200)]}),
    "any of": strict({"anyOf": [{"type": "array", "items": {"const": i}} for i in range(2000)]}),
    "many items": strict({"type": "array", "items": {"type": "string"}, "minItems": 100000}), "long text": strict({"type": "string", "minLength": 10**9}),
    "counted": strict({"type": "string", "pattern": "^(a{1,1000}){1,1000}$"}), "numbers": strict({"type": "integer", "minimum": -10**30, "maximum": 10**30}),
    "stars": {"type": "regex", "pattern": "(a*)*" * 50 + "b"}, "nested stars": {"type": "regex", "pattern": "(" * 200 + "a" + ")*" * 200},
    "a bomb": {"type": "regex", "pattern": "((((((a{1,50}){1,50}){1,50}){1,50}){1,50}){1,50}"}, "optional": {"type": "regex", "pattern": "(x?){500}x{500}"},
    "alternatives": {"type": "regex", "pattern": "|".join(f"word{i}" for i in range(5000))}, "any": {"type": "regex", "pattern": ".*.*.*.*.*.*.*.*x"},
    "unicode": {"type": "regex", "pattern": "[\\u0000-\\uffff]{1000}"}, "grammar": {"type": "grammar", "grammar": 'root ::= root root | "a"'},
    "empty rules": {"type": "grammar", "grammar": "root ::= a a a a\na ::= b b b b\nb ::= c c c c\nc ::= \"\" | c c"},
    "long grammar": {"type": "grammar", "grammar": "root ::= r0\n" + "".join(f'r{i} ::= "a" r{i + 1} | "b" r{i + 1}\n' for i in range(1500)) + 'r1500 ::= "c"'},
}


class Attacks(server_process.Case):
    def neighbour(self, times, stop):
        while not stop.is_set():
            began = time.monotonic()
            answer = self.server.chat("35+4", max_tokens=8)
            times.append((time.monotonic() - began, answer.status))

    def test_are_answered_in_time_and_harm_nobody(self):
        times, stop = [], threading.Event()
        other = threading.Thread(target=self.neighbour, args=(times, stop))
        other.start()
        before, slowest, refused = self.server.resident_bytes(), (0, ""), 0
        try:
            for name, form in ATTACKS.items():
                began = time.monotonic()
                answer = self.server.chat("Give me an example.", response_format=form, max_tokens=24)
                took = time.monotonic() - began
                slowest = max(slowest, (took, name))
                self.assertIn(answer.status, (200, 400, 422), (name, answer.body[:300]))
                if answer.status == 200:
                    self.assertIn(answer.json["choices"][0]["finish_reason"], ("stop", "length"), name)
                    if answer.json["choices"][0]["finish_reason"] == "stop" and form["type"] == "json_schema":
                        json.loads(answer.json["choices"][0]["message"]["content"])
                else:
                    refused += 1
                    self.assertRegex(answer.error["message"], "response_format|schema|pattern|grammar", name)
                self.assertLess(took, MOST_SECONDS, name)
        finally:
            stop.set()
            other.join()
        self.assertEqual({status for _, status in times}, {200})
        self.assertLess(max(took for took, _ in times), MOST_SECONDS)
        self.assertLess(self.server.resident_bytes() - before, 2 << 30)
        print(f"{len(ATTACKS)} attacks, {refused} refused, the slowest {slowest[1]} with {slowest[0]:.2f} s; {len(times)} neighbours, at most {max(times)[0]:.2f} s")

    def test_at_once(self):
        answers = server_process.at_once(lambda name: self.server.chat("Give me an example.", response_format=ATTACKS[name], max_tokens=8), list(ATTACKS))
        for name, answer in zip(ATTACKS, answers):
            self.assertIn(answer.status, (200, 400, 422), name)
        self.assertEqual(self.server.chat().status, 200)


if __name__ == "__main__":
    unittest.main()
