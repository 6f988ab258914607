"""What the trials of conversations share: the bundled model, with or without other files in it, and a question whose answer is known."""

import json

from program import MODEL, REPOSITORY

DSPARK = REPOSITORY / "tests" / "golden" / "checkpoints" / "dspark"
GENERATE = ["generate", "--model", MODEL, "--temperature", "0"]
CHAT = ["chat", "--model", MODEL, "--temperature", "0", "--max-tokens", "8"]
HELLO = [*GENERATE, "--prompt", "35+4", "--max-tokens", "4"]
ANSWER = b"35 + \n"
COMMANDS = ["tokenize", "detokenize", "render", "parse", "inspect", "twin", "logits", "bench", "generate", "chat", "score"]


def one_object(output):
    found = json.loads(output)
    return set(found) >= {"tokens", "text", "reasoning_content", "content", "tool_calls", "finish_reason", "usage", "timings"}


def variant(folder, **files):
    """The bundled model with other files in it; None leaves one out."""
    folder.mkdir()
    for file in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        key = file.split(".")[0]
        if key not in files:
            (folder / file).symlink_to(MODEL / file)
        elif files[key] is not None:
            content = files[key]
            (folder / file).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder
