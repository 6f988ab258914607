"""The OpenAPI document names the routes that there are, and no others."""

import pathlib
import re
import unittest

import server_process
from server_process import REPOSITORY

SOURCES = [REPOSITORY / "src" / "server" / name for name in ("completion_endpoints.cc", "plain_endpoints.cc")]
OF_THE_PAGE = {"/"}
KEY = "the-operators-own-key"


def routes():
    """{path: method} of the routes that the sources add, as the document writes them."""
    found = {}
    for source in SOURCES:
        for line in re.sub(r"//[^\n]*", "", source.read_text()).splitlines():
            if not re.search(r"AddDialect\(service|router\.Add\(|open\(|keyed\(|for \(const char\* path", line):
                continue
            for path in re.findall(r'"(/[^"]*)"', line):
                found[path.replace("/*", "/{model}")] = "post" if source.name.startswith("completion") else "get"
    return {path: method for path, method in found.items() if path not in OF_THE_PAGE}


class Document(server_process.Case):
    FLAGS = ("--api-key", KEY)
    HEADERS = {"authorization": f"Bearer {KEY}"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.document = cls.server.get("/openapi.json", headers=cls.HEADERS).json

    def test_paths_are_the_routes(self):
        documented = {path: next(iter(item)) for path, item in self.document["paths"].items()}
        self.assertGreater(len(documented), 25)
        self.assertEqual(documented, routes())

    def test_every_route_answers_as_documented(self):
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                real = path.replace("{model}", "plankton")
                status = self.server.call(method.upper(), real, {} if method == "post" else None).status
                open_to_all = operation.get("security") == []
                self.assertEqual(status, 200 if open_to_all else 401, path)
                status = self.server.call(method.upper(), real, {} if method == "post" else None, headers=self.HEADERS).status
                self.assertIn(str(status), operation["responses"], path)
                self.assertNotEqual(status, 405, path)

    def test_references_lead_somewhere_and_every_part_is_used(self):
        used = set()

        def walk(value):
            if isinstance(value, dict):
                if "$ref" in value:
                    used.add(value["$ref"])
                    at = self.document
                    for step in value["$ref"].removeprefix("#/").split("/"):
                        at = at[step]
                for inside in value.values():
                    walk(inside)
            elif isinstance(value, list):
                for inside in value:
                    walk(inside)

        walk(self.document)
        for kind in ("schemas", "responses", "requestBodies"):
            for name in self.document["components"][kind]:
                self.assertIn(f"#/components/{kind}/{name}", used)

    def called(self, arguments):
        """The status of a conversation with a call whose arguments are these."""
        turns = [{"role": "user", "content": "1+1"}, {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": arguments}}]},
                 {"role": "tool", "tool_call_id": "a", "content": "2"}]
        return self.server.chat(messages=turns, max_tokens=1, headers=self.HEADERS).status

    def test_arguments_that_are_not_an_object(self):
        refused = re.compile(self.document["components"]["schemas"]["Arguments"]["not"]["pattern"])
        for text in "0", " -1.5e3\n", "true", "null", "NaN", "-Infinity", '"a\\u00e9"', "[ ]":
            self.assertRegex(text, refused)
            self.assertEqual(self.called(text), 400, text)
        for text in "", "{}", '{"a": 1}', "00", "0x", "-", "\u0663", "nul", '"a', "[1", "{":
            self.assertNotRegex(text, refused)
            self.assertEqual(self.called(text), 200, text)

    def test_keywords_that_cannot_be_enforced(self):
        refused = self.document["components"]["schemas"]["JsonSchema"]["propertyNames"]["not"]["enum"]
        known = (REPOSITORY / "src" / "constraint" / "schema_check.cc").read_text()
        self.assertEqual(refused, re.findall(r'\{"([^"]+)", \{kRefused', known))
        for keyword in refused:
            answer = self.server.chat(response_format={"type": "json_schema", "json_schema": {"schema": {keyword: {}}}}, max_tokens=1, headers=self.HEADERS)
            self.assertEqual(answer.status, 400, keyword)

    def test_two_tools_of_one_name(self):
        turn, schema = [{"role": "user", "content": "1+1"}], {"type": "object"}
        for path, tool, field in (("/v1/chat/completions", {"type": "function", "function": {"name": "f"}}, "tools[1].function.name"),
                                  ("/v1/responses", {"type": "function", "name": "f", "parameters": schema}, "tools[1].name"),
                                  ("/v1/messages", {"name": "f", "input_schema": schema}, "tools[1].name")):
            self.assertIn("409", self.document["paths"][path]["post"]["responses"])
            body = {"model": "plankton", "input" if path == "/v1/responses" else "messages": turn, "max_tokens": 1, "tools": [tool, tool]}
            answer = self.server.post(path, body, headers=self.HEADERS)
            self.assertEqual((answer.status, answer.headers.get("x-should-retry")), (409, "false"), path)
            self.assertIn(field, answer.body.decode())

    def test_the_key_is_asked_for_where_it_is_needed(self):
        self.assertNotIn({}, self.document["security"])
        server = server_process.Server()
        try:
            self.assertIn({}, server.get("/openapi.json").json["security"])
        finally:
            server.stop()


if __name__ == "__main__":
    unittest.main()
