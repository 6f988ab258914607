// The page of `bench model`: what is worth looking at rather than reading.

#include <algorithm>
#include <cmath>

#include "apps/add_text.h"
#include "apps/measure.h"
#include "apps/model_report.h"

namespace baleen::apps {
namespace {

constexpr const char* kColours[] = {"#3b76b5", "#d9822b", "#5a9e58", "#b3523c", "#7a6bb0", "#8c6d53", "#c878a8", "#6d6d6d", "#a9a93e", "#3fa3a8"};
constexpr std::size_t kShown = std::size(kColours) - 1;  // operations with a colour of their own; the last one is for the others

constexpr const char* kStyle =
    "<style>body{font:14px/1.45 sans-serif;color:#222;background:#fff;max-width:1000px;margin:24px auto;padding:0 16px}h1{font-size:20px}h2{font-size:16px;margin-top:28px}"
    "table{border-collapse:collapse;font-size:13px}td,th{padding:3px 9px;text-align:right;border-bottom:1px solid #ddd}th{font-weight:600;border-bottom:2px solid #999}"
    "td:first-child,th:first-child,td.l,th.l{text-align:left}code{font-size:12px}svg text{font-size:11px;fill:#333}.note{color:#555;font-size:13px}</style>\n";

double Rate(const ModelPart& part, const MachineFigures& machine) { return static_cast<double>(part.tokens) / part.Time(machine.probe_best_seconds).seconds; }

/// A figure with three digits.
std::string Short(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f", value);
  return text;
}

/// Tokens a second of one phase as a bar for each context, with what the roofline allows as a line above it.
void AddRates(std::string& page, const ModelRuns& runs, bool prefill) {
  std::vector<const ModelPart*> parts;
  double most = 0;
  for (const ModelPart& part : runs.parts) {
    if (part.prefill != prefill) continue;
    parts.push_back(&part);
    const double share = SharesOf(part, runs.machine).of_roofline;
    most = std::max(most, Rate(part, runs.machine) / (share > 0 ? std::min(share, 1.0) : 1.0));
  }
  if (parts.empty()) return;
  constexpr double kLine = 26, kLeft = 90, kWidth = 760;
  const double height = kLine * static_cast<double>(parts.size()) + 10;
  AddLine(page, "<h2>%s</h2>\n<svg width='1000' height='%.0f' role='img'>", prefill ? "Prefill, tokens a second" : "Decode, tokens a second", height);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const double y = 4 + kLine * static_cast<double>(i), rate = Rate(*parts[i], runs.machine), width = kWidth * rate / most;
    const double share = SharesOf(*parts[i], runs.machine).of_roofline;
    AddLine(page, "<text x='%.0f' y='%.1f' text-anchor='end'>%lld</text><rect x='%.0f' y='%.1f' width='%.1f' height='16' fill='%s'/>", kLeft - 8, y + 12,
            static_cast<long long>(parts[i]->context), kLeft, y, width, prefill ? kColours[1] : kColours[0]);
    if (share > 0) {
      const double roof = kLeft + kWidth * std::min(1.0, rate / share / most);
      AddLine(page, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='#222' stroke-width='2'/>", roof, y - 2, roof, y + 18);
    }
    AddLine(page, "<text x='%.1f' y='%.1f'%s>%s</text>", kLeft + width - 6, y + 12, " text-anchor='end' style='fill:#fff;font-weight:bold'", Short(rate).c_str());
  }
  page += "</svg>\n";
}

/// One bar a watched part, cut by operation, and the names of the colours.
void AddBreakdown(std::string& page, const ModelRuns& runs, bool prefill) {
  std::vector<const ModelPart*> parts;
  std::vector<OpCount> all;
  for (const ModelPart& part : runs.parts) {
    if (part.prefill != prefill || part.watched_seconds == 0) continue;
    parts.push_back(&part);
    all.insert(all.end(), part.operations.begin(), part.operations.end());
  }
  if (parts.empty()) return;
  const std::vector<OpCount> names = ByName(all);
  constexpr double kLine = 28, kLeft = 90, kWidth = 860;
  AddLine(page, "<h2>Where the time goes: %s</h2>\n<svg width='1000' height='%.0f' role='img'>", prefill ? "prefill" : "decode", kLine * static_cast<double>(parts.size()) + 54);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const double y = 4 + kLine * static_cast<double>(i);
    double x = kLeft, rest = 1;
    AddLine(page, "<text x='%.0f' y='%.1f' text-anchor='end'>%lld</text>", kLeft - 8, y + 14, static_cast<long long>(parts[i]->context));
    const std::vector<OpCount> operations = ByName(parts[i]->operations);
    for (std::size_t n = 0; n < std::min(names.size(), kShown); ++n) {
      const auto found = std::find_if(operations.begin(), operations.end(), [&](const OpCount& count) { return count.op == names[n].op; });
      if (found == operations.end()) continue;
      const double share = std::min(rest, found->seconds / parts[i]->watched_seconds);
      AddLine(page, "<rect x='%.1f' y='%.1f' width='%.1f' height='20' fill='%s'><title>%s: %.1f %%</title></rect>", x, y, kWidth * share, kColours[n], names[n].op.c_str(), 100 * share);
      if (share > 0.05) AddLine(page, "<text x='%.1f' y='%.1f' style='fill:#fff' text-anchor='middle'>%.0f %%</text>", x + kWidth * share / 2, y + 14, 100 * share);
      x += kWidth * share;
      rest -= share;
    }
    AddLine(page, "<rect x='%.1f' y='%.1f' width='%.1f' height='20' fill='%s'><title>others and between them: %.1f %%</title></rect>", x, y, kWidth * rest, kColours[kShown], 100 * rest);
  }
  const double y = kLine * static_cast<double>(parts.size()) + 14;
  for (std::size_t n = 0; n <= std::min(names.size(), kShown); ++n) {
    const double x = kLeft + 172 * static_cast<double>(n % 5), row = y + 18 * static_cast<double>(n / 5);
    const bool others = n == std::min(names.size(), kShown);
    AddLine(page, "<rect x='%.0f' y='%.0f' width='11' height='11' fill='%s'/><text x='%.0f' y='%.0f'>%s</text>", x, row, kColours[others ? kShown : n], x + 16, row + 10,
            others ? "others, between them" : names[n].op.c_str());
  }
  page += "</svg>\n";
}

void AddLines(std::string& page, const ModelRuns& runs) {
  page += "<h2>All lines</h2>\n<table><tr><th>phase</th><th>context</th><th>tokens</th><th>tokens/s</th><th>MiB of weights</th><th>MiB of cache</th><th>of B</th><th>of R</th>"
          "<th>of roofline</th><th>clean</th><th>probe</th><th class='l'>output</th></tr>\n";
  for (const ModelPart& part : runs.parts) {
    const Counted time = part.Time(runs.machine.probe_best_seconds);
    const PartCost cost = CostOfPart(part, runs.machine);
    const Shares shares = SharesOf(part, runs.machine);
    AddLine(page, "<tr><td>%s</td><td>%lld</td><td>%lld</td><td>%s</td><td>%.1f</td><td>%.2f</td><td>%.2f</td><td>%.2f</td><td>%.2f</td><td>%lld of %zu</td><td>%s</td>"
            "<td class='l'><code>%s</code></td></tr>", part.prefill ? "prefill" : "decode", static_cast<long long>(part.context), static_cast<long long>(part.tokens),
            Short(Rate(part, runs.machine)).c_str(), cost.weight_bytes / 1048576, cost.cache_bytes / 1048576, shares.of_bandwidth, shares.of_tile_rate, shares.of_roofline,
            static_cast<long long>(time.clean), part.repetitions.size(), time.fast ? "fast" : "slow", Hex(part.hash).c_str());
  }
  page += "</table>\n";
}

void AddOperations(std::string& page, const ModelRuns& runs, bool prefill) {
  const auto part = std::find_if(runs.parts.rbegin(), runs.parts.rend(), [&](const ModelPart& p) { return p.prefill == prefill && p.watched_seconds > 0; });
  if (part == runs.parts.rend()) return;
  AddLine(page, "<h2>Operations, %s %lld tokens</h2>\n<table><tr><th>operation</th><th class='l'>weight</th><th>calls</th><th>share</th><th>MiB of weights</th><th>MiB of cache</th>"
          "<th>of B</th><th>of R</th><th>of roofline</th></tr>", prefill ? "prefill to" : "decode at", static_cast<long long>(part->context));
  for (const OpCount& count : part->operations) {
    const Shares shares = SharesOf(count, runs.machine);
    AddLine(page, "<tr><td>%s</td><td class='l'>%s</td><td>%lld</td><td>%.1f %%</td><td>%.2f</td><td>%.2f</td><td>%.2f</td><td>%.2f</td><td>%.2f</td></tr>", count.op.c_str(),
            count.shape.c_str(), static_cast<long long>(count.calls), 100 * count.seconds / part->watched_seconds, count.weight_bytes / 1048576, count.cache_bytes / 1048576,
            shares.of_bandwidth, shares.of_tile_rate, shares.of_roofline);
  }
  page += "</table>\n";
}

}  // namespace

std::string ModelPage(const ModelReport& report) {
  const MachineFigures& machine = report.runs.machine;
  std::string page = "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'><title>baleen bench model</title>\n";
  page += kStyle;
  page += "</head><body>\n<h1>baleen bench model: " + Escaped(report.model) + "</h1>\n<p>" + Escaped(machine.cpu) + ", ";
  AddLine(page, "%s, %d threads, %s arithmetic. B = %.1f GB/s read from memory, R = %.1f GFLOP/s of %s, both measured in this run; probe %s.<br>", machine.isa.c_str(), machine.threads,
          report.arithmetic.c_str(), machine.read_bytes_per_second / 1e9, machine.tile_flops / 1e9, machine.tile_instruction.c_str(), machine.fast ? "fast" : "slow");
  AddLine(page, "Opened in %.3f s; %.1f MiB of weights; %.1f MiB planned beyond them, %.1f MiB taken.</p>", report.open_seconds, static_cast<double>(report.mapped_bytes) / 1048576,
          static_cast<double>(report.planned_bytes) / 1048576, static_cast<double>(report.taken_bytes) / 1048576);
  for (const bool prefill : {false, true}) AddRates(page, report.runs, prefill);
  page += "<p class='note'>Left: tokens of context. Black lines: what the roofline allows, the sum over operations of the longer of bytes / B and operations / R.</p>\n";
  for (const bool prefill : {false, true}) AddBreakdown(page, report.runs, prefill);
  AddLines(page, report.runs);
  for (const bool prefill : {false, true}) AddOperations(page, report.runs, prefill);
  page += "<p class='note'>Medians of the clean repetitions. Bytes are the least that must be moved: every weight, cached row and index key once a call.</p>\n</body></html>\n";
  return page;
}

}  // namespace baleen::apps
