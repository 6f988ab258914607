"""What an answer says, in one form for every dialect, streamed or not: so that two can be compared."""

import json


class Reply:
    """One choice. calls: (name, arguments)."""

    def __init__(self):
        self.text, self.reasoning, self.calls, self.finish, self.tokens = "", "", [], None, []

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __repr__(self):
        return repr(vars(self))


def usage_of(usage):
    """(prompt, completion, reasoning): what does not depend on the cache."""
    if usage is None:
        return None
    if "input_tokens" in usage:
        prompt = usage["input_tokens"] + usage.get("cache_read_input_tokens", 0) + usage.get("cache_creation_input_tokens", 0)
        return prompt, usage["output_tokens"], (usage.get("output_tokens_details") or {}).get("reasoning_tokens")
    return usage["prompt_tokens"], usage["completion_tokens"], (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")


def _of_chat_logprobs(logprobs):
    if not logprobs:
        return []
    return [("reasoning", t["token"], t["logprob"]) for t in logprobs.get("reasoning_content") or []] + [("content", t["token"], t["logprob"]) for t in logprobs.get("content") or []]


def of_chat(body):
    replies = []
    for choice in body["choices"]:
        reply, message = Reply(), choice["message"]
        reply.text, reply.reasoning = message.get("content") or "", message.get("reasoning_content") or ""
        reply.calls = [(call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls") or []]
        reply.finish, reply.tokens = choice["finish_reason"], _of_chat_logprobs(choice.get("logprobs"))
        replies.append(reply)
    return replies, usage_of(body["usage"])


def of_chat_stream(events, count):
    replies, usage, parts = [Reply() for _ in range(count)], None, [{} for _ in range(count)]
    for _, event in events:
        if event == "[DONE]" or isinstance(event, str):
            continue
        usage = usage_of(event.get("usage")) or usage
        for choice in event["choices"]:
            reply, delta = replies[choice["index"]], choice["delta"]
            reply.text += delta.get("content") or ""
            reply.reasoning += delta.get("reasoning_content") or ""
            for call in delta.get("tool_calls") or []:
                part = parts[choice["index"]].setdefault(call["index"], ["", ""])
                part[0] += call["function"].get("name") or ""
                part[1] += call["function"].get("arguments") or ""
            reply.finish = choice.get("finish_reason") or reply.finish
            reply.tokens += _of_chat_logprobs(choice.get("logprobs"))
    for reply, calls in zip(replies, parts):
        reply.calls = [tuple(calls[i]) for i in sorted(calls)]
        reply.tokens.sort(key=lambda token: token[0] != "reasoning")  # a sort that keeps the order of each kind
    return replies, usage


def of_text(body):
    replies = []
    for choice in body["choices"]:
        reply = Reply()
        reply.text, reply.finish = choice["text"], choice["finish_reason"]
        replies.append(reply)
    return replies, usage_of(body["usage"])


def of_text_stream(events, count):
    replies, usage = [Reply() for _ in range(count)], None
    for _, event in events:
        if isinstance(event, str):
            continue
        usage = usage_of(event.get("usage")) or usage
        for choice in event["choices"]:
            replies[choice["index"]].text += choice.get("text") or ""
            replies[choice["index"]].finish = choice.get("finish_reason") or replies[choice["index"]].finish
    return replies, usage


def of_messages(body):
    reply = Reply()
    for block in body["content"]:
        reply.text += block.get("text", "")
        reply.reasoning += block.get("thinking", "")
        if block["type"] == "tool_use":
            reply.calls.append((block["name"], json.dumps(block["input"], sort_keys=True)))
    reply.finish = (body["stop_reason"], body["stop_sequence"])
    return [reply], usage_of(body["usage"])


def of_messages_stream(events, _count):
    reply, usage, blocks = Reply(), {}, {}
    for _, event in events:
        if isinstance(event, str):
            continue
        if event["type"] == "message_start":
            usage.update(event["message"]["usage"])
        elif event["type"] == "content_block_start":
            blocks[event["index"]] = [event["content_block"], ""]
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            reply.text += delta.get("text", "")
            reply.reasoning += delta.get("thinking", "")
            blocks[event["index"]][1] += delta.get("partial_json", "")
        elif event["type"] == "message_delta":
            reply.finish = (event["delta"]["stop_reason"], event["delta"].get("stop_sequence"))
            usage.update(event["usage"])
    for index in sorted(blocks):
        block, text = blocks[index]
        if block["type"] == "tool_use":
            reply.calls.append((block["name"], json.dumps(json.loads(text or "{}"), sort_keys=True)))
    return [reply], usage_of(usage)


def of_responses(body):
    reply = Reply()
    for item in body["output"]:
        if item["type"] == "message":
            reply.text += "".join(part.get("text", "") for part in item["content"])
        elif item["type"] == "reasoning":
            reply.reasoning += "".join(part.get("text", "") for part in item.get("content") or [])
        else:
            reply.calls.append((item["name"], item.get("arguments")))
    reply.finish = (body["status"], (body.get("incomplete_details") or {}).get("reason"))
    return [reply], usage_of(body["usage"])


def of_responses_stream(events, _count):
    """From the pieces alone; only the finish and usage are those of the last event."""
    reply, usage, names = Reply(), None, {}
    for name, event in events:
        if isinstance(event, str):
            continue
        kind = event["type"]
        if kind == "response.output_text.delta":
            reply.text += event["delta"]
        elif kind == "response.reasoning_text.delta":
            reply.reasoning += event["delta"]
        elif kind == "response.output_item.added" and event["item"]["type"] == "function_call":
            names[event["output_index"]] = [event["item"]["name"], ""]
        elif kind == "response.function_call_arguments.delta":
            names[event["output_index"]][1] += event["delta"]
        elif kind in ("response.completed", "response.incomplete"):
            reply.finish = (event["response"]["status"], (event["response"].get("incomplete_details") or {}).get("reason"))
            usage = usage_of(event["response"]["usage"])
    reply.calls = [tuple(names[index]) for index in sorted(names)]
    return [reply], usage


READERS = {"/v1/chat/completions": (of_chat, of_chat_stream), "/v1/completions": (of_text, of_text_stream), "/v1/messages": (of_messages, of_messages_stream),
           "/v1/responses": (of_responses, of_responses_stream)}
