#!/usr/bin/env python3
"""Writes docs/performance.md from bench/goals.json and the reports in bench/results, newest first; with --check says whether it is up to date."""
import json
import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEAD = """# Performance

A ledger of what `baleen bench kernels --json`, `baleen bench model --json`, `bench/pytorch_memory.py --json` and `baleen bench --against` measured, newest first, made by `tools/write_performance.py` from the files in `bench/results/`. Shares
are of what the same run measured: B, eight streams read from memory by every thread; R, the machine's best bf16 multiply instruction from the first
cache. Figures are medians of the clean repetitions (the threads had their cores). "Reached" compares with the goals in `bench/goals.json`.
"""


def figure_of(goal, report):
    """The goal's figure in a report, in the goal's unit; None where the report has no such line."""
    rows = [row for row in report["rows"] if row["isa"] != "reference" and all(row[key] == value for key, value in goal["select"].items())]
    if not rows or goal["figure"] not in rows[0] or not rows[0][goal["figure"]]:
        return None
    value = rows[0][goal["figure"]]
    if goal["figure"] == "items_per_second":
        value /= rows[0]["threads"]
    return value * goal["scale"]


def blocks(goal, isa):
    """What keeps the goal from being reached, as a part of a sentence: on that instruction set, if that has a reason of its own."""
    why = goal.get("blocks_on", {}).get(isa, goal["blocks"])
    return "not reached" + (": " + why if why else "")


def written(value, goal):
    return f"{value:.0f} {goal['unit']}" if goal["unit"] else f"{value:.3f}"


def memory_section(entry):
    found = entry["memory"]
    said = "reached" if found["ratio"] <= found["most"] else "not reached"
    return (f"## {entry['date']}: {entry['title']}\n\n{entry['note']}\n\n`{entry['command']}`: PyTorch {found['torch']} eager {found['pytorch_bytes'] / 2**20:.0f} MiB, "
            f"baleen {found['baleen_bytes'] / 2**20:.0f} MiB for a prefill of {found['tokens']} tokens of {found['preset']}: ratio {found['ratio']:.3f}, at most "
            f"{found['most']} wanted: {said}.\n")


def model_section(entry, goals):
    """A line for each measured part; the goals speak of the parts with the longest context."""
    report = entry["model"]
    machine = report["machine"]
    lines = [f"## {entry['date']}: {entry['title']}", "", entry["note"], "",
             f"`{entry['command']}`: {machine['cpu']}, {machine['isa']}, {machine['threads']} threads, {report['arithmetic']} arithmetic; B = {machine['read_bytes_per_s'] / 1e9:.1f} GB/s, "
             f"R = {machine['tile_bf16_flops'] / 1e9:.0f} GFLOP/s (`{machine['tile_instruction']}`); probe {machine['probe']}.", "",
             "| part | context | tokens/s | of B | of R | of the roofline |", "|---|---|---|---|---|---|"]
    for line in report["lines"]:
        lines.append(f"| {line['phase']} | {line['context']} | {line['tokens_per_second']:.1f} | {line['of_bandwidth']:.2f} | {line['of_tile_rate']:.2f} | {line['of_roofline']:.2f} |")
    if report["packing"]["bytes"] > 0:
        lines += ["", f"Packing: {report['packing']['bytes'] / 2**20:.0f} MiB in {report['packing']['seconds']:.2f} s, read and written at {report['packing']['of_bandwidth']:.2f} of B."]
    for goal in goals:
        found = [line for line in report["lines"] if line["phase"] == goal["phase"]][-1]
        said = "reached" if found[goal["figure"]] >= goal["must"] else blocks(goal, machine["isa"])
        lines += ["", f"{goal['what']}: {found[goal['figure']]:.3f}, must {goal['must']:.3f}, stretch {goal['stretch']:.3f}: {said}."]
    return "\n".join(lines) + "\n"


def against_line(run, goal, layers):
    """One row of a comparison: CPU time (threads times wall time) a token and layer of both engines, by their own clocks."""
    ours, theirs = (statistics.median(run[side][goal["figure"]]) for side in ("ours", "theirs"))
    ours, theirs = (1000 * run["threads"] / (layers * speed) for speed in (ours, theirs))
    said = "reached" if theirs >= goal["must"] * ours else "not reached" + (": " + goal["blocks"] if goal["blocks"] else "")
    return (f"| {run['engine']} | {run['threads']} | {goal['what']} | {ours:.2f} ms | {theirs:.2f} ms | {theirs / ours:.2f} | {goal['must']} | "
            f"{said if run['best'] else ''} |")


def against_section(entry, goals):
    found = entry["against"]
    lines = [f"## {entry['date']}: {entry['title']}", "", entry["note"], "", f"{found['cpu']}. Commands, of ours and of each other engine (`T` threads):", ""]
    lines += [f"* {command['engine']}: `{command['command']}`" for command in found["commands"]]
    lines += ["", "CPU time a token and layer:", "", "| against | threads | what | ours | theirs | theirs / ours | must | |", "|---|---|---|---|---|---|---|---|"]
    lines += [against_line(run, goal, found["layers"]) for run in found["runs"] for goal in goals]
    return "\n".join(lines) + "\n"


def section(entry, goals):
    if "memory" in entry:
        return memory_section(entry)
    if "against" in entry:
        return against_section(entry, goals["against"])
    if "model" in entry:
        return model_section(entry, goals["model"])
    goals = goals["goals"]
    machine = entry["report"]["machine"]
    lines = [f"## {entry['date']}: {entry['title']}", "", entry["note"], "",
             f"`{entry['command']}`: {machine['cpu']}, {machine['isa']}, {machine['threads']} threads; B = {machine['read_bytes_per_s'] / 1e9:.1f} GB/s, "
             f"R = {machine['tile_bf16_flops'] / 1e9:.0f} GFLOP/s (`{machine['tile_instruction']}`); probe {machine['probe']}, "
             f"fast in {100 * machine['fast_share']:.0f} % of the clean repetitions.", "",
             "| what | found | must | stretch | |", "|---|---|---|---|---|"]
    for goal in goals:
        value = figure_of(goal, entry["report"])
        if value is None:
            continue
        good = value >= goal["must"] if goal["at"] == "least" else value <= goal["must"]
        said = "reached" if good else blocks(goal, machine["isa"])
        share = {"of_bandwidth": " B", "of_tile_rate": " R"}.get(goal["figure"], "")
        lines.append(f"| {goal['what']} | {written(value, goal)}{share} | {written(goal['must'], goal)} | {written(goal['stretch'], goal)} | {said} |")
    return "\n".join(lines) + "\n"


def missed_section(missed):
    """What this machine does not reach, and the designs that were measured for it."""
    lines = ["## Goals that are missed", "", "On two cores of AMD EPYC (Zen 4, AVX-512 without tiles), and on two cores of a Xeon with AMX where the line says so. Every figure is of runs in turns or stands in an entry below.", "",
             "| goal | designs that were measured | what blocks it |", "|---|---|---|"]
    return "\n".join(lines + [f"| {one['goal']} | {one['designs']} | {one['blocks']} |" for one in missed]) + "\n"


def document():
    goals = json.loads((ROOT / "bench" / "goals.json").read_text())
    entries = [json.loads(path.read_text()) for path in sorted((ROOT / "bench" / "results").glob("*.json"), reverse=True)]
    return "\n".join([HEAD, missed_section(goals["missed"])] + [section(entry, goals) for entry in entries])


def main():
    target = ROOT / "docs" / "performance.md"
    if sys.argv[1:] == ["--check"]:
        if target.read_text() != document():
            sys.exit("docs/performance.md is not what bench/results gives: run tools/write_performance.py")
    elif sys.argv[1:]:
        sys.exit(f"write_performance: expected nothing or --check, found {' '.join(sys.argv[1:])}")
    else:
        target.write_text(document())


if __name__ == "__main__":
    main()
