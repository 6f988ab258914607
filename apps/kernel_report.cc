#include "apps/kernel_report.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "apps/add_text.h"
#include "apps/measure.h"

namespace baleen::apps {
namespace {

std::string Shape(const KernelFigures& line) { return std::to_string(line.rows) + " x " + std::to_string(line.n) + " x " + std::to_string(line.k); }

/// What is held against the machine's reading, what against its multiplying: few rows of weights from memory are as fast as they can be read.
bool Reads(const KernelFigures& line) { return line.op == "linear" && line.place == "ram" && line.rows <= 16; }

}  // namespace

std::string KernelJson(const MachineFigures& machine, const std::vector<KernelFigures>& lines) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const KernelFigures& line : lines) {
    nlohmann::ordered_json row = {{"op", line.op}, {"format", line.format}, {"isa", line.isa}, {"arithmetic", line.arithmetic}, {"rows", line.rows}, {"n", line.n}, {"k", line.k},
                                  {"place", line.place}, {"threads", line.threads}, {"seconds", line.seconds}, {"clean", line.clean}, {"repetitions", line.repetitions},
                                  {"probe", line.fast ? "fast" : "slow"}, {"of_bandwidth", line.of_bandwidth}, {"of_tile_rate", line.of_tile_rate}};
    if (line.items_per_second > 0) row["items_per_second"] = line.items_per_second;
    row["hash"] = Hex(line.hash);
    rows.push_back(std::move(row));
  }
  const nlohmann::ordered_json report = {{"machine", MachineJson(machine)}, {"rows", rows}};
  return report.dump(1) + "\n";
}

std::string KernelCsv(const std::vector<KernelFigures>& lines) {
  std::string text = "op,format,isa,arithmetic,rows,n,k,place,threads,seconds,clean,repetitions,probe,of_bandwidth,of_tile_rate,items_per_second,hash\n";
  for (const KernelFigures& line : lines) {
    AddText(text, "%s,%s,%s,%s,%lld,%lld,%lld,%s,%d,%.9g,%lld,%lld,%s,%.4f,%.4f,%.6g,%s\n", line.op.c_str(), line.format.c_str(), line.isa.c_str(), line.arithmetic.c_str(),
        static_cast<long long>(line.rows), static_cast<long long>(line.n), static_cast<long long>(line.k), line.place.c_str(), line.threads, line.seconds,
        static_cast<long long>(line.clean), static_cast<long long>(line.repetitions), line.fast ? "fast" : "slow", line.of_bandwidth, line.of_tile_rate,
        line.items_per_second, Hex(line.hash).c_str());
  }
  return text;
}

std::string KernelText(const MachineFigures& machine, const std::vector<KernelFigures>& lines) {
  std::string text = MachineText(machine) + "\n";
  AddText(text, "  %-12s %-7s %-10s %-4s %-20s %11s %7s %7s  %-7s %s\n", "op", "format", "isa", "from", "rows x n x k", "median", "of B", "of R", "clean", "output");
  for (const KernelFigures& line : lines) {
    AddText(text, "  %-12s %-7s %-10s %-4s %-20s %8.1f us %7.2f %7.2f  %2lld/%-2lld%s  %.8s", line.op.c_str(), line.format.c_str(), line.isa.c_str(), line.place.c_str(), Shape(line).c_str(),
        1e6 * line.seconds, line.of_bandwidth, line.of_tile_rate, static_cast<long long>(line.clean), static_cast<long long>(line.repetitions), line.fast ? " " : "s",
        Hex(line.hash).c_str());
    if (line.items_per_second > 0) AddText(text, "  %.1f M/s", line.items_per_second / 1e6);
    text += "\n";
  }
  text += "\nof B: weights or cached rows read a second, of R: operations a second, as shares of what was measured in this run. s: measured while the cores were slow.\n";
  return text;
}

std::string KernelSvg(const MachineFigures& machine, const std::vector<KernelFigures>& lines) {
  constexpr double kLeft = 330, kBar = 480, kLine = 16, kTop = 64;
  const double height = kTop + kLine * static_cast<double>(lines.size()) + 40;
  std::string svg;
  AddText(svg, "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 900 %.0f' width='900' height='%.0f' font-family='sans-serif' font-size='11'>\n", height, height);
  svg += "<rect width='100%' height='100%' fill='white'/>\n";
  AddText(svg, "<text x='12' y='20' font-size='14'>baleen bench kernels: %s, %d threads, probe %s</text>\n", machine.isa.c_str(), machine.threads, machine.fast ? "fast" : "slow");
  AddText(svg, "<text x='12' y='38'>B = %.1f GB/s read from memory (blue bars), R = %.1f GFLOP/s of %s (orange bars)</text>\n", machine.read_bytes_per_second / 1e9, machine.tile_flops / 1e9,
      machine.tile_instruction.c_str());
  for (int tenth = 0; tenth <= 15; tenth += 5) {
    const double x = kLeft + kBar * tenth / 15.0;
    AddText(svg, "<line x1='%.1f' y1='%.0f' x2='%.1f' y2='%.0f' stroke='#bbb'/><text x='%.1f' y='%.0f' text-anchor='middle'>%.1f</text>\n", x, kTop - 8, x, height - 36, x, height - 22, tenth / 10.0);
  }
  double y = kTop;
  for (const KernelFigures& line : lines) {
    const double share = Reads(line) ? line.of_bandwidth : line.of_tile_rate, width = kBar * std::min(share, 1.5) / 1.5;
    AddText(svg, "<text x='12' y='%.1f'>%s %s %s, %s, %s</text>", y + 10, line.op.c_str(), line.format.c_str(), Shape(line).c_str(), line.place.c_str(), line.isa.c_str());
    AddText(svg, "<rect x='%.1f' y='%.1f' width='%.1f' height='11' fill='%s'/><text x='%.1f' y='%.1f'>%.2f</text>\n", kLeft, y + 1, std::max(width, 0.5), Reads(line) ? "#3b76b5" : "#d9822b",
        kLeft + width + 5, y + 10, share);
    y += kLine;
  }
  svg += "</svg>\n";
  return svg;
}

}  // namespace baleen::apps
