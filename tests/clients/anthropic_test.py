"""The anthropic SDK against a live server: Messages as its users call them."""

import json
import unittest

import anthropic
import server_process
from answers_first import AnswersFirst

TOOLS = [{"name": name, "description": f"{name} a word", "input_schema": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}} for name in ("look_up", "translate")]
ASK = [{"role": "user", "content": "Hello! What is 35+4?"}]
MODEL = "claude-of-the-test"


class Anthropic(server_process.Case):
    def setUp(self):
        self.client = self.connect_to(self.server)

    @staticmethod
    def connect_to(server, key="any", retries=0):
        return anthropic.Anthropic(base_url=f"http://127.0.0.1:{server.port}", api_key=key, max_retries=retries)

    @staticmethod
    def fields(**fields):
        return {"model": MODEL, "max_tokens": 200, "messages": ASK, "extra_body": {"seed": 3}, **fields}

    def create(self, **fields):
        return self.client.messages.create(**self.fields(**fields))


class Messages(Anthropic):
    def test_streamed_is_unstreamed(self):
        for thinking in ({"type": "enabled", "budget_tokens": 1024}, {"type": "disabled"}):
            fields = self.fields(thinking=thinking, max_tokens=2000)
            whole = self.client.messages.create(**fields)
            with self.client.messages.stream(**fields) as stream:
                kinds = [event.type for event in stream]
                final = stream.get_final_message()
            self.assertEqual(*([block.model_dump(exclude_none=True, exclude={"signature"}) for block in message.content] for message in (final, whole)))
            self.assertEqual((final.stop_reason, final.usage.output_tokens), (whole.stop_reason, whole.usage.output_tokens))
            self.assertEqual((kinds[0], kinds[-1]), ("message_start", "message_stop"))
            self.assertEqual(any(block.type == "thinking" for block in whole.content), thinking["type"] == "enabled")

    def test_tools_are_forced_and_answered(self):
        for choice, names in (({"type": "any"}, {"look_up", "translate"}), ({"type": "tool", "name": "translate"}, {"translate"})):
            message = self.create(tools=TOOLS, tool_choice={**choice, "disable_parallel_tool_use": True})
            self.assertEqual(message.stop_reason, "tool_use")
            uses = [block for block in message.content if block.type == "tool_use"]
            self.assertEqual(len(uses), 1)
            self.assertIn(uses[0].name, names)
            results = [{"type": "tool_result", "tool_use_id": uses[0].id, "content": [{"type": "text", "text": "a whale"}]}]
            second = self.create(messages=[*ASK, {"role": "assistant", "content": message.content}, {"role": "user", "content": results}], tools=TOOLS)
            self.assertIn(second.stop_reason, ("end_turn", "max_tokens", "tool_use"))

    def test_a_call_is_streamed_as_json(self):
        with self.client.messages.stream(**self.fields(tools=TOOLS, tool_choice={"type": "any", "disable_parallel_tool_use": True})) as stream:
            text = "".join(event.delta.partial_json for event in stream if event.type == "content_block_delta" and event.delta.type == "input_json_delta")
            final = stream.get_final_message()
        self.assertEqual(json.loads(text), final.content[-1].input)

    def test_stop_system_and_seed(self):
        text = self.create(system=[{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]).content[0].text
        self.assertEqual(self.create(system="Be kind.").content[0].text, text)
        stopped = self.create(system="Be kind.", stop_sequences=[text[1:3]])
        self.assertEqual((stopped.stop_reason, stopped.stop_sequence), ("stop_sequence", text[1:3]))

    def test_count_tokens_is_the_prompt(self):
        counted = self.client.messages.count_tokens(model=MODEL, messages=ASK, tools=TOOLS, system="Be kind.").input_tokens
        usage = self.create(tools=TOOLS, system="Be kind.").usage
        self.assertEqual(counted, usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens)

    def test_models(self):
        self.assertEqual([model.id for model in self.client.models.list()], ["plankton"])


class Errors(Anthropic):
    def test_classes(self):
        for error, fields in ((anthropic.NotFoundError, {"model": "gpt-0"}), (anthropic.BadRequestError, {"messages": []}), (anthropic.BadRequestError, {"extra_body": {"temperature": 9}})):
            with self.assertRaises(error) as caught:
                self.create(**fields)
            self.assertEqual(caught.exception.request_id, caught.exception.body["request_id"])

    def test_a_key_that_is_not_known(self):
        server = server_process.Server("--api-key", "right")
        try:
            with self.assertRaises(anthropic.AuthenticationError):
                self.connect_to(server, "wrong").messages.create(**self.fields())
            self.assertTrue(self.connect_to(server, "right").messages.create(**self.fields()).content)
        finally:
            server.stop()

    def test_the_sdk_tries_again_by_itself(self):
        server = server_process.Server("--max-requests", "1")
        try:
            stream = self.connect_to(server).messages.create(**self.fields(max_tokens=1500, stream=True, thinking={"type": "enabled", "budget_tokens": 1024}, messages=[{"role": "user", "content": "Count."}]))
            next(iter(stream))
            with AnswersFirst(stream):
                self.assertTrue(self.connect_to(server, retries=5).messages.create(**self.fields(max_tokens=4)).content)
        finally:
            server.stop()

    def test_closing_a_stream_frees_the_engine(self):
        stream = self.create(stream=True, max_tokens=30000, thinking={"type": "enabled", "budget_tokens": 1024}, extra_body={"temperature": 2})
        next(iter(stream))
        stream.close()
        self.assertTrue(self.server.wait_for_metric("baleen_requests_running", 0, seconds=4))


if __name__ == "__main__":
    unittest.main()
