#include "golden.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include <nlohmann/json.hpp>

#include "checkpoint/safetensors.h"
#include "diagnostics/check.h"
#include "hardware/file.h"
#include "tensor/scalar.h"

namespace baleen::golden {
namespace {

template <typename T>
T Must(Result<T> result) {
  if (!result) std::fprintf(stderr, "%s\n", result.error().message.c_str());
  CHECK(result.has_value());
  return *std::move(result);
}

/// Collects the streams' statistics of one step into an Outcome.
struct Probe {
  Outcome* run;
  std::int64_t tokens, first, n, d;

  static void See(void* context, std::int64_t layer, const float* streams, std::int64_t rows) {
    const Probe& probe = *static_cast<Probe*>(context);
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* row = streams + r * probe.n * probe.d;
      const std::int64_t at = layer * probe.tokens + probe.first + r;
      for (std::int64_t j = 0; j < probe.n; ++j) {
        double sum = 0;
        for (std::int64_t i = 0; i < probe.d; ++i) sum += std::fabs(row[j * probe.d + i]);
        probe.run->stream_mean_abs[static_cast<std::size_t>(at * probe.n + j)] = static_cast<float>(sum / static_cast<double>(probe.d));
      }
      for (std::int64_t i = 0; i < 4; ++i) probe.run->stream_probe[static_cast<std::size_t>(at * 4 + i)] = row[i];
    }
  }
};

}  // namespace

std::filesystem::path CaseFolder(const std::string& name) { return std::filesystem::path(BALEEN_SOURCE_DIR) / "tests/golden/checkpoints" / name; }

std::map<std::string, Reference> ReadReference(const std::filesystem::path& file) {
  const hardware::Mapping map = Must(hardware::Mapping::Open(file));
  std::map<std::string, Reference> all;
  const checkpoint::SafetensorsHeader header = Must(checkpoint::ParseSafetensors(map.bytes()));
  for (const checkpoint::StoredTensor& t : header.tensors) {
    CHECK(t.dtype == tensor::DType::kF32);
    Reference reference{t.shape, std::vector<float>((t.end - t.begin) / 4)};
    std::memcpy(reference.values.data(), map.bytes().data() + t.begin, t.end - t.begin);
    all[t.name] = std::move(reference);
  }
  return all;
}

std::vector<std::int32_t> ReadTokens(const std::filesystem::path& file) {
  return nlohmann::json::parse(Must(hardware::ReadFile(file, 1 << 24))).get<std::vector<std::int32_t>>();
}

Runner::Runner(const std::filesystem::path& folder, hardware::Isa isa, int threads, model::Arithmetic arithmetic, std::int64_t context, std::int64_t rows,
               std::int64_t draft_tokens)
    : Runner(folder, isa, threads, arithmetic, {.rows = rows, .context = context, .logit_rows = rows, .segments = 4, .draft_tokens = draft_tokens}) {}

Runner::Runner(const std::filesystem::path& folder, hardware::Isa isa, int threads, model::Arithmetic arithmetic, const model::Limits& limits)
    : checkpoint_(Must(checkpoint::Checkpoint::Open(folder))), device_(std::make_unique<backend::Device>(isa, threads)),
      model_(Must(model::Transformer::Load(checkpoint_, *device_, arithmetic, limits))) {}

Outcome Runner::Feed(const std::vector<std::int32_t>& tokens, const Feeding& feeding) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  const checkpoint::ModelConfig& config = model_->config();
  kvcache::Sequence sequence = Must(kvcache::Sequence::Create(model_->cache_layout(), count));
  Outcome run;
  run.stream_mean_abs.resize(static_cast<std::size_t>(config.layers * count * config.streams));
  run.stream_probe.resize(static_cast<std::size_t>(config.layers * count * 4));
  for (std::int64_t begin = 0; begin < count;) {
    std::int64_t rows = begin >= feeding.decode_from ? 1 : std::min(feeding.chunk == 0 ? count : feeding.chunk, count - begin);
    if (begin < feeding.decode_from) rows = std::min(rows, feeding.decode_from - begin);
    std::vector<std::int32_t> wanted(static_cast<std::size_t>(rows));
    std::iota(wanted.begin(), wanted.end(), 0);
    const model::Segment segment{&sequence, rows};
    Probe probe{&run, count, begin, config.streams, config.hidden_size};
    const model::Step step{{tokens.data() + begin, static_cast<std::size_t>(rows)}, {&segment, 1}, wanted, {Probe::See, &probe}};
    model_->Forward(step);
    for (std::int64_t r = 0; r < rows; ++r) run.logits.insert(run.logits.end(), model_->Logits(r).begin(), model_->Logits(r).end());
    begin += rows;
    const std::int32_t next = begin < count ? tokens[static_cast<std::size_t>(begin)] : -1;
    const std::int64_t drafted = model_->drafter() == checkpoint::DrafterKind::kMtp ? model_->DraftLogits({&next, 1}) : 0;
    for (std::int64_t r = 0; r < drafted; ++r) run.mtp_logits.insert(run.mtp_logits.end(), model_->Logits(r).begin(), model_->Logits(r).end());
  }
  return run;
}

std::vector<hardware::Isa> Isas() {
  std::vector<hardware::Isa> isas;
  for (int isa = 0; isa <= static_cast<int>(hardware::BestIsa()); ++isa) isas.push_back(static_cast<hardware::Isa>(isa));
  return isas;
}

double LargestDifference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(a[i]) - b[i]);
    if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, difference);
  }
  return largest;
}

}  // namespace baleen::golden
