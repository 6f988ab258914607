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

    def test_refused(self):
        self.refused(run("bench", "engine", "--trace", self.folder / "absent.jsonl"), "absent.jsonl")
        self.refused(run("bench", "engine", "--trace", self.file("t.jsonl", b'{"at": 0}\n')), "line 1", "prompt_tokens")
        self.refused(run("bench", "engine", "--context", "30", "--repeats", "1", "--prompt", "64"), "prompt")
        for rate in ("-1", "nan", "inf"):
            self.refused(run("bench", "engine", "--rate", rate), "--rate")


class Model(program.Case):
    def test_report(self):
        report = json.loads(self.answered(run("bench", "model", "--prompt", "40", "--decode", "4", "--repeats", "1", "--json")))
        self.assertEqual((report["prompt_tokens"], report["decode_tokens"], len(report["decode_tokens_per_second"])), (40, 4, 2))
        self.assertLess(abs(report["taken_bytes"] / report["planned_bytes"] - 1), 0.2)

    def test_chunk_changes_no_output(self):
        reports = [json.loads(self.answered(run("bench", "model", "--prompt", "40", "--decode", "4", "--repeats", "1", "--chunk", chunk, "--json"))) for chunk in ("7", "64")]
        self.assertEqual(reports[0]["output_hash"], reports[1]["output_hash"])
        self.assertLess(reports[0]["planned_bytes"], reports[1]["planned_bytes"])

    def test_refused(self):
        self.refused(run("bench"), "model", "engine", "kernels")
        self.refused(run("bench", "model", "--model", self.folder), "config.json")
        self.refused(run("bench", "model", "--decode", "0"), "--decode")
        self.refused(run("bench", "model", "--chunk", "0"), "--chunk")


if __name__ == "__main__":
    unittest.main()
