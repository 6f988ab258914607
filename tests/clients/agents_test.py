"""Conversations as agents hold them, in each dialect: every further turn pays only for what is new, also after a restart; lost reasoning comes back."""

import json
import unittest

import server_process
from server_process import Server

NAMES = ["Read", "Write", "Edit", "Glob", "Grep", "Shell", "Task", "Todo", "Fetch", "Search", "Notebook", "Plan", "Ask", "List", "Kill"]
PARAMETERS = {"type": "object", "properties": {"path": {"type": "string"}, "text": {"type": "string"}}, "required": ["path"]}
RULES = "You change programs. Read before you write, keep changes small, and run the tests. " * 40
RESULT = "a file with three lines"
SLACK = 8  # tokens an exact replay may pay beyond what is new


class Agent(server_process.Case):
    @classmethod
    def flags(cls):
        return ("--cache-dir", cls.folder / "cache")

    def restart(self):
        self.server.stop()
        type(self).server = Server(*self.flags())

    def send(self, path, body, headers=None):
        answer = self.server.post(path, body, headers=headers)
        self.assertEqual(answer.status, 200, answer.body)
        return answer

    def check_replay(self, before, now):
        """before, now: (prompt, missed, written) tokens of a turn and of the next."""
        new = now[0] - before[0] - before[2]
        self.assertLessEqual(now[1], new + SLACK)


class ClaudeCodeLike(Agent):
    """Messages: system blocks with a billing line that differs on every turn, cache marks, thinking, many tools."""

    def turn(self, number, messages, **fields):
        system = [{"type": "text", "text": f"x-anthropic-billing-header: version=1; turn={number}"}, {"type": "text", "text": RULES, "cache_control": {"type": "ephemeral"}}]
        tools = [{"name": name, "description": f"{name} something", "input_schema": PARAMETERS} for name in NAMES]
        body = {"model": "claude-of-the-test", "max_tokens": 300, "system": system, "messages": messages, "tools": tools, "metadata": {"user_id": "user_1_session_2"}, "seed": 4, **fields}
        headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "interleaved-thinking-2025-05-14", "x-claude-code-session-id": "2"}
        answer = self.send("/v1/messages?beta=true", body, headers)
        usage = answer.json["usage"]
        missed = usage["input_tokens"] + usage["cache_creation_input_tokens"]
        return answer, (missed + usage["cache_read_input_tokens"], missed, usage["output_tokens"])

    @staticmethod
    def results(message):
        return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": block["id"], "content": [{"type": "text", "text": RESULT, "cache_control": {"type": "ephemeral"}}]}
                                            for block in message["content"] if block["type"] == "tool_use"]}

    def test_turns_pay_what_is_new(self):
        messages = [{"role": "user", "content": [{"type": "text", "text": "Fix the test.", "cache_control": {"type": "ephemeral"}}]}]
        before = None
        for number in range(3):
            answer, usage = self.turn(number, messages, tool_choice={"type": "any"})
            self.assertEqual(answer.json["stop_reason"], "tool_use")
            if before:
                self.check_replay(before, usage)
            before = usage
            messages += [{"role": "assistant", "content": answer.json["content"]}, self.results(answer.json)]
        self.restart()
        self.check_replay(before, self.turn(9, messages)[1])

    def test_thinking_that_was_dropped_comes_back(self):
        messages = [{"role": "user", "content": "Read the file a.txt with Read."}]
        for seed in range(8):
            message = self.turn(0, messages, thinking={"type": "enabled", "budget_tokens": 2048}, tool_choice={"type": "any"}, seed=seed)[0].json
            if {"thinking", "tool_use"} <= {block["type"] for block in message["content"]}:
                break
        else:
            self.skipTest("the model called nothing while thinking")
        bare = [block for block in message["content"] if block["type"] != "thinking"]
        answers = [self.turn(1, [*messages, {"role": "assistant", "content": content}, self.results(message)], thinking={"type": "enabled", "budget_tokens": 2048})
                   for content in (message["content"], bare)]
        self.assertEqual(answers[0][1][0], answers[1][1][0])
        self.assertEqual(answers[1][0].headers.get("x-baleen-restored-reasoning"), "1")


class CodexLike(Agent):
    """Responses: instructions, function and custom tools, nothing stored, items sent back."""

    def turn(self, items, **fields):
        tools = [{"type": "function", "name": "shell", "description": "Run a command", "strict": False, "parameters": {"type": "object", "properties": {"command": {"type": "array", "items": {"type": "string"}}}, "required": ["command"]}},
                 {"type": "custom", "name": "apply_patch", "description": "Change files"}, {"type": "web_search"}]
        body = {"model": "plankton", "instructions": RULES, "input": items, "tools": tools, "tool_choice": "auto", "parallel_tool_calls": False, "reasoning": {"effort": "none", "summary": "auto"},
                "store": False, "include": ["reasoning.encrypted_content"], "prompt_cache_key": "a-conversation", "max_output_tokens": 300, "seed": 4, **fields}
        answer = self.send("/v1/responses", body, {"session_id": "a-conversation"})
        usage = answer.json["usage"]
        return answer, (usage["input_tokens"], usage["input_tokens"] - usage["input_tokens_details"]["cached_tokens"], usage["output_tokens"])

    @staticmethod
    def back(items):
        """What is sent back: without ids and states; reasoning without its text, as clients that trust in ciphers do."""
        sent = []
        for item in items:
            item = {name: value for name, value in item.items() if name not in ("id", "status")}
            sent.append({"type": "reasoning", "summary": [], "encrypted_content": None} if item["type"] == "reasoning" else item)
            if item["type"].endswith("call"):
                kind = item["type"] + "_output"
                sent.append({"type": kind, "call_id": item["call_id"], "output": RESULT})
        return sent

    def test_turns_pay_what_is_new(self):
        items = [{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "The sandbox is read-only."}]},
                 {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Fix the test."}]}]
        before = None
        for choice in ({"type": "function", "name": "shell"}, {"type": "custom", "name": "apply_patch"}, "required"):
            answer, usage = self.turn(items, tool_choice=choice)
            self.assertTrue(any(item["type"].endswith("call") for item in answer.json["output"]))
            if before:
                self.check_replay(before, usage)
            before = usage
            items = items + self.back(answer.json["output"])
        self.restart()
        self.check_replay(before, self.turn(items)[1])


class OpenCodeLike(Agent):
    """Chat Completions, streamed; the client drops the reasoning."""

    def turn(self, messages, **fields):
        tools = [{"type": "function", "function": {"name": name.lower(), "description": f"{name} something", "parameters": PARAMETERS}} for name in NAMES]
        body = {"model": "plankton", "messages": messages, "tools": tools, "max_tokens": 300, "seed": 4, "stream_options": {"include_usage": True}, **fields}
        message, usage = {"role": "assistant", "content": ""}, None
        calls = {}
        for _, event in self.server.stream("/v1/chat/completions", body):
            if event == "[DONE]" or isinstance(event, str):
                continue
            usage = event.get("usage") or usage
            for choice in event["choices"]:
                message["content"] += choice["delta"].get("content") or ""
                for call in choice["delta"].get("tool_calls") or []:
                    whole = calls.setdefault(call["index"], {"id": call.get("id"), "type": "function", "function": {"name": "", "arguments": ""}})
                    for name, text in call["function"].items():
                        whole["function"][name] += text
        if calls:
            message["tool_calls"] = list(calls.values())
        return message, (usage["prompt_tokens"], usage["prompt_cache_miss_tokens"], usage["completion_tokens"])

    def test_turns_pay_what_is_new_without_the_reasoning(self):
        messages, before = [{"role": "system", "content": RULES}, {"role": "user", "content": "Fix the test."}], None
        restored = self.server.metric("baleen_restored_reasoning_total")
        for _ in range(3):
            message, usage = self.turn(messages, tool_choice="required")
            if before:
                self.check_replay(before, usage)
            before = usage
            messages += [message, *({"role": "tool", "tool_call_id": call["id"], "content": RESULT} for call in message.get("tool_calls", []))]
            if not message.get("tool_calls"):
                self.skipTest("the model called nothing while thinking")
        self.assertGreater(self.server.metric("baleen_restored_reasoning_total"), restored)
        for call in messages[2]["tool_calls"]:
            self.assertIsInstance(json.loads(call["function"]["arguments"]), dict)
        self.restart()
        self.check_replay(before, self.turn(messages)[1])


if __name__ == "__main__":
    unittest.main()
