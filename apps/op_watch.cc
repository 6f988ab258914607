#include "apps/op_watch.h"

#include <algorithm>
#include <chrono>

#include "apps/measure.h"
#include "diagnostics/check.h"

namespace baleen::apps {
namespace {

using backend::Matrix;
using kernels::Format;

constexpr std::size_t kMostLines = 256;  // there are some thirty; kept aside so that no step allocates

struct Cost {
  const char* op = nullptr;
  const Matrix* weight = nullptr;  // what the shape is of
  double weight_bytes = 0, cache_bytes = 0, flops = 0;
};

double Product(std::int64_t a, std::int64_t b, std::int64_t c = 1) noexcept { return static_cast<double>(a) * static_cast<double>(b) * static_cast<double>(c); }

double BytesOf(const Matrix& w) noexcept {
  const std::int64_t row_scales = w.format == Format::kInt8 ? 4 * w.n : 0;
  return static_cast<double>(w.n * kernels::RowBytes(w.format, w.k) + kernels::ScaleBytes(w.format, w.n, w.k) + row_scales);
}

Cost Multiplied(const char* op, const Matrix& weight, std::int64_t rows) noexcept { return {op, &weight, BytesOf(weight), 0, 2 * Product(rows, weight.n, weight.k)}; }

Cost CostOf(const backend::Embed& op) noexcept {
  return {"embed", nullptr, Product(static_cast<std::int64_t>(op.tokens.size()), kernels::RowBytes(op.table.format, op.table.k)), 0, 0};
}
double Flops(const backend::ExpandStreams& op, std::int64_t rows, std::int64_t d) noexcept { return op.f == nullptr ? 0 : 2 * Product(rows, op.n * (op.n + 1), d); }
Cost CostOf(const backend::CollapseStreams& op) noexcept {
  Cost cost = Multiplied(op.expand.f == nullptr ? "collapse" : "expand_collapse", op.site->fn, op.rows);
  cost.flops += Flops(op.expand, op.rows, op.site->d);
  return cost;
}
Cost CostOf(const backend::CollapseHead& op) noexcept { return Multiplied("collapse_head", op.site->fn, static_cast<std::int64_t>(op.chosen.size())); }
Cost CostOf(const backend::MeanStreams& op) noexcept { return {"mean_streams", nullptr, 0, 0, Product(op.rows, op.n, op.d)}; }
Cost CostOf(const backend::Quantize&) noexcept { return {.op = "quantize"}; }
Cost CostOf(const backend::Linear& op) noexcept { return Multiplied("linear", op.weight, op.rows); }
Cost CostOf(const backend::GroupedLinear& op) noexcept { return Multiplied("grouped_linear", op.weight, op.rows); }
Cost CostOf(const backend::Norm& op) noexcept { return {"norm", nullptr, 4 * static_cast<double>(op.d), 0, 0}; }
Cost CostOf(const backend::MakeRotation&) noexcept { return {.op = "make_rotation"}; }
Cost CostOf(const backend::PrepareQuery&) noexcept { return {.op = "prepare_query"}; }
Cost CostOf(const backend::StoreKv& op) noexcept { return {"store_kv", nullptr, 0, Product(op.rows, op.layout.RowBytes()), 0}; }
Cost CostOf(const backend::ScaleBy&) noexcept { return {.op = "scale_by"}; }
Cost CostOf(const backend::AddRows&) noexcept { return {.op = "add_rows"}; }
Cost CostOf(const backend::KeepRows&) noexcept { return {.op = "keep_rows"}; }
Cost CostOf(const backend::Route&) noexcept { return {.op = "route"}; }

/// The windows that the rows close.
Cost CostOf(const backend::Compress& op) noexcept {
  const std::int64_t closed = (op.first_position + op.rows) / op.ratio - op.first_position / op.ratio;
  return {op.index_keys ? "compress_index" : "compress", nullptr, 0, Product(closed, op.index_keys ? op.index.RowBytes() : op.kv.RowBytes()), 0};
}

/// Keys are scored only by rows that see more of them than they may choose.
Cost CostOf(const backend::ChooseRows& op) noexcept {
  std::int64_t scored = 0, most = 0;
  for (std::int64_t r = 0; r < op.cache.rows; ++r) {
    const std::int64_t visible = (op.cache.first_position + r + 1) / op.ratio;
    if (visible <= op.top_k) continue;
    scored += visible;
    most = visible;
  }
  return {"choose_rows", nullptr, 0, Product(most, op.layout.RowBytes()), 2 * Product(scored, op.heads, op.layout.dim)};
}

Cost CostOf(const backend::Attend& op) noexcept {
  const std::int64_t first = op.cache.first_position, rows = op.cache.rows;
  std::int64_t keys = 0, entries = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t visible = op.ratio == 0 ? 0 : (first + r + 1) / op.ratio, chosen = op.chosen != nullptr ? std::min(visible, op.top_k) : visible;
    keys += (op.block ? std::min(first, op.window) + rows : std::min(first + r + 1, op.window)) + chosen;
    entries = op.chosen != nullptr ? std::min(visible, entries + chosen) : visible;
  }
  const std::int64_t window = std::min(first + rows, op.window - 1 + rows);
  return {"attend", nullptr, 0, Product(window + entries, op.layout.RowBytes()), 4 * Product(keys, op.heads, op.layout.dim)};
}

/// The experts that a row has chosen, each once, and the shared one.
Cost CostOf(const backend::RunExperts& op) noexcept {
  const auto bytes = [&](std::int64_t e) { return BytesOf(op.experts[e].gate) + BytesOf(op.experts[e].up) + BytesOf(op.experts[e].down); };
  Cost cost{.op = "run_experts", .weight_bytes = bytes(op.expert_count - 1)};
  for (std::int64_t e = 0; e + 1 < op.expert_count; ++e) {
    if (std::find(op.chosen, op.chosen + op.rows * op.per_token, static_cast<std::int32_t>(e)) != op.chosen + op.rows * op.per_token) cost.weight_bytes += bytes(e);
  }
  cost.flops = 6 * Product(op.rows * (op.per_token + 1), op.intermediate, op.d) + Flops(op.expand, op.rows, op.d);
  return cost;
}

const char* FormatName(Format format) noexcept {
  switch (format) {
    case Format::kF32: return "fp32";
    case Format::kBf16: return "bf16";
    case Format::kFp8: return "fp8";
    case Format::kFp4: return "mxfp4";
    case Format::kInt8: return "int8";
  }
  return "";
}

}  // namespace

OpWatch* OpWatch::current_ = nullptr;

OpWatch::Line& OpWatch::LineOf(const char* op, const Matrix* weight) noexcept {
  const Matrix none{};
  const Matrix& shape = weight == nullptr ? none : *weight;
  for (Line& line : lines_) {
    if (line.op == op && line.format == shape.format && line.n == shape.n && line.k == shape.k) return line;
  }
  CHECK(lines_.size() < kMostLines);
  return lines_.emplace_back(Line{op, shape.format, shape.n, shape.k, {}});
}

template <auto member, typename Args>
void OpWatch::Timed(backend::Device& device, const Args& args) noexcept {
  const Cost cost = CostOf(args);
  const auto begin = std::chrono::steady_clock::now();
  (current_->watched_->*member)(device, args);
  const double seconds = Since(begin);
  OpCount& count = current_->LineOf(cost.op, cost.weight).count;
  ++count.calls;
  count.seconds += seconds;
  count.weight_bytes += cost.weight_bytes;
  count.cache_bytes += cost.cache_bytes;
  count.flops += cost.flops;
}

OpWatch::OpWatch(backend::Device& device) : device_(&device), watched_(&device.ops()), timed_(device.ops()) {
  CHECK(current_ == nullptr);
  current_ = this;
  lines_.reserve(kMostLines);
  using backend::Ops;
  timed_.embed = Timed<&Ops::embed, backend::Embed>;
  timed_.collapse = Timed<&Ops::collapse, backend::CollapseStreams>;
  timed_.collapse_head = Timed<&Ops::collapse_head, backend::CollapseHead>;
  timed_.mean_streams = Timed<&Ops::mean_streams, backend::MeanStreams>;
  timed_.quantize = Timed<&Ops::quantize, backend::Quantize>;
  timed_.linear = Timed<&Ops::linear, backend::Linear>;
  timed_.grouped_linear = Timed<&Ops::grouped_linear, backend::GroupedLinear>;
  timed_.norm = Timed<&Ops::norm, backend::Norm>;
  timed_.make_rotation = Timed<&Ops::make_rotation, backend::MakeRotation>;
  timed_.prepare_query = Timed<&Ops::prepare_query, backend::PrepareQuery>;
  timed_.store_kv = Timed<&Ops::store_kv, backend::StoreKv>;
  timed_.scale_by = Timed<&Ops::scale_by, backend::ScaleBy>;
  timed_.add_rows = Timed<&Ops::add_rows, backend::AddRows>;
  timed_.compress = Timed<&Ops::compress, backend::Compress>;
  timed_.choose_rows = Timed<&Ops::choose_rows, backend::ChooseRows>;
  timed_.attend = Timed<&Ops::attend, backend::Attend>;
  timed_.keep_rows = Timed<&Ops::keep_rows, backend::KeepRows>;
  timed_.route = Timed<&Ops::route, backend::Route>;
  timed_.run_experts = Timed<&Ops::run_experts, backend::RunExperts>;
  device.Use(timed_);
}

OpWatch::~OpWatch() {
  device_->Use(*watched_);
  current_ = nullptr;
}

std::vector<OpCount> OpWatch::Take() {
  std::vector<OpCount> counts;
  for (Line& line : lines_) {
    line.count.op = line.op;
    if (line.n > 0) line.count.shape = std::to_string(line.n) + " x " + std::to_string(line.k) + " " + FormatName(line.format);
    counts.push_back(std::move(line.count));
  }
  lines_.clear();
  std::sort(counts.begin(), counts.end(), [](const OpCount& a, const OpCount& b) { return a.seconds > b.seconds; });
  return counts;
}

}  // namespace baleen::apps
