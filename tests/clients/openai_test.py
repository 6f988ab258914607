"""The openai SDK against a live server: Chat Completions, Completions and Responses as its users call them."""

import json
import unittest

import openai
import pydantic
import server_process
from answers_first import AnswersFirst

TOOLS = [{"type": "function", "function": {"name": name, "description": f"{name} a word", "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}}}
         for name in ("look_up", "translate")]
ASK = [{"role": "user", "content": "Hello! What is 35+4?"}]
FLAT = [{"type": "function", **tool["function"]} for tool in TOOLS]
NO_THINKING = {"thinking": {"type": "disabled"}}


class Verdict(pydantic.BaseModel):
    good: bool
    grade: int


class OpenAi(server_process.Case):
    def setUp(self):
        self.client = openai.OpenAI(base_url=f"http://127.0.0.1:{self.server.port}/v1", api_key="any", max_retries=0)

    def chat(self, **fields):
        fields = {"model": "plankton", "messages": ASK, "max_tokens": 200, "seed": 3, "extra_body": NO_THINKING, **fields}
        return self.client.chat.completions.create(**fields)

    def respond(self, **fields):
        fields = {"model": "plankton", "input": "Hello! What is 35+4?", "max_output_tokens": 200, "reasoning": {"effort": "none"}, "extra_body": {"seed": 3}, **fields}
        return self.client.responses.create(**fields)


class Chat(OpenAi):
    def test_streamed_is_unstreamed(self):
        for thinking in ("enabled", "disabled"):
            whole = self.chat(extra_body={"thinking": {"type": thinking}}, n=2)
            texts, thoughts, finishes, usage = ["", ""], ["", ""], {}, None
            for chunk in self.chat(extra_body={"thinking": {"type": thinking}}, n=2, stream=True, stream_options={"include_usage": True}):
                usage = chunk.usage or usage
                for choice in chunk.choices:
                    texts[choice.index] += choice.delta.content or ""
                    thoughts[choice.index] += getattr(choice.delta, "reasoning_content", None) or ""
                    finishes[choice.index] = choice.finish_reason or finishes.get(choice.index)
            self.assertEqual(texts, [choice.message.content for choice in whole.choices])
            self.assertEqual(thoughts, [getattr(choice.message, "reasoning_content", "") for choice in whole.choices])
            self.assertEqual(list(finishes[i] for i in range(2)), [choice.finish_reason for choice in whole.choices])
            self.assertEqual(usage.completion_tokens, whole.usage.completion_tokens)
            self.assertEqual(thinking == "enabled", whole.usage.completion_tokens_details.reasoning_tokens > 0)

    def test_tools_are_forced_and_answered(self):
        for choice, names in (("required", {"look_up", "translate"}), ({"type": "function", "function": {"name": "translate"}}, {"translate"})):
            message = self.chat(tools=TOOLS, tool_choice=choice, parallel_tool_calls=False).choices[0].message
            self.assertEqual(len(message.tool_calls), 1)
            call = message.tool_calls[0]
            self.assertIn(call.function.name, names)
            self.assertIsInstance(json.loads(call.function.arguments), dict)
            messages = [*ASK, message, {"role": "tool", "tool_call_id": call.id, "content": "a whale"}]
            second = self.chat(messages=messages, tools=TOOLS)
            self.assertIn(second.choices[0].finish_reason, ("stop", "length", "tool_calls"))

    def test_calls_are_streamed_piece_by_piece(self):
        name, arguments, ids = "", "", set()
        for chunk in self.chat(tools=TOOLS, tool_choice="required", parallel_tool_calls=False, stream=True):
            for call in chunk.choices[0].delta.tool_calls or []:
                ids |= {call.id} - {None}
                name += call.function.name or ""
                arguments += call.function.arguments or ""
        whole = self.chat(tools=TOOLS, tool_choice="required", parallel_tool_calls=False).choices[0].message.tool_calls[0].function
        self.assertEqual((name, arguments, len(ids)), (whole.name, whole.arguments, 1))

    def test_parse_gives_an_object_of_the_schema(self):
        parse = getattr(self.client.chat.completions, "parse", None) or self.client.beta.chat.completions.parse
        done = parse(model="plankton", messages=ASK, response_format=Verdict, seed=1, extra_body=NO_THINKING, max_tokens=400)
        self.assertIsInstance(done.choices[0].message.parsed, Verdict)

    def test_stream_helper(self):
        stream = getattr(self.client.chat.completions, "stream", None) or self.client.beta.chat.completions.stream
        with stream(model="plankton", messages=ASK, response_format=Verdict, seed=1, extra_body=NO_THINKING, max_tokens=400) as events:
            kinds = {event.type for event in events}
            self.assertIsInstance(events.get_final_completion().choices[0].message.parsed, Verdict)
        self.assertLessEqual({"chunk", "content.delta", "content.done"}, kinds)

    def test_json_object_logprobs_stop_and_seed(self):
        self.assertIsInstance(json.loads(self.chat(response_format={"type": "json_object"}, max_tokens=2000).choices[0].message.content), dict)
        choice = self.chat(logprobs=True, top_logprobs=3).choices[0]
        self.assertEqual("".join(bytes(token.bytes).decode(errors="replace") for token in choice.logprobs.content), choice.message.content)
        self.assertTrue(all(len(token.top_logprobs) == 3 and token.logprob <= 0 for token in choice.logprobs.content))
        whole = choice.message.content
        self.assertEqual(self.chat().choices[0].message.content, whole)
        self.assertEqual(self.chat(stop=[whole[2:5]]).choices[0].message.content, whole[:whole.index(whole[2:5])])

    def test_completions_and_fim(self):
        done = self.client.completions.create(model="plankton", prompt="The whale", suffix=" the sea.", max_tokens=8, logprobs=2)
        self.assertEqual(done.object, "text_completion")
        pieces = self.client.completions.create(model="plankton", prompt="The whale", max_tokens=8, seed=1, stream=True)
        text = "".join(chunk.choices[0].text for chunk in pieces)
        self.assertEqual(text, self.client.completions.create(model="plankton", prompt="The whale", max_tokens=8, seed=1).choices[0].text)

    def test_models(self):
        self.assertEqual([model.id for model in self.client.models.list()], ["plankton"])
        self.assertEqual(self.client.models.retrieve("plankton").id, "plankton")


class Responses(OpenAi):
    def test_streamed_is_unstreamed(self):
        for effort in ("none", "low"):
            whole = self.respond(reasoning={"effort": effort})
            with self.client.responses.stream(model="plankton", input="Hello! What is 35+4?", max_output_tokens=200, reasoning={"effort": effort}, extra_body={"seed": 3}) as events:
                numbers = [event.sequence_number for event in events]
                final = events.get_final_response()
            self.assertEqual(final.output_text, whole.output_text)
            self.assertEqual(final.status, whole.status)
            self.assertEqual(numbers, sorted(set(numbers)))
            self.assertEqual(final.usage.output_tokens, whole.usage.output_tokens)
            self.assertEqual([item.type for item in final.output], [item.type for item in whole.output])

    def test_tools_and_a_second_turn(self):
        allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "translate"}]}
        for choice in ("required", {"type": "function", "name": "translate"}, allowed):
            done = self.respond(tools=FLAT, tool_choice=choice, parallel_tool_calls=False)
            calls = [item for item in done.output if item.type == "function_call"]
            self.assertEqual(len(calls), 1)
            self.assertIn(calls[0].name, ("look_up", "translate") if choice == "required" else ("translate",))
            second = [{"role": "user", "content": "Hello! What is 35+4?"}, *[item.model_dump(exclude_none=True) for item in done.output],
                      {"type": "function_call_output", "call_id": calls[0].call_id, "output": "a whale"}]
            self.assertIn(self.respond(input=second, tools=FLAT).status, ("completed", "incomplete"))

    def test_parse_gives_an_object_of_the_schema(self):
        done = self.client.responses.parse(model="plankton", input="Is it good?", text_format=Verdict, reasoning={"effort": "none"}, extra_body={"seed": 1}, max_output_tokens=400)
        self.assertIsInstance(done.output_parsed, Verdict)

    def test_logprobs_and_encrypted_reasoning(self):
        done = self.respond(reasoning={"effort": "low"}, top_logprobs=2, include=["message.output_text.logprobs", "reasoning.encrypted_content"], store=False)
        message = next(item for item in done.output if item.type == "message")
        self.assertTrue(all(len(token.top_logprobs) == 2 for token in message.content[0].logprobs))
        self.assertTrue(any(item.type == "reasoning" for item in done.output))
        self.respond(input=[{"role": "user", "content": "Hello!"}, *[item.model_dump(exclude_none=True) for item in done.output], {"role": "user", "content": "Again."}])


class Errors(OpenAi):
    def test_classes(self):
        for error, fields in ((openai.NotFoundError, {"model": "gpt-0"}), (openai.BadRequestError, {"messages": []}), (openai.UnprocessableEntityError, {"temperature": 9}),
                              (openai.BadRequestError, {"extra_body": {"thinking": 5}})):
            with self.assertRaises(error) as caught:
                self.chat(**fields)
            self.assertTrue(caught.exception.message)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.respond(extra_body={"previous_response_id": "resp_1"})
        self.assertEqual(caught.exception.param, "previous_response_id")

    def test_a_key_that_is_not_known(self):
        server = server_process.Server("--api-key", "right")
        try:
            with self.assertRaises(openai.AuthenticationError):
                openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="wrong", max_retries=0).models.list()
            openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="right", max_retries=0).models.list()
        finally:
            server.stop()

    def test_the_sdk_tries_again_by_itself(self):
        server = server_process.Server("--max-requests", "1")
        try:
            client = openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="any", max_retries=4)
            stream = client.chat.completions.create(model="plankton", messages=ASK, max_tokens=1500, stream=True, extra_body={"ignore_eos": True, **NO_THINKING})
            next(iter(stream))
            refused = openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="any", max_retries=0)
            with self.assertRaises((openai.RateLimitError, openai.InternalServerError)) as caught:
                refused.chat.completions.create(model="plankton", messages=ASK, max_tokens=4)
            self.assertTrue(1 <= int(caught.exception.response.headers["retry-after"]) <= 60)
            with AnswersFirst(stream):
                self.assertTrue(client.chat.completions.create(model="plankton", messages=ASK, max_tokens=4).choices)
        finally:
            server.stop()

    def test_closing_a_stream_frees_the_engine(self):
        stream = self.chat(stream=True, max_tokens=30000, extra_body={"ignore_eos": True, **NO_THINKING})
        next(iter(stream))
        stream.close()
        self.assertTrue(self.server.wait_for_metric("baleen_requests_running", 0, seconds=4))


if __name__ == "__main__":
    unittest.main()
