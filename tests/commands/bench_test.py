"""`baleen bench`: what the reports hold, and flags and files that make no sense. Nothing here asks how fast the machine is."""

import json
import unittest

import program
from program import run

SHORT = ("--op", "linear", "--format", "mxfp4", "--rows", "1", "--seconds", "0.2")


class Kernels(program.Case):
    def test_report(self):
        report = json.loads(self.answered(run("bench", "kernels", *SHORT, "--json")))
        machine, rows = report["machine"], report["rows"]
        self.assertIn(machine["probe"], ("fast", "slow"))
        self.assertGreater(machine["read_bytes_per_s"], 1e8)
        self.assertGreater(machine["tile_bf16_flops"], 1e8)
        self.assertEqual({row["op"] for row in rows}, {"linear"})
        self.assertEqual({row["format"] for row in rows}, {"mxfp4"})
        self.assertEqual({row["place"] for row in rows}, {"ram", "l2"})
        for row in rows:
            self.assertEqual(set(row), {"op", "format", "isa", "arithmetic", "rows", "n", "k", "place", "threads", "seconds", "clean", "repetitions", "probe", "of_bandwidth",
                                        "of_tile_rate", "hash"})
            self.assertGreater(row["seconds"], 0)
            self.assertGreaterEqual(row["repetitions"], 3)
            self.assertLessEqual(row["clean"], row["repetitions"])
            self.assertAlmostEqual(row["of_bandwidth"] * machine["read_bytes_per_s"] * row["seconds"] / (row["n"] * row["k"]), 17 / 32 * self.loops(row, machine), delta=1e-3)

    def loops(self, row, machine):
        """How often a repetition goes over its matrices, from the operations that it counts."""
        return row["of_tile_rate"] * machine["tile_bf16_flops"] * row["seconds"] / (2 * row["rows"] * row["n"] * row["k"])

    def test_outputs_do_not_depend_on_threads_or_instructions(self):
        def hashes(*flags, environment=None):
            rows = json.loads(self.answered(run("bench", "kernels", *SHORT, *flags, "--json", environment=environment)))["rows"]
            return {(row["arithmetic"], row["place"], row["rows"], row["n"], row["k"]): row["hash"] for row in rows}

        one, two = hashes("--threads", "1"), hashes("--threads", "2")
        self.assertEqual(one, two)
        self.assertEqual(one, hashes(environment={"BALEEN_ISA": "avx2"}))

    def test_every_kernel(self):
        csv, svg = self.folder / "kernels.csv", self.folder / "kernels.svg"
        text = self.answered(run("bench", "kernels", "--op", "attend", "--op", "top_k", "--op", "index_score", "--seconds", "0.2", "--csv", csv, "--svg", svg))
        for word in ("attend", "top_k", "index_score", "B, read", "R, "):
            self.assertIn(word, text)
        self.assertEqual(len(csv.read_text().splitlines()), 4)
        self.assertIn("</svg>", svg.read_text())

    def test_refused(self):
        for flags in (("--op", "sort"), ("--format", "int3"), ("--rows", "0"), ("--rows", "257"), ("--seconds", "0"), ("--seconds", "nan"), ("--threads", "0"), ("--threads", "x"),
                      ("--seconds",), ("extra",), ("--op", "attend", "--format", "bf16"), ("--op", "linear", "--rows", "3")):
            with self.subTest(flags):
                self.refused(run("bench", "kernels", *flags), flags[0])
        self.refused(run("bench", "kernels", *SHORT, "--csv", self.folder / "absent" / "x.csv"), "x.csv")
        self.refused(run("bench", "kernels", *SHORT, environment={"BALEEN_ISA": "mmx"}), "BALEEN_ISA")


class Against(program.Case):
    OURS = ("--ours", "tokenize --help")

    def test_compares(self):
        report = json.loads(self.answered(run("bench", "--against", "sleep 0.05", *self.OURS, "--rounds", "3", "--json")))
        self.assertEqual(report["rounds"], 3)
        self.assertEqual(len(report["ours"]["seconds"]), 3)
        for seconds in report["theirs"]["seconds"]:
            self.assertGreaterEqual(seconds, 0.05)
        self.assertGreater(report["theirs_to_ours_seconds"], 0)
        self.assertIn("theirs / ours", self.answered(run("bench", "--against", "true", *self.OURS, "--rounds", "1")))

    def test_the_time_is_over(self):
        text = self.answered(run("bench", "--against", f"cd '{self.folder}'; test -e seen && sleep 100; test -e once && touch seen; touch once; true", *self.OURS,
                                 "--seconds", "3", "--json"))
        self.assertEqual(json.loads(text)["rounds"], 1)

    def test_refused(self):
        self.refused(run("bench"), "--against")
        self.refused(run("bench", "--against"), "--against")
        self.refused(run("bench", "--against", " "), "--against")
        self.refused(run("bench", "--rounds", "3"), "--against")
        self.refused(run("bench", "--against", "true", "kernels"), "--against")
        self.refused(run("bench", "--against", "true", "--rounds", "0"), "--rounds")
        self.refused(run("bench", "--against", "true", "--seconds", "nan"), "--seconds")
        self.refused(run("bench", "--against", "echo trouble >&2; exit 3", *self.OURS), "trouble")
        self.refused(run("bench", "--against", "/nowhere/engine", *self.OURS), "/nowhere/engine")
        self.refused(run("bench", "--against", "kill -9 $$", *self.OURS), "signal 9")
        self.refused(run("bench", "--against", "sleep 100", *self.OURS, "--seconds", "1"), "--seconds")
        self.refused(run("bench", "--against", "true", "--ours", "no-such-command"), "no-such-command")


class Engine(program.Case):
    def report(self, *flags):
        return json.loads(self.answered(run("bench", "engine", "--no-verify", "--repeats", "1", "--json", *flags)))

    def test_report(self):
        report = self.report("--requests", "3", "--prompt", "20", "--answer", "5", "--parallel", "2")
        self.assertEqual((report["parallel"], report["load"]["completion_tokens"], report["load"]["failed"]), (2, 15, 0))
        self.assertEqual((len(report["alone_tokens_per_second"]), len(report["together_tokens_per_second"])), (1, 1))
        self.assertAlmostEqual(report["ratio"], report["together_tokens_per_second"][0] / report["alone_tokens_per_second"][0], places=6)

    def test_small_context(self):
        report = self.report("--context", "30", "--requests", "1", "--prompt", "8", "--answer", "4", "--parallel", "2")
        self.assertEqual((report["batch_prompt_tokens"], report["batch_answer_tokens"]), (16, 14))

    def test_the_time_is_over(self):
        report = self.report("--requests", "100000", "--rate", "20", "--answer", "4", "--prompt", "8", "--parallel", "2", "--context", "40", "--seconds", "1.5")
        self.assertLess(report["load"]["seconds"], 5)
        self.assertGreater(report["load"]["completion_tokens"], 0)
        self.assertEqual((len(report["alone_tokens_per_second"]), len(report["together_tokens_per_second"])), (1, 1))

    def test_refused(self):
        self.refused(run("bench", "engine", "--seconds", "nan"), "--seconds")
        self.refused(run("bench", "engine", "--trace", self.folder / "absent.jsonl"), "absent.jsonl")
        self.refused(run("bench", "engine", "--trace", self.file("t.jsonl", b'{"at": 0}\n')), "line 1", "prompt_tokens")
        self.refused(run("bench", "engine", "--context", "30", "--repeats", "1", "--prompt", "64"), "prompt")
        for rate in ("-1", "nan", "inf"):
            self.refused(run("bench", "engine", "--rate", rate), "--rate")


class Model(program.Case):
    def report(self, *flags, **how):
        return json.loads(self.answered(run("bench", "model", "--json", *flags, **how)))

    def test_report(self):
        report = self.report("--prompt", "40", "--decode", "4", "--repeats", "1")
        self.assertEqual((report["prompt_tokens"], report["decode_tokens"], len(report["decode_tokens_per_second"])), (40, 4, 2))
        self.assertLess(abs(report["taken_bytes"] / report["planned_bytes"] - 1), 0.2)
        self.assertEqual(report["heap_growth_bytes_in_decode"], 0)

    def test_lines_and_operations(self):
        report = self.report("--contexts", "30,90,200", "--decode", "5", "--repeats", "1")
        self.assertEqual([(line["phase"], line["context"], line["tokens"]) for line in report["lines"]],
                         [("prefill", 30, 30), ("decode", 30, 5), ("prefill", 90, 55), ("decode", 90, 5), ("prefill", 200, 105), ("decode", 200, 5)])
        for line in report["lines"]:
            operations = [op for op in report["operations"] if (op["phase"], op["context"]) == (line["phase"], line["context"])]
            spent = sum(op["seconds"] for op in operations)
            self.assertLessEqual(spent, line["watched_seconds"])
            self.assertGreater(spent, 0.5 * line["watched_seconds"])
            for figure in ("weight_bytes", "cache_bytes", "flops"):
                self.assertAlmostEqual(sum(op[figure] for op in operations), line[figure], delta=1)
            for name in ("linear", "run_experts", "attend", "collapse"):
                self.assertIn(name, {op["op"] for op in operations})

    def test_a_decode_moves_what_the_checkpoint_holds(self):
        """Every matrix that a token meets is counted once a step, in its stored size; experts: the chosen two and the shared one."""
        steps = 3
        report = self.report("--prompt", "20", "--decode", str(steps), "--repeats", "0")
        self.assertEqual(report["operations"], [])  # a single pass is not watched
        report = self.report("--prompt", "20", "--decode", str(steps), "--repeats", "1")
        config = json.loads((program.REPOSITORY / "models" / "plankton" / "config.json").read_text())
        d, layers, vocab, hidden = (config[name] for name in ("hidden_size", "num_hidden_layers", "vocab_size", "moe_intermediate_size"))
        decode = [op for op in report["operations"] if op["phase"] == "decode"]
        head = [op for op in decode if op["shape"].startswith(f"{vocab} x {d} ")]
        self.assertEqual([(op["calls"], op["weight_bytes"]) for op in head], [(steps, steps * 2 * vocab * d)])
        experts = [op for op in decode if op["op"] == "run_experts"]
        routed, shared = 3 * hidden * d * 17 / 32, 3 * (hidden * d + hidden * d // 128 ** 2)
        self.assertEqual([(op["calls"], op["weight_bytes"]) for op in experts],
                         [(steps * layers, steps * layers * (config["num_experts_per_tok"] * routed + config["n_shared_experts"] * shared))])
        window = sum(min(20 + i + 1, config["sliding_window"]) for i in range(steps))
        attend = [op for op in decode if op["op"] == "attend"]
        entries = sum((20 + i + 1) // ratio for i in range(steps) for ratio in config["compress_ratios"][:layers] if ratio)
        nope, rope = config["head_dim"] - config["qk_rope_head_dim"], config["qk_rope_head_dim"]
        row = attend[0]["cache_bytes"] / (layers * window + entries)
        self.assertEqual(row, int(row))
        self.assertGreaterEqual(row, nope + 2 * rope + nope // 64)
        self.assertLessEqual(row, nope + 2 * rope + nope // 64 + 64)

    def test_outputs_do_not_depend_on_chunks_threads_or_passes(self):
        def measured(*flags):
            report = self.report("--contexts", "40,150", "--decode", "6", "--repeats", "1", *flags)
            return [line["hash"] for line in report["lines"]], report["planned_bytes"]

        one, planned = measured("--threads", "1")
        self.assertEqual(len(set(one)), 4)
        self.assertEqual(one, measured("--threads", "2")[0])
        in_chunks, less = measured("--threads", "1", "--chunk", "7")
        self.assertEqual(one, in_chunks)
        self.assertLess(less, planned)

    def test_files(self):
        csv, page = self.folder / "model.csv", self.folder / "model.html"
        text = self.answered(run("bench", "model", "--contexts", "20,60", "--decode", "2", "--repeats", "1", "--csv", csv, "--html", page))
        for word in ("B, read", "R, ", "prefill", "decode", "of roof", "run_experts"):
            self.assertIn(word, text)
        lines = csv.read_text().splitlines()
        self.assertEqual(lines[0].split(",")[:3], ["phase", "context", "op"])
        self.assertEqual({len(line.split(",")) for line in lines}, {len(lines[0].split(","))})
        self.assertEqual([tuple(line.split(",")[:3]) for line in lines if ",all," in line],
                         [("prefill", "20", "all"), ("decode", "20", "all"), ("prefill", "60", "all"), ("decode", "60", "all")])
        html = page.read_text()
        self.assertTrue(html.startswith("<!DOCTYPE html>") and html.endswith("</html>\n"))
        self.assertEqual(html.count("<svg"), html.count("</svg>"))
        self.assertNotIn("http", html.replace("http-equiv", ""))

    def test_the_time_is_over(self):
        report = self.report("--contexts", "16,100000", "--decode", "2", "--seconds", "2")
        self.assertEqual([line["context"] for line in report["lines"]], [16, 16])
        self.refused(run("bench", "model", "--prompt", "100000", "--seconds", "0.5"), "--seconds", "100000")

    def test_refused(self):
        self.refused(run("bench"), "model", "engine", "kernels")
        self.refused(run("bench", "model", "--model", self.folder), "config.json")
        for flags in (("--decode", "0"), ("--contexts", "0"), ("--contexts", "20,x"), ("--contexts", "100,50"), ("--contexts", "100,101"), ("--contexts", "1048576"), ("--prompt", "1048570"),
                      ("--prompt", "5", "--contexts", "5"), ("--seconds", "nan"), ("--seconds", "0"), ("--repeats", "-1"), ("--chunk", "0")):
            with self.subTest(flags):
                self.refused(run("bench", "model", *flags), flags[0])
        self.refused(run("bench", "model", "--prompt", "8", "--decode", "1", "--repeats", "0", "--csv", self.folder / "absent" / "x.csv"), "x.csv")


if __name__ == "__main__":
    unittest.main()
