"""Damaged (and unusual but whole) checkpoints through `logits` and `inspect`: a clear refusal or an answer, and never half a file."""

import concurrent.futures
import copy
import json
import os
import pathlib
import struct
import sys
import tempfile
import time
import unittest

import program
from model_folder import ModelFolder, file_bytes, lay_out, read_tensors

CASES = []  # (name, golden checkpoint, damage, works, words of the message)
W1 = "layers.1.ffn.experts.2.w1"


def case(name, damage, *words, works=False, golden="short"):
    CASES.append((name, golden, damage, works, words))


def header_case(name, change, *words, **options):
    case("header: " + name, lambda m: m.header(change), "model.safetensors", *words, **options)


def tensor_case(name, change, *words, **options):
    case("tensor: " + name, lambda m: m.tensors(change), *words, **options)


def index_case(name, change, *words, **options):
    case("index: " + name, lambda m: m.index(change), *words, golden="pro", **options)


def config_case(key, value, *words, works=False, golden="short"):
    text = "a list" if isinstance(value, list) and len(value) > 4 else repr(value)
    case(f"config: {key} = {text}", lambda m: m.config(**{key: value}), *words, works=works, golden=golden)


def edit(name, **parts):
    """A change of a header that replaces parts of one tensor's entry."""
    return lambda header: header[name].update(parts)


def file_case(name, content, *words, file="model.safetensors", **options):
    case("file: " + name, lambda m: m.replace(file, content() if callable(content) else content), file, *words, **options)


def huge_file(length, first=b""):
    """A file that is all holes, so that it costs nothing."""

    def make(m):
        m.replace("model.safetensors", b"")
        with open(m / "model.safetensors", "r+b") as file:
            file.write(first)
            file.truncate(length)

    return make


def file_cases():
    file_case("empty", b"", "8 bytes")
    file_case("seven bytes", b"\x01" * 7, "8 bytes")
    for length in (0, 1, 50_000_000, 100_000_000, 100_000_001, 1 << 32, 1 << 63, (1 << 64) - 1):
        file_case(f"header length {length}", struct.pack("<Q", length) + b"{}")
    case("file: only a header", lambda m: m.replace("model.safetensors", file_bytes({}, b"")), "lacks")
    file_case("text", "hello, this is no checkpoint at all\n")
    file_case("a page of HTML", "<!DOCTYPE html><html><body>404</body></html>")
    file_case("a Git LFS pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    case("file: zeros", huge_file(1 << 33), "model.safetensors")
    case("file: a header of 100 MB of spaces", huge_file(100_000_100, struct.pack("<Q", 100_000_000)), "model.safetensors")
    for count in (1, 100, 100_000):
        case(f"file: cut by {count}", lambda m, c=count: m.replace("model.safetensors", (m.source / "model.safetensors").read_bytes()[:-c]), "truncated")
    case("file: too long", lambda m: m.replace("model.safetensors", (m.source / "model.safetensors").read_bytes() + b"\0"), "model.safetensors")
    case("file: a folder", lambda m: ((m / "model.safetensors").unlink(), (m / "model.safetensors").mkdir()), "model.safetensors")
    case("file: a pipe", lambda m: ((m / "model.safetensors").unlink(), os.mkfifo(m / "model.safetensors")), "model.safetensors")
    case("file: a device", lambda m: ((m / "model.safetensors").unlink(), (m / "model.safetensors").symlink_to("/dev/zero")), "model.safetensors")
    for name in ("model.safetensors", "config.json"):
        case(f"file: {name} is missing", lambda m, n=name: (m / n).unlink(), name)
        case(f"file: {name} links to nothing", lambda m, n=name: ((m / n).unlink(), (m / n).symlink_to("nowhere")), name)
        case(f"file: {name} links to itself", lambda m, n=name: ((m / n).unlink(), (m / n).symlink_to(n)), name)
    case("file: config.json is a folder", lambda m: ((m / "config.json").unlink(), (m / "config.json").mkdir()), "config.json")
    case("file: config.json is a pipe", lambda m: ((m / "config.json").unlink(), os.mkfifo(m / "config.json")), "config.json")
    case("file: index links to itself", lambda m: (m / "model.safetensors.index.json").unlink() or (m / "model.safetensors.index.json").symlink_to(
        "model.safetensors.index.json"), "index.json", golden="pro")


def rename_twice(header):
    text = json.dumps(header)
    return text.replace('"layers.0.attn.wq_a.scale"', '"layers.0.attn.wkv.scale"').encode()


def million(_):
    return ("{" + ",".join(f'"t{i}":{{"dtype":"I8","shape":[0],"data_offsets":[0,0]}}' for i in range(1_000_000)) + "}").encode()


def extra(tensors):
    tensors["something.else"] = ["F16", [2, 3], bytes(12)]
    tensors["empty.tensor"] = ["F32", [0, 3], b""]
    tensors["scalar"] = ["I64", [], bytes(8)]


def header_cases():
    at = "layers.1.attn.wkv.weight"
    header_case("not JSON", lambda _: b"{not json at all}", "JSON")
    header_case("a list", lambda _: b"[]", "JSON")
    header_case("a number", lambda _: b"17", "JSON")
    header_case("cut in the middle", lambda h: json.dumps(h).encode()[:-20], "JSON")
    header_case("deep nesting", lambda _: b'{"a":' + b"[" * 100_000, "JSON", "tensor 'a'")
    header_case("deep objects", lambda _: b'{"a":' * 100_000)
    header_case("deep nesting inside a tensor", lambda _: b'{"a":{"dtype":' + b"[" * 100_000)
    header_case("invalid UTF-8", lambda h: json.dumps(h).encode().replace(b"layers.1.attn.wkv", b"layers.1.attn.\xff\xfe"), "UTF-8")
    header_case("byte order mark", lambda h: b"\xef\xbb\xbf" + json.dumps(h).encode(), "JSON")
    header_case("space before", lambda h: b" " + json.dumps(h).encode(), "JSON")
    header_case("UTF-16", lambda h: json.dumps(h).encode("utf-16"), "JSON")
    header_case("garbage behind", lambda h: json.dumps(h).encode() + b"x", "JSON")
    header_case("two objects", lambda h: json.dumps(h).encode() + b"{}", "JSON")
    header_case("NUL bytes behind", lambda h: json.dumps(h).encode() + b"\0" * 8, "JSON")
    header_case("trailing comma", lambda h: json.dumps(h).encode()[:-1] + b",}", "JSON")
    header_case("spaces behind", lambda h: json.dumps(h).encode() + b" " * 13, works=True)
    header_case("name twice", rename_twice, "twice", "layers.0.attn.wkv.scale")
    header_case("dtype twice", lambda h: json.dumps(h).replace('"dtype": "I64"', '"dtype": "I64", "dtype": "I64"').encode(), "dtype", "twice")
    header_case("a million tensors", million, "model.safetensors")
    header_case("empty name", lambda h: h.update({"": h.pop(at)}), "empty name")
    header_case("tensor is null", lambda h: h.update({at: None}))
    header_case("tensor is a list", lambda h: h.update({at: [1, 2]}))
    for key in ("dtype", "shape", "data_offsets"):
        header_case("without " + key, lambda h, k=key: h[at].pop(k) and None, at)
    header_case("unknown key", edit(at, stride=[1]), at, "stride")
    for dtype in ("F7", "", "bf16", "f8_e4m3", "F8_E4M3FN", 3, None, ["BF16"], "\u0000", "x" * 100_000):
        header_case(f"dtype {str(dtype)[:9]!r}", edit(at, dtype=dtype))
    for shape in ([80], [80, 32, 1], [32, 80], [80, 33], [-80, -32], [80.0, 32], ["80", 32], [1 << 63, 2], [1 << 64, 1], [1 << 32, 1 << 32], [2560], [], [0, 32],
                  None, 5, [[80, 32]], [1] * 40 + [2560], [True, 32], [1e3, 2]):
        header_case(f"shape {str(shape)[:24]}", edit(at, shape=shape))
    for low, high in ((1, 2), (0, 2560), (-1, 2559), (2560, 0), (1 << 63, (1 << 63) + 2560), ((1 << 64) - 2560, 0), (1 << 64, 1 << 65), (0, 1 << 40), (0.0, 2560.0),
                      ("0", "2560"), (None, None), (5, 5)):
        header_case(f"offsets {low}, {high}", edit(at, data_offsets=[low, high]))
    for offsets in ([0], [], [0, 1, 2], None, "0,1", {"begin": 0}, [[0, 1]]):
        header_case(f"offsets {offsets}", edit(at, data_offsets=offsets), at if offsets else "model")
    for metadata in (None, 3, [], "pt", {"format": 3}, {"format": None}, {"a": {"b": "c"}}):
        header_case(f"metadata {metadata}", lambda h, m=metadata: h.update({"__metadata__": m}))
    header_case("metadata twice", lambda h: (b'{"__metadata__":{"a":"b"},"__metadata__":{"a":"b"},' + json.dumps(h).encode()[1:]), "twice")
    header_case("metadata of text", lambda h: h.update({"__metadata__": {"format": "pt", "ü": "\u2028"}}), works=True)
    tensor_case("unknown ones beside", extra, works=True)


def shift(header):
    """One byte of nothing before the last tensor."""
    last = max(header.values(), key=lambda entry: entry["data_offsets"])
    last["data_offsets"] = [x + 1 for x in last["data_offsets"]]


def swap_overlap(header):
    a, b = list(header.values())[3], list(header.values())[5]
    b["data_offsets"] = [a["data_offsets"][0], a["data_offsets"][0] + b["data_offsets"][1] - b["data_offsets"][0]]


def layout_cases():
    header_case("a hole", shift)
    header_case("an overlap", swap_overlap, "overlaps")
    header_case("one tensor dropped, its bytes kept", lambda h: h.pop("layers.1.attn.wkv.weight") and None)

    def hole_at_the_end(m):
        tensors = read_tensors(m / "model.safetensors")
        m.replace("model.safetensors", file_bytes(lay_out(tensors), b"".join(d for _, _, d in tensors.values()) + bytes(64)))

    case("header: bytes behind the last tensor", hole_at_the_end, "model.safetensors")
    case("tensor: another order in the file", lambda m: m.tensors(lambda t: [t.update({k: t.pop(k)}) for k in sorted(t, reverse=True)]), works=True)


def point_all_at(file):
    return lambda index: index["weight_map"].update({name: file for name in index["weight_map"]})


def index_cases():
    first, second = "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors"
    case("index: missing shard", lambda m: (m / second).unlink(), second, golden="pro")
    case("index: dangling shard", lambda m: ((m / second).unlink(), (m / second).symlink_to("gone")), second, golden="pro")
    case("index: empty shard", lambda m: m.replace(second, b""), second, golden="pro")
    case("index: shard is a folder", lambda m: ((m / second).unlink(), (m / second).mkdir()), second, golden="pro")
    case("index: shards swapped", lambda m: ((m / first).rename(m / "x"), (m / second).rename(m / first), (m / "x").rename(m / second)), golden="pro")
    case("index: missing", lambda m: (m / "model.safetensors.index.json").unlink(), "index", golden="pro")
    for name in ("../pro/" + first, "..", ".", "", "/etc/passwd", "/dev/zero", "sub/../../x", "a\0b", "x" * 5000, "sub/", "no such file", "config.json", "model.safetensors.index.json"):
        index_case(f"all in {name[:20]!r}", point_all_at(name), "index.json" if name not in ("config.json",) else "config.json")
    for value in (3, None, [], {"file": first}, True):
        index_case(f"one in {value!r}", lambda i, v=value: i["weight_map"].update({next(iter(i["weight_map"])): v}), "index.json")
    for value in ([], "x", None, 3, {}):
        index_case(f"weight_map {value!r}", lambda i, v=value: i.update(weight_map=v), "weight_map" if value == {} else "index.json")
    index_case("no weight_map", lambda i: i.pop("weight_map") and None, "weight_map")
    index_case("a list", lambda _: [1, 2], "index.json")
    for name, text in (("empty", ""), ("text", "hello"), ("deep", "[" * 100_000), ("deep inside", '{"metadata":' + '{"a":' * 100_000), ("cut", '{"weight_map": {"a": "b"'), ("null", "null"),
                       ("latin-1", b'{"weight_map": {"a\xe9": "b"}}'), ("BOM", b"\xef\xbb\xbf{}")):
        index_case("is " + name, lambda _, t=text: t if isinstance(t, bytes) else t.encode(), "index.json")
    index_case("tensor twice", lambda i: json.dumps(i).replace('"weight_map": {', '"weight_map": {"embed.weight": "%s", "embed.weight": "%s", ' % (first, first), 1).encode(), "twice")
    index_case("weight_map twice", lambda i: json.dumps(i)[:-1].encode() + b', "weight_map": {}}', "twice")
    index_case("a tensor that is not there", lambda i: i["weight_map"].update({"not.there": first}), "not.there")
    index_case("a tensor too few", lambda i: i["weight_map"].pop("norm.weight") and None, "norm.weight")
    index_case("a tensor in the wrong shard", lambda i: i["weight_map"].update({n: first for n, f in list(i["weight_map"].items()) if f == second}), first)

    def in_two(m):
        name, value = next(iter(read_tensors(m / first).items()))
        m.tensors(lambda t: t.update({name: value}), second)

    case("index: a tensor in two shards", in_two, "two files", golden="pro")
    index_case("no metadata", lambda i: i.pop("metadata") and None, works=True)
    index_case("metadata of another kind", lambda i: i.update(metadata=[1, "x"]), works=True)
    for size in (1 << 70, -1, 0, "big", 1.5):
        index_case(f"total_size {size}", lambda i, s=size: i.update(metadata={"total_size": s}), works=True)
    index_case("other keys", lambda i: i.update(version=[[[{}]]]), works=True)

    def subfolder(m):
        (m / "weights").mkdir()
        for name in m.source.glob("model-*"):
            (m / name.name).rename(m / "weights" / name.name)
        m.index(lambda i: i["weight_map"].update({n: "weights/" + f for n, f in i["weight_map"].items()}))

    case("index: shards in a folder below", subfolder, works=True, golden="pro")
    case("index: one file left over beside it", lambda m: m.replace("model-00009-of-00009.safetensors", b"x"), works=True, golden="pro")


def values(name, data, at=0):
    """A change that overwrites bytes of one tensor."""

    def change(tensors):
        old = tensors[name][2]
        where = at if at >= 0 else len(old) + at
        tensors[name][2] = old[:where] + data + old[where + len(data) :]

    return change


def stored(name, dtype, shape, size):
    return lambda tensors: tensors.update({name: [dtype, shape, bytes(size)]})


def transpose(name):
    return lambda tensors: tensors[name].__setitem__(1, tensors[name][1][::-1])


def tensor_cases():
    nan32, inf32, nan16, inf16 = struct.pack("<f", float("nan")), struct.pack("<f", float("-inf")), b"\xc0\x7f", b"\x80\xff"
    for name, data in (("layers.1.attn.wkv.weight", b"\x7f"), ("layers.2.attn.wo_b.weight", b"\xff"), ("layers.1.attn.wkv.scale", b"\xff"), (W1 + ".scale", b"\xff"),
                       ("norm.weight", nan16), ("embed.weight", inf16), ("head.weight", nan16), ("layers.0.attn_norm.weight", inf16), ("layers.1.attn.attn_sink", nan32),
                       ("layers.1.ffn.gate.bias", inf32), ("layers.0.hc_attn_fn", nan32), ("layers.1.attn.compressor.ape", inf32), ("mtp.0.enorm.weight", nan16),
                       ("mtp.0.attn.wkv.scale", b"\xff"), ("layers.0.hc_ffn_scale", nan32)):
        tensor_case("NaN in " + name, values(name, data, -len(data)), name)
    for value in (8, -1, 1 << 40, -(1 << 63), 255):
        tensor_case(f"expert id {value}", values("layers.0.ffn.gate.tid2eid", struct.pack("<q", value), -8), "tid2eid", "token 255")
    tensor_case("one expert twice for a token", values("layers.0.ffn.gate.tid2eid", struct.pack("<2q", 3, 3)), "tid2eid", "twice")
    tensor_case("scales that overflow", values("layers.1.attn.wkv.scale", b"\xfe"), works=True)  # the norm behind it divides it away
    tensor_case("huge head", lambda t: t.update({"head.weight": ["BF16", [256, 32], b"\x7f\x7f" * 8192]}), "finite")
    tensor_case("smallest scales", values("layers.1.attn.wkv.scale", b"\x00"), works=True)
    for name, dtype, shape, size in (
        ("norm.weight", "F8_E4M3", [32], 32), ("norm.weight", "I8", [32], 32), ("norm.weight", "BF16", [33], 66), ("norm.weight", "BF16", [1, 32], 64), ("norm.weight", "F16", [32], 64),
        ("norm.weight", "F64", [32], 256), ("embed.weight", "BF16", [255, 32], 255 * 64), ("embed.weight", "BF16", [256, 31], 256 * 62), ("embed.weight", "I8", [256, 32], 8192),
        ("head.weight", "F8_E4M3", [256, 32], 8192), ("layers.1.attn.wkv.scale", "F32", [1, 1], 4), ("layers.1.attn.wkv.scale", "F8_E8M0", [1], 1), ("layers.1.attn.wkv.scale", "F8_E8M0", [2, 1], 2),
        ("layers.1.attn.wkv.scale", "U8", [1, 1], 1), ("layers.1.attn.wkv.scale", "F8_E8M0", [0, 1], 0), (W1 + ".scale", "F8_E8M0", [32, 2], 64), (W1 + ".scale", "F8_E8M0", [1, 32], 32),
        (W1 + ".weight", "I8", [16, 32], 512), (W1 + ".weight", "I8", [32, 32], 1024), (W1 + ".weight", "U8", [32, 16], 512), (W1 + ".weight", "F4", [32, 16], 256), (W1 + ".weight", "I32", [32, 4], 512),
        (W1 + ".weight", "F8_E5M2", [32, 32], 1024), ("layers.1.attn.wq_b.weight", "I8", [320, 64], 320 * 64), ("layers.1.attn.wq_b.weight", "F8_E5M2", [320, 64], 320 * 64),
        ("layers.0.ffn.gate.tid2eid", "F32", [256, 6], 6144), ("layers.0.ffn.gate.tid2eid", "I64", [255, 6], 255 * 48), ("layers.0.ffn.gate.tid2eid", "I64", [256, 5], 256 * 40),
        ("layers.0.ffn.gate.tid2eid", "I16", [256, 6], 3072), ("layers.0.ffn.gate.tid2eid", "U8", [256, 6], 1536), ("layers.1.ffn.gate.bias", "I8", [8], 8), ("layers.1.ffn.gate.bias", "F32", [9], 36),
        ("layers.1.attn.attn_sink", "F32", [5], 20), ("layers.1.attn.attn_sink", "F32", [], 4), ("layers.1.attn.compressor.ape", "F32", [160, 4], 2560), ("layers.1.attn.compressor.ape", "F32", [16, 80], 5120),
        ("layers.1.hc_attn_fn", "F32", [64, 8], 2048), ("layers.1.hc_attn_fn", "F8_E4M3", [8, 64], 512), ("layers.1.hc_attn_scale", "F32", [1], 4), ("hc_head_scale", "F32", [3], 12),
        ("layers.1.attn.indexer.weights_proj.weight", "BF16", [32, 8], 512), ("mtp.0.e_proj.weight", "F8_E4M3", [32, 64], 2048), ("mtp.0.hc_head_fn", "F32", [2, 32], 256)):
        tensor_case(f"{name} as {dtype} {shape}", stored(name, dtype, shape, size), name)
    for name in ("layers.1.attn.wq_a.weight", "layers.1.attn.wo_a.weight", "layers.1.attn.compressor.wkv.weight", "layers.1.ffn.gate.weight"):
        tensor_case("transposed " + name, transpose(name), name)
    for name in ("norm.weight", "embed.weight", "head.weight", "hc_head_fn", "layers.1.attn.attn_sink", "layers.0.ffn.gate.tid2eid", "layers.1.ffn.gate.bias", "layers.1.attn.wkv.scale", W1 + ".weight",
                 W1 + ".scale", "layers.1.attn.indexer.wq_b.weight", "layers.0.attn.compressor.ape", "mtp.0.e_proj.weight", "mtp.0.norm.weight", "layers.2.ffn.shared_experts.w2.weight"):
        tensor_case("missing " + name, lambda t, n=name: t.pop(n) and None, name)
    for prefix in ("layers.1.ffn.experts.", "layers.1.", "layers.2.attn.", "mtp.0.attn."):
        tensor_case(f"missing {prefix}*", lambda t, p=prefix: [t.pop(n) for n in list(t) if n.startswith(p)] and None, prefix)
    tensor_case("all missing", lambda t: t.clear(), "lacks")
    tensor_case("both names of one", lambda t: t.update({"model.layers.1.input_layernorm.weight": t["layers.1.attn_norm.weight"]}), "input_layernorm")


def whole_tensor_cases():
    tensor_case("no MTP module", lambda t: [t.pop(n) for n in list(t) if n.startswith("mtp.")] and None, works=True)
    tensor_case("names with model.", lambda t: [t.update({"model." + n: t.pop(n)}) for n in list(t)] and None, works=True)
    tensor_case("norms as F32", lambda t: [t[n].__setitem__(slice(0, 3), ["F32", t[n][1], b"".join(b"\0\0" + t[n][2][i : i + 2] for i in range(0, len(t[n][2]), 2))]) for n in t
                                           if n.endswith("norm.weight")] and None, works=True)
    tensor_case("tid2eid as I32", lambda t: t.update({"layers.0.ffn.gate.tid2eid": ["I32", [256, 6], b"".join(t["layers.0.ffn.gate.tid2eid"][2][i : i + 4] for i in range(0, 256 * 48, 8))]}), works=True)
    tensor_case("experts as F4", lambda t: [t[n].__setitem__(slice(0, 2), ["F4", [t[n][1][0], t[n][1][1] * 2]]) for n in t if ".experts." in n and n.endswith(".weight")] and None, works=True)
    case("folder: only inference/config.json", lambda m: ((m / "config.json").unlink(), (m / "inference").symlink_to(m.source / "inference")), works=True)
    case("folder: itself a link", lambda m: (m.path.rename(m.path.with_name("real")), m.path.symlink_to("real")), works=True)
    case("folder: sharded", lambda m: None, works=True, golden="pro")
    case("folder: transformers names", lambda m: None, works=True, golden="hf-names")
    case("folder: DSpark", lambda m: None, works=True, golden="dspark")
    case("folder: odd widths", lambda m: None, works=True, golden="odd")


WHOLE_NUMBERS = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "head_dim", "qk_rope_head_dim", "q_lora_rank", "o_groups", "o_lora_rank", "sliding_window", "index_n_heads",
                 "index_head_dim", "index_topk", "n_routed_experts", "num_experts_per_tok", "moe_intermediate_size", "hc_mult", "hc_sinkhorn_iters", "max_position_embeddings", "n_shared_experts",
                 "rope_scaling__original_max_position_embeddings")
NUMBERS = ("rope_theta", "compress_rope_theta", "routed_scaling_factor", "swiglu_limit", "hc_eps", "rms_norm_eps", "rope_scaling__factor", "rope_scaling__beta_fast", "rope_scaling__beta_slow")
REQUIRED = ("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "head_dim", "qk_rope_head_dim", "q_lora_rank", "o_groups", "o_lora_rank", "sliding_window", "index_n_heads",
            "index_head_dim", "index_topk", "n_routed_experts", "num_experts_per_tok", "moe_intermediate_size", "hc_mult", "hc_sinkhorn_iters", "compress_ratios",
            "rope_scaling__factor", "rope_scaling__original_max_position_embeddings", "rope_scaling__type")


def raw_number(key, text):
    """A number that Python's writer does not write so, in place of a key's value."""
    outer, _, part = key.rpartition("__")

    def damage(m):
        m.config(**{key: "@"})
        m.replace("config.json", (m / "config.json").read_text().replace(f'"{part}": "@"', f'"{part}": {text}'))

    case(f"config: {key} = {text}", damage, "config.json")


def config_number_cases():
    for key in WHOLE_NUMBERS + ("num_hash_layers", "num_nextn_predict_layers"):
        word = key.rsplit("__", 1)[-1]
        for value in (-1, 1 << 40, 1 << 63, 1 << 70, "8", True, 2.5, [4]) + ((0,) if key in WHOLE_NUMBERS else ()):
            config_case(key, value, "config.json", word)
        raw_number(key, "1e309")
    for key in NUMBERS:
        word = key.rsplit("__", 1)[-1]
        for value in (-1, -1e-9, 1e40, "1", True, [1]) + ((0,) if key != "swiglu_limit" else ()):
            config_case(key, value, "config.json", word)
        for text in ("NaN", "Infinity", "1e309", "-1e309", "0x10", "1e", "01"):
            raw_number(key, text)
    for key in REQUIRED:
        config_case(key, None, "config.json", key.rsplit("__", 1)[-1])


def config_choice_cases():
    for key, value in (("o_groups", 3), ("qk_rope_head_dim", 15), ("qk_rope_head_dim", 82), ("num_experts_per_tok", 9), ("index_head_dim", 24), ("index_head_dim", 8), ("num_hash_layers", 4),
                       ("compress_ratios", [16, 4]), ("compress_ratios", [16, 4, 0, 0, 0]), ("compress_ratios", []), ("compress_ratios", [16, -4, 0, 0]), ("compress_ratios", [16, 4, 1 << 40, 0]),
                       ("compress_ratios", [16, 4, 0, 4]), ("compress_ratios", ["16", 4, 0, 0]), ("compress_ratios", 4), ("compress_ratios", "4"), ("compress_ratios", [0] * 100_000),
                       ("compress_ratios", {"0": 4}), ("hc_mult", 100), ("hc_sinkhorn_iters", 10**9), ("rope_theta", 1), ("rope_scaling__factor", 0.5), ("hidden_size", 1 << 30)):
        config_case(key, value, "config.json", key.rsplit("__", 1)[-1])
    for key, bad in (("model_type", ("llama", "deepseek_v3", "", 4, ["deepseek_v4"], True)), ("scoring_func", ("softmax", "sigmoid", 3)), ("topk_method", ("greedy", 1)), ("hidden_act", ("gelu", 1, [])),
                     ("expert_dtype", ("int4", 4, "")), ("torch_dtype", ("int3", 16, "")), ("norm_topk_prob", (False, "yes")), ("attention_bias", (True, "no")), ("tie_word_embeddings", (True, 1)),
                     ("num_key_value_heads", (2, 0, "1")), ("n_shared_experts", (2, 0)), ("rope_scaling__type", ("linear", "dynamic", 3, "")), ("rope_scaling", ([], "yarn", 4, {})),
                     ("quantization_config", ([], "fp8", 8)), ("quantization_config__quant_method", ("awq", 3)), ("quantization_config__fmt", ("e5m2",)), ("quantization_config__scale_fmt", ("float",)),
                     ("quantization_config__weight_block_size", ([64, 64], [128], 128, [128, 0], "128")), ("bos_token_id", (-1, 256, "0", 1.5)), ("eos_token_id", (-1, 1 << 40, [1, -1])),
                     ("architectures", (["LlamaForCausalLM"], "x", 3))):
        for value in bad:
            config_case(key, value, "config.json", key.rsplit("__", 1)[-1])
    for key, value in (("vocab_size", 255), ("hidden_size", 64), ("num_hidden_layers", 2), ("head_dim", 64), ("q_lora_rank", 32), ("n_routed_experts", 16), ("moe_intermediate_size", 64), ("hc_mult", 4),
                       ("index_n_heads", 4), ("num_attention_heads", 8), ("o_lora_rank", 16), ("num_experts_per_tok", 2), ("num_hash_layers", 0)):
        config_case(key, value)  # fits the file no more


def config_text_cases():
    for name, text in (("empty", b""), ("spaces", b"   \n"), ("null", b"null"), ("a list", b"[{}]"), ("a string", b'"deepseek_v4"'), ("no keys", b"{}"), ("cut", b'{"model_type": "deepseek_v4", "vocab'),
                       ("deep lists", b"[" * 100_000), ("deep objects", b'{"a":' * 100_000), ("deep inside", b'{"model_type": "deepseek_v4", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
                       ("100 MB", b" " * 100_000_000), ("binary", bytes(range(256)) * 16), ("UTF-16", '{"model_type": "deepseek_v4"}'.encode("utf-16")), ("one quote", b'"'), ("comment", b"// x\n{}")):
        file_case("config is " + name, text, file="config.json")
    case("config: a key twice", lambda m: m.replace("config.json", (m / "config.json").read_bytes().replace(b'"vocab_size"', b'"vocab_size": 256, "vocab_size"', 1)), "vocab_size", "twice")
    case("config: invalid UTF-8", lambda m: m.replace("config.json", (m / "config.json").read_bytes().replace(b"silu", b"si\xff\xfelu", 1)), "config.json")
    case("config: NUL and garbage behind", lambda m: m.replace("config.json", (m / "config.json").read_bytes() + b"\0}"), "config.json", "NUL")
    case("config: garbage behind", lambda m: m.replace("config.json", (m / "config.json").read_bytes() + b"}"), "config.json")


def whole_config_cases():
    for key, value in (("max_position_embeddings", 5), ("rope_scaling", None), ("rope_scaling__beta_fast", None), ("quantization_config", None), ("torch_dtype", None), ("torch_dtype", "float32"),
                       ("eos_token_id", [1, 2]), ("bos_token_id", None), ("unknown_key", {"a": [1, 2, {"b": None}]}), ("num_nextn_predict_layers", None), ("architectures", None), ("swiglu_limit", None),
                       ("sliding_window", 1), ("sliding_window", 1 << 20), ("index_topk", 1), ("index_topk", 1 << 20), ("qk_rope_head_dim", 2), ("qk_rope_head_dim", 32), ("hc_sinkhorn_iters", 1),
                       ("rope_scaling__original_max_position_embeddings", 1), ("rope_scaling__factor", 1), ("rope_scaling__factor", 1e6), ("swiglu_limit", 0), ("rope_theta", 1e12), ("transformers_version", None),
                       ("rope_scaling__rope_type", "yarn"), ("hidden_act", None), ("max_position_embeddings", 1 << 27), ("routed_scaling_factor", 1e-3), ("hc_eps", 1e-12), ("attention_dropout", 0.1)):
        config_case(key, value, works=True)
    config_case("max_position_embeddings", 4, "max_position_embeddings")  # the prompt has five tokens
    case("config: o_groups = 1, odd", lambda m: None, works=True, golden="odd")


def inference_only(key, value):
    """The folder without config.json, a key of inference/config.json changed."""

    def damage(m):
        (m / "config.json").unlink()
        (m / "inference").mkdir()
        config = json.loads((m.source / "inference" / "config.json").read_text())
        config.pop(key, None)
        (m / "inference" / "config.json").write_text(json.dumps(config if value is None else {**config, key: value}))

    return damage


def stack(layer, which, dtype, shape, size):
    return lambda m: m.tensors(lambda t: t.update({f"model.layers.{layer}.mlp.experts.{which}": [dtype, shape, bytes(size)]}))


def variant_cases():
    for key, value in (("dim", 0), ("dim", None), ("n_layers", -1), ("n_heads", "4"), ("window_size", 0), ("compress_ratios", None), ("score_func", "softmax"), ("rope_head_dim", 1 << 40), ("norm_eps", 0),
                       ("scale_fmt", "float"), ("n_mtp_layers", -1), ("rope_factor", 0), ("original_seq_len", -5), ("original_seq_len", 1e300), ("expert_dtype", "fp2"), ("n_activated_experts", 100)):
        case(f"inference/config: {key} = {value}", inference_only(key, value), "inference/config.json", key)
    for key, value in (("original_seq_len", 0), ("rope_factor", 2.5), ("n_mtp_layers", None), ("unknown", [])):
        case(f"inference/config: {key} = {value}", inference_only(key, value), works=True)
    for key, value in (("dspark_block_size", 0), ("dspark_block_size", 1 << 40), ("dspark_noise_token_id", 1 << 30), ("dspark_noise_token_id", -1), ("dspark_markov_rank", 0), ("dspark_markov_rank", 7),
                       ("dspark_target_layer_ids", []), ("dspark_target_layer_ids", [0, 0]), ("dspark_target_layer_ids", [-1]), ("dspark_target_layer_ids", [1 << 40]), ("dspark_target_layer_ids", 1),
                       ("dspark_target_layer_ids", [[]]), ("dspark_noise_token_id", None)):
        case(f"DSpark: {key} = {value}", lambda m, k=key, v=value: m.config(**{k: v}), golden="dspark")
    case("DSpark: no drafter's tensors", lambda m: m.tensors(lambda t: [t.pop(n) for n in list(t) if n.startswith("mtp.")] and None), works=True, golden="dspark")
    case("DSpark: one stage lost", lambda m: m.tensors(lambda t: [t.pop(n) for n in list(t) if n.startswith("mtp.1.")] and None), "mtp.1.", golden="dspark")
    for which, dtype, shape, size in (("gate_up_proj", "BF16", [11, 64, 64], 11 * 8192), ("gate_up_proj", "BF16", [12, 64, 32], 12 * 4096), ("gate_up_proj", "BF16", [12, 4096], 12 * 8192), ("gate_up_proj", "F16", [12, 64, 64], 12 * 8192),
                                      ("down_proj", "BF16", [12, 32, 64], 12 * 4096), ("down_proj", "F8_E4M3", [12, 64, 32], 12 * 2048), ("down_proj", "BF16", [0, 64, 32], 0), ("down_proj", "I64", [12, 64, 32], 12 * 16384)):
        case(f"stack: {which} as {dtype} {shape}", stack(1, which, dtype, shape, size), "layers.1.", golden="hf-names")
    case("stack: missing", lambda m: m.tensors(lambda t: t.pop("model.layers.2.mlp.experts.down_proj") and None), "layers.2.ffn.experts", golden="hf-names")
    case("stack: NaN", lambda m: m.tensors(values("model.layers.2.mlp.experts.down_proj", b"\xc0\x7f", -2)), "layers.2.ffn.experts.11.w2", golden="hf-names")
    types = ["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"]

    def layer_types(kinds, **more):
        return lambda m: m.config(compress_ratios=None, layer_types=kinds, **{"compress_rates": {"heavily_compressed_attention": 8}, **more})

    case("layer_types", layer_types(types), works=True, golden="hf-names")
    case("layer_types and mlp_layer_types", layer_types(types, num_hash_layers=None, mlp_layer_types=["hash_moe", "moe", "moe"]), works=True, golden="hf-names")
    for kinds in (types[:2], [*types, types[0]], [*types[:2], "full_attention"], "sliding_attention", [1, 2, 3], [], {}):
        case(f"layer_types {str(kinds)[:60]}", layer_types(kinds), "layer_types", golden="hf-names")
    for rates in ({"compressed_sparse_attention": 8}, {"heavily_compressed_attention": 4}, {"heavily_compressed_attention": 0}, {"heavily_compressed_attention": "x"}, [], 3):
        case(f"compress_rates {rates}", layer_types(types, compress_rates=rates), golden="hf-names")
    for kinds in (["moe", "hash_moe", "moe"], ["hash_moe"], ["dense"] * 3, "moe", [None] * 3):
        case(f"mlp_layer_types {kinds}", lambda m, k=kinds: m.config(num_hash_layers=None, mlp_layer_types=k), "mlp_layer_types", golden="hf-names")
    yarn = {"rope_type": "yarn", "factor": 16, "original_max_position_embeddings": 256, "beta_fast": 32, "beta_slow": 1, "rope_theta": 160000}
    main = {"rope_type": "default", "rope_theta": 10000}
    case("rope_parameters", lambda m: m.config(rope_scaling=None, rope_parameters={"main": main, "compress": yarn}), works=True, golden="hf-names")
    for compress in ({**yarn, "factor": 0}, {**yarn, "rope_type": "llama3"}, {**yarn, "rope_theta": -1}, {**yarn, "rope_theta": "x"}, [], "yarn", {**yarn, "beta_fast": 0.5}):
        case(f"rope_parameters.compress {str(compress)[:70]}", lambda m, c=compress: m.config(rope_scaling=None, rope_parameters={"main": main, "compress": c}), "config.json", golden="hf-names")


def check(program_folder, entry):
    """What is wrong with the program's answer to one case, or nothing."""
    name, golden, damage, works, words = entry
    with tempfile.TemporaryDirectory(dir=program_folder) as folder:
        folder = pathlib.Path(folder)
        model = ModelFolder(folder, golden)
        damage(model)
        out = folder / "out.safetensors"
        started = time.monotonic()
        done = program.run("logits", "--model", model.path, "--tokens", model.tokens, "--out", out, "--threads", 1)
        seconds = time.monotonic() - started
        message = done.stderr.decode(errors="backslashreplace")
        problems = [f"leftover {path.name}" for path in folder.rglob("*.partial-*")]
        if seconds > 20:
            problems.append(f"took {seconds:.1f} s")
        if works and (done.returncode != 0 or not out.exists()):
            problems.append(f"exit {done.returncode}, expected it to work")
        if not works:
            problems += [f"exit {done.returncode}"] * (not 1 <= done.returncode <= 125) + ["output written"] * out.exists()
            problems += [f"{len(message.splitlines())} lines of message"] * (not 1 <= len(message.splitlines()) <= 40)
            problems += [f"message without {word!r}" for word in words if word not in message]
        if os.environ.get("BALEEN_SHOW_MESSAGES"):
            print(f"{name} [{done.returncode}, {seconds:.2f} s]\n    {message[:600].strip()}")
        return [f"{name}: {problem}: {message[:300].strip()}" for problem in problems]


class DamagedModels(unittest.TestCase):
    def test_every_case(self):
        for add in (file_cases, header_cases, layout_cases, index_cases, tensor_cases, whole_tensor_cases, config_number_cases, config_choice_cases, config_text_cases, whole_config_cases, variant_cases):
            add()
        chosen = [entry for entry in CASES if os.environ.get("BALEEN_CASE", "") in entry[0]]
        with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as team:
            problems = [problem for found in team.map(lambda entry: check(folder, entry), chosen) for problem in found]
        print(f"{len(chosen)} cases", file=sys.stderr)
        self.assertEqual(problems, [], "\n".join(problems))


if __name__ == "__main__":
    unittest.main()
