#include "apps/load_report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "apps/add_text.h"
#include "apps/measure.h"

namespace baleen::apps {
namespace {

constexpr double kWidth = 960, kLeft = 70, kRight = 20, kTop = 64, kLine = 7, kGap = 56, kPlotHeight = 170;
constexpr std::size_t kMostLines = 64;  // requests that are drawn; more are thinned out evenly

/// The value that a share of the values does not exceed (nearest rank).
double Quantile(std::vector<double>& values, double share) {
  if (values.empty()) return 0;
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(std::min(values.size(), std::max<std::size_t>(1, rank)) - 1);
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

std::vector<double> FirstTokens(const std::vector<RequestTimes>& times) {
  std::vector<double> waits;
  for (const RequestTimes& request : times) {
    if (!request.tokens.empty()) waits.push_back(request.tokens.front() - request.submitted);
  }
  return waits;
}

std::vector<double> Gaps(const std::vector<RequestTimes>& times) {
  std::vector<double> gaps;
  for (const RequestTimes& request : times) {
    for (std::size_t i = 1; i < request.tokens.size(); ++i) gaps.push_back(request.tokens[i] - request.tokens[i - 1]);
  }
  return gaps;
}

std::string TimeText(double seconds) {
  char text[32];
  if (seconds < 1) {
    std::snprintf(text, sizeof text, "%.3g ms", seconds * 1e3);
  } else {
    std::snprintf(text, sizeof text, "%.3g s", seconds);
  }
  return text;
}

/// 1, 2 or 5 times a power of ten, so that about `count` steps fill `span`.
double RoundStep(double span, double count) {
  const double raw = span / count, power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw) return factor * power;
  }
  return 10 * power;
}

void DrawTimeAxis(std::string& svg, double bottom, double span, double top) {
  const double step = RoundStep(span, 8), scale = (kWidth - kLeft - kRight) / span;
  for (double t = 0; t <= span * 1.0001; t += step) {
    const double x = kLeft + t * scale;
    AddText(svg, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' class='g'/><text x='%.1f' y='%.1f' text-anchor='middle'>%s</text>\n", x, top, x, bottom, x,
        bottom + 16, TimeText(t).c_str());
  }
}

double DrawRequests(std::string& svg, const std::vector<RequestTimes>& times, double span) {
  const std::size_t lines = std::min(times.size(), kMostLines);
  const double bottom = kTop + kLine * static_cast<double>(lines), scale = (kWidth - kLeft - kRight) / span;
  DrawTimeAxis(svg, bottom, span, kTop);
  for (std::size_t line = 0; line < lines; ++line) {
    const RequestTimes& request = times[line * times.size() / lines];
    const double y = kTop + kLine * static_cast<double>(line), first = request.tokens.empty() ? request.ended : request.tokens.front();
    const auto bar = [&](double from, double to, const char* kind) {
      AddText(svg, "<rect x='%.2f' y='%.1f' width='%.2f' height='%.1f' class='%s'/>\n", kLeft + from * scale, y + 1, std::max(0.0, (to - from) * scale), kLine - 2, kind);
    };
    bar(request.submitted, request.started, "w");
    bar(request.started, first, "r");
    bar(first, request.ended, "a");
  }
  AddText(svg, "<text x='%.1f' y='%.1f' text-anchor='end'>requests</text>\n", kLeft - 8, kTop + 10);
  return bottom;
}

/// The share of values that stay below each time, on a logarithmic axis of time.
void DrawSpread(std::string& svg, std::vector<double> values, double left, double top, const char* title) {
  const double width = (kWidth - kLeft - kRight - kGap) / 2;
  AddText(svg, "<text x='%.1f' y='%.1f' class='h'>%s</text>\n", left, top - 10, title);
  AddText(svg, "<rect x='%.1f' y='%.1f' width='%.1f' height='%.1f' class='f'/>\n", left, top, width, kPlotHeight);
  if (values.empty()) return;
  std::sort(values.begin(), values.end());
  const double least = std::max(1e-6, values.front()), low = std::floor(std::log10(least));
  const double high = std::max(low + 1, std::ceil(std::log10(std::max(least, values.back()) * 1.0001)));
  const auto x_of = [&](double v) { return left + (std::log10(std::max(v, least)) - low) / (high - low) * width; };
  for (double power = low; power <= high + 0.5; ++power) {
    const double place = left + (power - low) / (high - low) * width;
    AddText(svg, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' class='g'/><text x='%.1f' y='%.1f' text-anchor='middle'>%s</text>\n", place, top, place,
        top + kPlotHeight, place, top + kPlotHeight + 16, TimeText(std::pow(10, power)).c_str());
  }
  for (const double share : {0.5, 0.99}) {
    const double y = top + (1 - share) * kPlotHeight;
    AddText(svg, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' class='g'/><text x='%.1f' y='%.1f' text-anchor='end'>p%.0f</text>\n", left, y, left + width, y,
        left - 6, y + 4, share * 100);
  }
  svg += "<polyline class='c' points='";
  const std::size_t points = std::min<std::size_t>(values.size(), 400);
  for (std::size_t i = 0; i < points; ++i) {
    const std::size_t at = points == 1 ? 0 : i * (values.size() - 1) / (points - 1);
    AddText(svg, "%.1f,%.1f ", x_of(values[at]), top + kPlotHeight * (1 - static_cast<double>(at + 1) / static_cast<double>(values.size())));
  }
  svg += "'/>\n";
}

}  // namespace

LoadFigures FiguresOf(const std::vector<RequestTimes>& times) {
  LoadFigures figures;
  for (const RequestTimes& request : times) {
    figures.seconds = std::max(figures.seconds, request.ended);
    figures.prompt_tokens += request.ending.usage.prompt_tokens;
    figures.cached_tokens += request.ending.usage.cached_tokens;
    figures.completion_tokens += request.ending.usage.completion_tokens;
    figures.failed += request.ending.finish == engine::Finish::kFailed;
  }
  std::vector<double> first = FirstTokens(times), gaps = Gaps(times);
  figures.first_token_p50 = Quantile(first, 0.5);
  figures.first_token_p99 = Quantile(first, 0.99);
  figures.between_p50 = Quantile(gaps, 0.5);
  figures.between_p99 = Quantile(gaps, 0.99);
  if (figures.seconds > 0) figures.tokens_per_second = static_cast<double>(figures.completion_tokens) / figures.seconds;
  if (figures.prompt_tokens > 0) figures.hit_rate = static_cast<double>(figures.cached_tokens) / static_cast<double>(figures.prompt_tokens);
  return figures;
}

std::string LoadSvg(const std::vector<RequestTimes>& times, const LoadFigures& figures, const std::string& title) {
  const double lines = static_cast<double>(std::min(times.size(), kMostLines)), spread_top = kTop + kLine * lines + 84;
  const double height = spread_top + kPlotHeight + 40;
  std::string svg;
  AddText(svg, "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %.0f %.0f' width='%.0f' height='%.0f' font-family='sans-serif' font-size='11'>\n", kWidth, height,
      kWidth, height);
  svg +=
      "<style>text{fill:#333}.t{font-size:15px;font-weight:bold}.h{font-size:12px;font-weight:bold}.g{stroke:#ddd}.f{fill:none;stroke:#999}"
      ".w{fill:#c9c9c9}.r{fill:#4878a8}.a{fill:#67a05a}.c{fill:none;stroke:#b3523c;stroke-width:2}</style>\n<rect width='100%' height='100%' fill='white'/>\n";
  AddText(svg, "<text x='%.0f' y='22' class='t'>", kLeft);
  svg += Escaped(title) + "</text>\n";
  AddText(svg, "<text x='%.0f' y='40'>%zu requests, %.1f tokens/s; %.0f %% of the prompt tokens from the cache</text>\n", kLeft, times.size(), figures.tokens_per_second,
      100 * figures.hit_rate);
  AddText(svg, "<g transform='translate(%.0f,50)'><rect width='10' height='8' class='w'/><text x='14' y='8'>waits</text><rect x='60' width='10' height='8' class='r'/>"
           "<text x='74' y='8'>reads its prompt</text><rect x='170' width='10' height='8' class='a'/><text x='184' y='8'>writes</text></g>\n", kLeft);
  DrawRequests(svg, times, std::max(1e-3, figures.seconds));
  DrawSpread(svg, FirstTokens(times), kLeft, spread_top, "time to the first token (share of requests)");
  DrawSpread(svg, Gaps(times), kLeft + (kWidth - kLeft - kRight - kGap) / 2 + kGap, spread_top, "time between tokens (share of gaps)");
  svg += "</svg>\n";
  return svg;
}

}  // namespace baleen::apps
