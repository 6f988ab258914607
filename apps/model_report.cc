#include "apps/model_report.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "apps/add_text.h"
#include "apps/measure.h"

namespace baleen::apps {
namespace {

using nlohmann::ordered_json;

constexpr double kMiB = 1048576.0;
constexpr double kLeastShare = 0.005;  // of a part's time: what the text leaves out

double RooflineSeconds(const OpCount& count, const MachineFigures& machine) {
  return std::max(count.bytes() / machine.read_bytes_per_second, count.flops / machine.tile_flops);
}

const char* Phase(const ModelPart& part) { return part.prefill ? "prefill" : "decode"; }

void AddShares(ordered_json& to, const Shares& shares) {
  to["of_bandwidth"] = shares.of_bandwidth;
  to["of_tile_rate"] = shares.of_tile_rate;
  to["of_roofline"] = shares.of_roofline;
}

ordered_json LineJson(const ModelPart& part, const MachineFigures& machine) {
  const Counted time = part.Time(machine.probe_best_seconds);
  const PartCost cost = CostOfPart(part, machine);
  ordered_json line = {{"phase", Phase(part)}, {"context", part.context}, {"tokens", part.tokens}, {"seconds", time.seconds},
                       {"tokens_per_second", static_cast<double>(part.tokens) / time.seconds}, {"clean", time.clean}, {"repetitions", part.repetitions.size()},
                       {"probe", time.fast ? "fast" : "slow"}, {"weight_bytes", cost.weight_bytes}, {"cache_bytes", cost.cache_bytes}, {"flops", cost.flops}};
  AddShares(line, SharesOf(part, machine));
  line["watched_seconds"] = part.watched_seconds;
  line["hash"] = Hex(part.hash);
  return line;
}

ordered_json OperationJson(const ModelPart& part, const OpCount& count, const MachineFigures& machine) {
  ordered_json line = {{"phase", Phase(part)}, {"context", part.context}, {"op", count.op}, {"shape", count.shape}, {"calls", count.calls}, {"seconds", count.seconds},
                       {"share", count.seconds / part.watched_seconds}, {"weight_bytes", count.weight_bytes}, {"cache_bytes", count.cache_bytes}, {"flops", count.flops}};
  AddShares(line, SharesOf(count, machine));
  return line;
}

/// How fast weights were packed: every byte is read once and written once.
double PackingRate(const ModelReport& report) { return report.packing_seconds > 0 ? 2 * static_cast<double>(report.packed_bytes) / report.packing_seconds : 0; }

ordered_json PackingJson(const ModelReport& report) {
  return {{"bytes", report.packed_bytes}, {"seconds", report.packing_seconds}, {"of_bandwidth", PackingRate(report) / report.runs.machine.read_bytes_per_second}};
}

void AddPartText(std::string& text, const ModelPart& part, const MachineFigures& machine) {
  const Counted time = part.Time(machine.probe_best_seconds);
  const PartCost cost = CostOfPart(part, machine);
  const Shares shares = SharesOf(part, machine);
  AddText(text, "  %-8s %9lld %8lld %12.1f tokens/s", Phase(part), static_cast<long long>(part.context), static_cast<long long>(part.tokens),
          static_cast<double>(part.tokens) / time.seconds);
  if (part.watched_seconds > 0) {
    AddText(text, " %10.2f MiB %7.2f %7.2f %7.2f", (cost.weight_bytes + cost.cache_bytes) / static_cast<double>(part.prefill ? 1 : part.tokens) / kMiB, shares.of_bandwidth,
            shares.of_tile_rate, shares.of_roofline);
  } else {
    AddText(text, " %10s     %7s %7s %7s", "-", "-", "-", "-");
  }
  AddLine(text, "  %2lld/%-2zu%s %s", static_cast<long long>(time.clean), part.repetitions.size(), time.fast ? " " : "s", Hex(part.hash).c_str());
}

/// Where the time of the last watched part of a phase goes.
void AddBreakdownText(std::string& text, const ModelRuns& runs, bool prefill) {
  const auto part = std::find_if(runs.parts.rbegin(), runs.parts.rend(), [&](const ModelPart& p) { return p.prefill == prefill && p.watched_seconds > 0; });
  if (part == runs.parts.rend()) return;
  AddLine(text, "\n  %s %lld tokens, by operation   %10s %7s %10s %7s %7s %7s", prefill ? "prefill to" : "decode at", static_cast<long long>(part->context), "calls", "share", "MiB",
          "of B", "of R", "of roof");
  for (const OpCount& count : ByName(part->operations)) {
    if (count.seconds < kLeastShare * part->watched_seconds) continue;
    const Shares shares = SharesOf(count, runs.machine);
    AddLine(text, "    %-34s %10lld %6.1f%% %10.1f %7.2f %7.2f %7.2f", count.op.c_str(), static_cast<long long>(count.calls), 100 * count.seconds / part->watched_seconds,
            count.bytes() / kMiB, shares.of_bandwidth, shares.of_tile_rate, shares.of_roofline);
  }
}

}  // namespace

PartCost CostOfPart(const ModelPart& part, const MachineFigures& machine) {
  PartCost cost;
  for (const OpCount& count : part.operations) {
    cost.weight_bytes += count.weight_bytes;
    cost.cache_bytes += count.cache_bytes;
    cost.flops += count.flops;
    cost.roofline_seconds += RooflineSeconds(count, machine);
  }
  return cost;
}

Shares SharesOf(const ModelPart& part, const MachineFigures& machine) {
  const PartCost cost = CostOfPart(part, machine);
  const double seconds = part.Time(machine.probe_best_seconds).seconds;
  return {(cost.weight_bytes + cost.cache_bytes) / seconds / machine.read_bytes_per_second, cost.flops / seconds / machine.tile_flops, cost.roofline_seconds / seconds};
}

Shares SharesOf(const OpCount& count, const MachineFigures& machine) {
  const double seconds = std::max(count.seconds, 1e-9);
  return {count.bytes() / seconds / machine.read_bytes_per_second, count.flops / seconds / machine.tile_flops, RooflineSeconds(count, machine) / seconds};
}

std::vector<OpCount> ByName(const std::vector<OpCount>& operations) {
  std::vector<OpCount> names;
  for (const OpCount& count : operations) {
    auto name = std::find_if(names.begin(), names.end(), [&](const OpCount& n) { return n.op == count.op; });
    if (name == names.end()) {
      names.push_back(count);
      names.back().shape.clear();
      continue;
    }
    name->calls += count.calls;
    name->seconds += count.seconds;
    name->weight_bytes += count.weight_bytes;
    name->cache_bytes += count.cache_bytes;
    name->flops += count.flops;
  }
  std::sort(names.begin(), names.end(), [](const OpCount& a, const OpCount& b) { return a.seconds > b.seconds; });
  return names;
}

std::string ModelJson(const ModelReport& report) {
  const std::vector<ModelPart>& parts = report.runs.parts;
  ordered_json lines = ordered_json::array(), operations = ordered_json::array();
  for (const ModelPart& part : parts) {
    lines.push_back(LineJson(part, report.runs.machine));
    for (const OpCount& count : part.operations) operations.push_back(OperationJson(part, count, report.runs.machine));
  }
  const ModelPart &prefill = parts[0], &decode = parts[parts.size() % 2 == 0 ? parts.size() - 1 : parts.size() - 2];
  const ordered_json whole = {{"model", report.model}, {"isa", report.runs.machine.isa}, {"threads", report.runs.machine.threads}, {"arithmetic", report.arithmetic},
                              {"open_seconds", report.open_seconds}, {"mapped_bytes", report.mapped_bytes}, {"resident_bytes_after_open", report.resident_after_open},
                              {"load_seconds", report.load_seconds}, {"planned_bytes", report.planned_bytes}, {"taken_bytes", report.taken_bytes},
                              {"heap_growth_bytes_in_decode", report.runs.heap_growth}, {"prompt_tokens", prefill.tokens}, {"decode_tokens", decode.tokens},
                              {"prefill_tokens_per_second", prefill.TokensPerSecond()}, {"decode_tokens_per_second", decode.TokensPerSecond()},
                              {"read_bytes_per_second", report.runs.read_bytes_per_second}, {"output_hash", Hex(decode.hash)}, {"packing", PackingJson(report)}, {"machine", MachineJson(report.runs.machine)},
                              {"lines", lines}, {"operations", operations}};
  return whole.dump(1) + "\n";
}

std::string ModelCsv(const ModelReport& report) {
  const MachineFigures& machine = report.runs.machine;
  std::string text = "phase,context,op,shape,calls,seconds,tokens_per_second,weight_bytes,cache_bytes,flops,of_bandwidth,of_tile_rate,of_roofline,hash\n";
  const auto add = [&](const ModelPart& part, const OpCount& count, const Shares& shares, double rate) {
    AddLine(text, "%s,%lld,%s,%s,%lld,%.9g,%.6g,%.0f,%.0f,%.0f,%.4f,%.4f,%.4f,%s", Phase(part), static_cast<long long>(part.context), count.op.c_str(), count.shape.c_str(),
            static_cast<long long>(count.calls), count.seconds, rate, count.weight_bytes, count.cache_bytes, count.flops, shares.of_bandwidth, shares.of_tile_rate,
            shares.of_roofline, Hex(part.hash).c_str());
  };
  for (const ModelPart& part : report.runs.parts) {
    const PartCost cost = CostOfPart(part, machine);
    const double seconds = part.Time(machine.probe_best_seconds).seconds;
    add(part, {"all", "", part.prefill ? 1 : part.tokens, seconds, cost.weight_bytes, cost.cache_bytes, cost.flops}, SharesOf(part, machine),
        static_cast<double>(part.tokens) / seconds);
    for (const OpCount& count : part.operations) add(part, count, SharesOf(count, machine), 0);
  }
  return text;
}

std::string ModelText(const ModelReport& report) {
  const ModelRuns& runs = report.runs;
  const double excess = static_cast<double>(report.taken_bytes) / static_cast<double>(std::max<std::uint64_t>(report.planned_bytes, 1)) - 1;
  std::string text;
  text += report.model + ", " + report.arithmetic + " arithmetic\n" + MachineText(runs.machine);
  AddLine(text, "  open   %.3f s, %.1f MiB mapped, %.2f MiB of them read", report.open_seconds, static_cast<double>(report.mapped_bytes) / kMiB,
          static_cast<double>(report.resident_after_open) / kMiB);
  if (report.packed_bytes > 0) {
    AddLine(text, "  packed %.1f MiB of weights in %.2f s, read and written at %.2f of B", static_cast<double>(report.packed_bytes) / kMiB, report.packing_seconds,
            PackingRate(report) / runs.machine.read_bytes_per_second);
  }
  AddLine(text, "  memory %.1f MiB planned beyond the mapped weights, %.1f MiB taken (%+.2f %%); a decode keeps %lld bytes of heap\n",
          static_cast<double>(report.planned_bytes) / kMiB, static_cast<double>(report.taken_bytes) / kMiB, 100 * excess, static_cast<long long>(runs.heap_growth));
  AddLine(text, "  %-8s %9s %8s %12s          %10s     %7s %7s %7s  %-6s %s", "", "context", "tokens", "median", "moved", "of B", "of R", "of roof", "clean", "output");
  for (const ModelPart& part : runs.parts) AddPartText(text, part, runs.machine);
  AddBreakdownText(text, runs, true);
  AddBreakdownText(text, runs, false);
  text += "\nmoved: the least bytes of weights and cache, of a whole prefill and of one decoded token. of B, of R: bytes and operations a second as shares of what was measured\n"
          "in this run. of roof: the time that these peaks allow, operation by operation, of the time it took. s: measured while the cores were slow.\n";
  return text;
}

}  // namespace baleen::apps
