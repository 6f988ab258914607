"""The answers of the mock server: what is streamed for which message, and what is refused."""

import json
import math
import time

MODELS = {"object": "list", "data": [{"id": "plankton", "object": "model"}, {"id": "plankton-large", "object": "model"}]}

RICH = r"""Gradient descent follows the slope downhill. With a step size $\eta$ the update is

$$\theta_{t+1} = \theta_t - \eta \, \nabla_\theta \mathcal{L}(\theta_t), \qquad \vec{g} = \sqrt{\frac{1}{n}\sum_{i=1}^{n} g_i^2}$$

## What to watch

1. **Too large** a step and the loss jumps about.
2. **Too small** and nothing happens; see `learning_rate` below.

```python
def descend(theta, gradient, learning_rate=0.1, steps=100):
    # Follows the slope downhill.
    for step in range(steps):
        theta = theta - learning_rate * gradient(theta)
    return theta


print(descend(4.0, lambda x: 2 * x))  # close to 0
```

| method | memory | steps to 1e-3 |
|---|---:|---:|
| plain | 1× | 1,200 |
| momentum | 2× | 310 |
| Adam | 3× | 140 |

> The price is $5 and not $6, so no formula stands here.

It converges when \(\eta < 2/L\), with `L` the [Lipschitz constant](https://example.org/lipschitz)."""

THOUGHT = "The person asks about gradient descent. I should show the **update rule**, a short program, and what goes wrong with $\\eta$."

BLOCKS = r"""# Title

Intro with $x^2$ and \(y\).
- one
- two

  more of two

      indented
- three
   ```js
   let a = 1;

   let b;
   ```

1. a

   ```
   x

   y
   ```
2. b

> quote
> more
>
> - in

| a | b |
|---|---|
| 1 | 2 |

\[
a
= b
- c
\]

$$
\begin{aligned}
x &= 1 \\
- y &= 2
\end{aligned}
$$

Setext
======

~~~~text
```
inner
```

- no list

~~~~

    indented code

    more

***

para `code $5` and $6 end  
broken line

```
unclosed

fence"""

HOSTILE = """Hello <script>window.hacked = 1</script> <img src=x onerror="window.hacked = 2">

<svg onload="window.hacked = 3"><a href="javascript:window.hacked=4">x</a></svg>

[press me](javascript:window.hacked=5) [data](data:text/html,<script>window.hacked=6</script>) [tab](  JaVaScRiPt:window.hacked=7)

![picture](x" onerror="window.hacked=8) ![far](https://example.org/pixel.png) <javascript:window.hacked=9>

<iframe srcdoc="<script>parent.hacked = 10</script>"></iframe><style>body{display:none}</style><base href="https://example.org/">

<div style="position:fixed;inset:0">cover</div><form action="https://example.org/"><button>go</button></form>

<math><mtext></form><form><mglyph><style></math><img src onerror=window.hacked=11>

$\\href{javascript:window.hacked=12}{x}$ $\\htmlStyle{color:red}{x}$ $\\includegraphics{https://example.org/a.png}$ $\\unknown{$ $$\\fbox{a} \\phase{30}$$

```"><img/src/onerror=window.hacked=13>
</code></pre><script>window.hacked = 14</script>
```

```html
<script>window.hacked = 15</script>
```

| <img src=x onerror=window.hacked=16> | b |
|---|---|
| `<b>` | [x](vbscript:window.hacked=17) |

""" + ">" * 3000 + " deep\n\n" + "[" * 2000 + "\n\nThe end of it."

CALL = {"id": "call_1", "name": "get_weather", "arguments": '{"place":"Turku","days":3}'}


class Cut(Exception):
    """The connection ends here."""


def last_user(body):
    return next((m["content"] for m in reversed(body["messages"]) if m["role"] == "user"), "")


def word(body):
    return (last_user(body).split() or [""])[0]


def refusal(body):
    """(status, message, headers) or None."""
    return {
        "busy": (429, "too many requests at once", [("Retry-After", "7")]),
        "overloaded": (503, "queue is full", [("Retry-After", "2")]),
        "wrong": (400, "temperature: expected a number from 0 to 2", []),
        "broken": (500, "the engine failed", []),
    }.get(word(body))


def event(delta, finish=None, **more):
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"


def usage(prompt, completion):
    value = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, "prompt_cache_hit_tokens": prompt // 2,
             "prompt_cache_miss_tokens": prompt - prompt // 2, "completion_tokens_details": {"reasoning_tokens": 3}}
    return f'data: {json.dumps({"choices": [], "usage": value})}\n\n'


def text(content, size=7, pause=0.0, field="content"):
    for at in range(0, len(content), size):
        yield event({field: content[at : at + size]})
        if pause:
            time.sleep(pause)


def end(finish="stop", completion=120):
    yield event({}, finish)
    yield usage(1234, completion)
    yield "data: [DONE]\n\n"


def stream(body):
    yield event({"role": "assistant", "content": ""})
    yield ": keep-alive\n\n"
    make = STREAMS.get(word(body), echo)
    yield from make(body)


def echo(body):
    if body.get("thinking", {}).get("type") == "enabled" and word(body) == "think":
        yield from text(THOUGHT, 9, 0.004, "reasoning_content")
    yield from text(f"You said: {last_user(body)}")
    yield from end()


def rich(body):
    yield from text(THOUGHT, 11, 0.002, "reasoning_content")
    yield from text(RICH, 5, 0.0005)
    yield from end()


def slow(body):
    for at in range(600):
        yield event({"content": f"word{at} "})
        time.sleep(0.03)
    yield from end()


def cut(body):
    yield from text("This answer breaks o")
    raise Cut


def error_inside(body):
    yield from text("It began well")
    yield 'data: {"error": {"message": "the engine stalled", "type": "server_error", "code": null}}\n\n'


def tool(body):
    if body["messages"][-1]["role"] == "tool":
        yield from text(f"The tool said: {body['messages'][-1]['content']}")
        yield from end()
        return
    yield from text("I need the weather.", field="reasoning_content")
    yield event({"tool_calls": [{"index": 0, "id": CALL["id"], "type": "function", "function": {"name": CALL["name"], "arguments": ""}}]})
    for at in range(0, len(CALL["arguments"]), 4):
        yield event({"tool_calls": [{"index": 0, "function": {"arguments": CALL["arguments"][at : at + 4]}}]})
    yield from end("tool_calls")


def hostile(body):
    yield from text(HOSTILE, 13)
    yield from end()


def huge(body):
    block = "A paragraph of some length that the page has to lay out, with `code` and **strong** words in it.\n\n"
    yield from text(block * 1500, 200)
    yield from text("```c\n" + "int line = 0;\n" * 4000 + "```\n\nlast words", 200)
    yield from end("length", 60000)


def split(body):
    """One byte at a time, with CR LF and Chinese: the page must not care."""
    whole = event({"content": "鲸鱼 🐋 swims"}).replace("\n", "\r\n").encode()
    for at in range(len(whole)):
        yield whole[at : at + 1]
    yield from end()


def tabs(body):
    yield from text("```make\nall:\n\tcc -o a a.c\n\n\t@echo done\n```\n", 3)
    yield from end()


STREAMS = {"rich": rich, "slow": slow, "cut": cut, "inside": error_inside, "tool": tool, "hostile": hostile, "huge": huge, "split": split, "tabs": tabs}


def status(uptime, ledger):
    tokens = uptime * 40 + 30 * math.sin(uptime / 9)
    latency = lambda scale: {"p50": 0.2 * scale, "p90": 0.5 * scale, "p99": 1.4 * scale, "count": int(uptime * 3) + 10}
    usage_by_key = [
        {"key": name, "requests": 40 * at + 7, "prompt_tokens": 123456 * (at + 1), "hit_tokens": 65432, "completion_tokens": 34567,
         "cost_usd": 0.0312 * (at + 1)} for at, name in enumerate(("lab", "thesis", "ci"))
    ]
    return {
        "model": {"id": "plankton", "folder_name": "plankton", "context": 65536, "vocabulary": 2048, "drafts": "mtp", "isa": "avx512", "threads": 16},
        "uptime_s": uptime + 7300,
        "requests": {"running": 3 + int(2 * math.sin(uptime / 5)), "waiting": 1, "submitted": 1200 + int(uptime), "ended": 1180 + int(uptime),
                     "failed": 1, "cancelled": 12, "expired": 2, "refused": 5},
        "tokens": {"prefill": int(tokens * 9) + 900000, "decode": int(tokens) + 70000, "cached": 345678},
        "latency": {"first_token_s": latency(1), "inter_token_s": latency(0.05), "queue_s": latency(0.01)},
        "cache": {"blocks": 512, "used_blocks": 300, "cached_blocks": 220, "hit_share": 0.613},
        "drafts": {"drafted": [9000, 4000] + [0] * 14, "accepted": [7100, 2200] + [0] * 14},
        "memory": [{"what": "weights", "bytes": 15_400_000_000}, {"what": "packed weights", "bytes": 2_100_000_000},
                   {"what": "cache blocks", "bytes": 6_000_000_000}, {"what": "activations", "bytes": 310_000_000}],
        "usage_by_key": usage_by_key if ledger else None,
    }
