#!/usr/bin/env python3
"""Peak transient memory of one V4 layer in a prefill: PyTorch eager against baleen, the same shapes.

  python3 bench/pytorch_memory.py --program build/apps/baleen [--tokens 2048] [--preset v4-flash] [--most 0.10] [--json]

PyTorch: the layer as the specification writes it, whole tensors in bf16 (statistics in fp32), one layer with compression ratio 4, its indexer and its
experts. Live bytes are counted at every operation by a dispatch mode; weights, the layer's input and what operations hold inside are not counted, which
favours PyTorch. baleen: everything that the plan holds beside the weights for a model of such layers and such a prefill (activations, caches of all
layers, logits, threads' scratch), which favours PyTorch too; that the plan is what is taken is in the same report and is checked.
Exit codes: 0 within --most; 1 above it; 2 something is missing. Needs torch; nothing else of the project does."""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import weakref

import_error = None
try:
    import torch
    import torch.nn.functional as functional
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves
except ImportError as error:
    import_error, TorchDispatchMode = error, object

LAYERS, EXPERTS = 3, 8  # of the twin: the third layer is the first with ratio 4; experts that no token chooses take no transient memory
CHUNK = 256  # tokens of a step: the transient memory grows with it, and speed a little


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all storages that operations make, while they live."""

    def __init__(self):
        super().__init__()
        self.live = self.peak = 0
        self.known = weakref.WeakSet()

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        result = operation(*arguments, **(named or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self.see(tensor.untyped_storage())
        return result

    def know(self, tensors):
        """What is there already."""
        for tensor in tensors:
            self.known.add(tensor.untyped_storage())

    def see(self, storage):
        if storage in self.known:
            return
        self.known.add(storage)
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self.drop, size)

    def drop(self, size):
        self.live -= size


def weight(*shape):
    return torch.randn(*shape, dtype=torch.bfloat16) * shape[-1] ** -0.5


class Layer:
    """The weights of one layer of ratio 4; the forward pass of §2 to §6 of the specification, every step a tensor."""

    def __init__(self, c):
        d, h, self.c = c["hidden_size"], c["num_attention_heads"], c
        groups, rank, dim, q = c["o_groups"], c["o_lora_rank"], c["head_dim"], c["q_lora_rank"]
        n = c["hc_mult"]
        self.mix = [torch.randn((2 + n) * n, n * d) * (n * d) ** -0.5 for _ in range(2)]
        self.q_down, self.q_up, self.kv = weight(q, d), weight(h * dim, q), weight(dim, d)
        self.o_down, self.o_up = weight(groups, rank, h * dim // groups), weight(d, groups * rank)
        self.value, self.gate = weight(2 * dim, d), weight(2 * dim, d)
        self.index_q, self.index_weight = weight(c["index_n_heads"] * c["index_head_dim"], q), weight(c["index_n_heads"], d)
        self.index_value, self.index_gate = weight(2 * c["index_head_dim"], d), weight(2 * c["index_head_dim"], d)
        self.router = weight(c["n_routed_experts"], d)
        inner = c["moe_intermediate_size"]
        self.experts = [(weight(inner, d), weight(inner, d), weight(d, inner)) for _ in range(c["n_routed_experts"] + 1)]

    def tensors(self):
        for value in vars(self).values():
            yield from (tensor for tensor in tree_leaves(value) if isinstance(tensor, torch.Tensor))

    def norm(self, x):
        y = x.float()
        return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + self.c["rms_norm_eps"])).to(x.dtype)

    def rotate(self, x, positions):
        """The last channels of x [tokens, heads, dim] turned by their positions."""
        rope = self.c["qk_rope_head_dim"]
        angle = positions[:, None].float() * self.c["compress_rope_theta"] ** (-torch.arange(0, rope, 2).float() / rope)
        pairs = x[..., -rope:].float().unflatten(-1, (-1, 2))
        cosine, sine = angle.cos()[:, None], angle.sin()[:, None]
        turned = torch.stack((pairs[..., 0] * cosine - pairs[..., 1] * sine, pairs[..., 1] * cosine + pairs[..., 0] * sine), -1).flatten(-2)
        return torch.cat((x[..., :-rope], turned.to(x.dtype)), -1)

    def collapse(self, streams, site):
        """The mix of a hyper-connection site and its input: (x, post, comb)."""
        n = self.c["hc_mult"]
        flat = streams.flatten(1).float()
        raw = functional.linear(flat, self.mix[site]) * torch.rsqrt(flat.square().mean(-1, keepdim=True) + self.c["rms_norm_eps"])
        pre, post, comb = raw[:, :n].sigmoid(), 2 * raw[:, n:2 * n].sigmoid(), raw[:, 2 * n:].unflatten(-1, (n, n)).softmax(-1)
        for _ in range(self.c["hc_sinkhorn_iters"]):
            comb = comb / (comb.sum(-2, keepdim=True) + self.c["hc_eps"])
            comb = comb / (comb.sum(-1, keepdim=True) + self.c["hc_eps"])
        return self.norm((pre[..., None] * streams.float()).sum(1).to(streams.dtype)), post, comb

    def expand(self, streams, y, post, comb):
        return (post[..., None] * y.float()[:, None] + torch.einsum("tij,tid->tjd", comb, streams.float())).to(streams.dtype)

    def compress(self, x, value, gate):
        """Windows of 8 tokens, 4 apart, pooled by a softmax: [tokens / 4, channels]."""
        dim = value.shape[0] // 2
        values, gates = functional.linear(x, value).float(), functional.linear(x, gate).float()
        halves = [t.unflatten(0, (-1, 4)) for t in (values, gates)]
        before = [functional.pad(t[:-1, :, :dim], (0, 0, 0, 0, 1, 0)) for t in halves]
        both = [torch.cat((b, t[..., dim:]), 1) for b, t in zip(before, halves)]
        return self.norm((both[0] * both[1].softmax(1)).sum(1).to(x.dtype))

    def choose(self, x, low, visible):
        c = self.c
        q = functional.linear(low, self.index_q).unflatten(-1, (c["index_n_heads"], -1))
        keys = self.compress(x, self.index_value, self.index_gate)
        scores = torch.einsum("thd,sd->tsh", q, keys).relu()
        scores = (scores * functional.linear(x, self.index_weight)[:, None]).sum(-1)
        scores = scores.masked_fill(torch.arange(keys.shape[0])[None] >= visible[:, None], float("-inf"))
        return scores.topk(min(c["index_topk"], keys.shape[0]), -1).indices

    def attend(self, x):
        c, tokens = self.c, x.shape[0]
        positions = torch.arange(tokens)
        low = self.norm(functional.linear(x, self.q_down))
        q = self.rotate(self.norm(functional.linear(low, self.q_up).unflatten(-1, (c["num_attention_heads"], -1))), positions)
        kv = self.rotate(self.norm(functional.linear(x, self.kv))[:, None], positions)[:, 0]
        entries, visible = self.compress(x, self.value, self.gate), (positions + 1) // 4
        chosen = self.choose(x, low, visible)
        window = positions[:, None] - torch.arange(c["sliding_window"])[None]
        index = torch.cat((window.clamp(min=0), tokens + chosen), 1)
        hidden = torch.cat((window < 0, chosen >= visible[:, None]), 1)
        rows = torch.cat((kv, entries))[index]  # [tokens, window + chosen, dim]
        scores = torch.einsum("thd,tsd->ths", q, rows).float() * c["head_dim"] ** -0.5
        share = scores.masked_fill(hidden[:, None], float("-inf")).softmax(-1).to(x.dtype)
        out = self.rotate(torch.einsum("ths,tsd->thd", share, rows), -positions)
        out = torch.einsum("tgi,gri->tgr", out.flatten(1).unflatten(-1, (c["o_groups"], -1)), self.o_down)
        return functional.linear(out.flatten(1), self.o_up)

    def expert(self, x, e):
        gate, up, down = self.experts[e]
        limit = self.c["swiglu_limit"]
        hidden = functional.silu(functional.linear(x, gate).float().clamp(max=limit)) * functional.linear(x, up).float().clamp(-limit, limit)
        return functional.linear(hidden.to(x.dtype), down)

    def mixture(self, x):
        c = self.c
        scores = functional.softplus(functional.linear(x, self.router).float()).sqrt()
        weights, chosen = scores.topk(c["num_experts_per_tok"], -1)
        weights = weights / weights.sum(-1, keepdim=True) * c["routed_scaling_factor"]
        y = torch.zeros(x.shape, dtype=torch.float32)
        for e in range(c["n_routed_experts"]):
            row, slot = (chosen == e).nonzero(as_tuple=True)
            y[row] += self.expert(x[row], e).float() * weights[row, slot, None]
        return (y + self.expert(x, c["n_routed_experts"])).to(x.dtype)

    def forward(self, streams):
        for site, half in ((0, self.attend), (1, self.mixture)):
            x, post, comb = self.collapse(streams, site)
            streams = self.expand(streams, half(x), post, comb)
        return streams


def pytorch_peak(config, tokens):
    with torch.no_grad():
        layer = Layer(config)
        streams = torch.randn(tokens, config["hc_mult"], config["hidden_size"], dtype=torch.bfloat16)
        counter = LiveBytes()
        counter.know([streams, *layer.tensors()])
        with counter:
            result = layer.forward(streams)
        if not torch.isfinite(result).all():
            sys.exit("pytorch_memory: the layer's result is not finite")
        return counter.peak


def run(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        print(f"pytorch_memory: {' '.join(map(str, arguments))} failed: {done.stderr.strip()}", file=sys.stderr)
        sys.exit(2)
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="the baleen program")
    parser.add_argument("--tokens", type=int, default=2048, help="tokens of the prefill, a multiple of 4 (default 2048)")
    parser.add_argument("--preset", default="v4-flash", help="shapes, as baleen twin knows them")
    parser.add_argument("--most", type=float, default=0.10, help="largest ratio that passes")
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args()
    if flags.tokens < 8 or flags.tokens % 4 != 0:
        parser.error(f"--tokens: expected a multiple of 4 from 8 up, found {flags.tokens}")
    if import_error is not None:
        print(f"pytorch_memory: torch is not installed: {import_error}", file=sys.stderr)
        sys.exit(2)
    with tempfile.TemporaryDirectory() as folder:
        run(flags.program, "twin", "--preset", flags.preset, "--layers", LAYERS, "--experts", EXPERTS, "--out", folder + "/twin")
        ours = json.loads(run(flags.program, "bench", "model", "--model", folder + "/twin", "--prompt", flags.tokens, "--decode", 1, "--chunk", CHUNK, "--repeats", 1, "--no-verify", "--json"))
        config = json.loads(pathlib.Path(folder, "twin", "config.json").read_text())
    planned, taken = ours["planned_bytes"], ours["taken_bytes"]
    if taken > 1.01 * planned:
        sys.exit(f"pytorch_memory: the plan said {planned} bytes, {taken} were taken")
    eager = pytorch_peak(config, flags.tokens)
    report = {"preset": flags.preset, "tokens": flags.tokens, "torch": torch.__version__, "pytorch_bytes": eager, "baleen_bytes": planned, "ratio": planned / eager, "most": flags.most}
    if flags.json:
        print(json.dumps(report))
    else:
        print(f"prefill of {flags.tokens} tokens, {flags.preset}: PyTorch {torch.__version__} eager {eager / 2**20:.0f} MiB for one layer, baleen {planned / 2**20:.0f} MiB in all, "
              f"ratio {planned / eager:.3f} (at most {flags.most})")
    sys.exit(0 if planned <= flags.most * eager else 1)


if __name__ == "__main__":
    main()
