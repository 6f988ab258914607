#include "reading.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <random>

#include "diagnostics/check.h"

namespace baleen::long_context {
namespace {

template <typename T>
T Must(Result<T> result) {
  if (!result) std::fprintf(stderr, "%s\n", result.error().message.c_str());
  CHECK(result.has_value());
  return *std::move(result);
}

// The operations are a table of plain functions, so what stands in for some of them finds its data here.
const backend::Ops* real_ops = nullptr;
std::vector<Choice>* watched = nullptr;
std::int64_t layer_calls = 0;

void ChooseNothing(backend::Device&, const backend::ChooseRows&) noexcept {}

/// Attends to the row itself only: the window ring still receives the step's rows.
void AttendToItself(backend::Device& device, const backend::Attend& op) noexcept {
  backend::Attend alone = op;
  alone.window = 1;
  alone.ratio = 0;
  alone.chosen = nullptr;
  real_ops->attend(device, alone);
}

/// Calls use(begin, end, asks) for the runs of rows that ask something and of those that do not.
template <typename Asks, typename Use>
void ForRuns(std::int64_t rows, const Asks& asks, const Use& use) noexcept {
  for (std::int64_t begin = 0; begin < rows;) {
    const bool kind = asks(begin);
    std::int64_t end = begin + 1;
    while (end < rows && asks(end) == kind) ++end;
    use(begin, end, kind);
    begin = end;
  }
}

/// Rows whose index query is zero score every entry zero, and ties go to the lowest rows: nothing needs scoring.
void ChooseForAskers(backend::Device& device, const backend::ChooseRows& op) noexcept {
  const std::int64_t width = op.heads * op.layout.dim;
  const auto asks = [&](std::int64_t r) { return std::any_of(op.query + r * width, op.query + (r + 1) * width, [](float x) { return x != 0.0f; }); };
  ForRuns(op.cache.rows, asks, [&](std::int64_t begin, std::int64_t end, bool kind) {
    backend::ChooseRows part = op;
    part.cache.first_position += begin;
    part.cache.rows = end - begin;
    part.query += begin * width;
    part.weights += begin * op.heads;
    part.chosen += begin * op.top_k;
    if (kind) return real_ops->choose_rows(device, part);
    for (std::int64_t r = 0; r < part.cache.rows; ++r) {
      const std::int64_t count = std::min(op.top_k, (part.cache.first_position + r + 1) / op.ratio);
      std::iota(part.chosen + r * op.top_k, part.chosen + r * op.top_k + count, 0);
    }
  });
}

/// In the HCA layer a query that has nothing but its ballast scores every row zero, and the sink at e^40 leaves nothing of 16,384 of them:
/// the window alone leaves the same nothing. A run of rows is what a chunk is, so the parts follow each other as chunks do.
void AttendForAskers(backend::Device& device, const backend::Attend& op) noexcept {
  if (op.ratio == 0 || op.chosen != nullptr) return real_ops->attend(device, op);
  const std::int64_t width = op.heads * op.layout.dim, half = op.rotation.rope_dim / 2;
  const auto asks = [&](std::int64_t r) {
    for (std::int64_t i = 0; i < width; ++i) {
      if (i % op.layout.dim != kQueryBallast && op.query[r * width + i] != 0.0f) return true;
    }
    return false;
  };
  ForRuns(op.cache.rows, asks, [&](std::int64_t begin, std::int64_t end, bool kind) {
    backend::Attend part = op;
    part.cache.first_position += begin;
    part.cache.rows = end - begin;
    part.step_rows += begin * op.layout.RowBytes();
    part.query += begin * width;
    part.rotation.cosine += begin * half;
    part.rotation.sine += begin * half;
    part.out += begin * width;
    if (!kind) part.ratio = 0;
    real_ops->attend(device, part);
  });
}

void WatchChoice(backend::Device& device, const backend::ChooseRows& op) noexcept {
  real_ops->choose_rows(device, op);
  for (std::int64_t r = 0; watched != nullptr && r < op.cache.rows; ++r) {
    const std::int64_t position = op.cache.first_position + r, count = std::min(op.top_k, (position + 1) / op.ratio);
    const std::int32_t* first = op.chosen + r * op.top_k;
    watched->push_back({layer_calls, position, {first, first + count}});
  }
  ++layer_calls;
}

}  // namespace

Prompt::Prompt(std::int64_t tokens, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (std::int64_t i = 0; i < tokens; ++i) tokens_.push_back(Filler(static_cast<std::int64_t>(random() % kFillers)));
}

void Prompt::Plant(std::int64_t position, std::initializer_list<std::int32_t> needle, std::int32_t ask, std::int32_t answer) {
  CHECK(position >= 0 && position + static_cast<std::int64_t>(needle.size()) <= size());
  std::copy(needle.begin(), needle.end(), tokens_.begin() + position);
  questions_.push_back({ask, answer, position});
}

bool Prompt::IsFree(std::int64_t position) const {
  if (position < 0 || position + 8 > size()) return false;
  const auto first = tokens_.begin() + std::max<std::int64_t>(0, position - 12), last = tokens_.begin() + std::min(size(), position + 16);
  return std::all_of(first, last, [](std::int32_t t) { return t >= Filler(0) && t < Filler(kFillers); });
}

Reader::Reader(const ReaderOptions& options) : most_rows_(options.rows) {
  const checkpoint::ModelConfig config = ConstructedConfig(options.yarn_factor);
  const Status written = WriteConstructed(folder_.path(), config);
  if (!written) std::fprintf(stderr, "%s\n", written.error().message.c_str());
  CHECK(written.has_value());
  checkpoint_ = std::make_unique<checkpoint::Checkpoint>(Must(checkpoint::Checkpoint::Open(folder_.path())));
  device_ = std::make_unique<backend::Device>(Must(hardware::IsaFromEnvironment()), options.threads);
  model::Limits limits;
  limits.rows = limits.logit_rows = options.rows;
  limits.context = options.context;
  limits.segments = options.segments;
  model_ = Must(model::Transformer::Load(*checkpoint_, *device_, options.arithmetic, limits));
  all_ops_ = &device_->ops();
  real_ops = all_ops_;
  askers_only_ = states_only_ = watching_ = *all_ops_;
  askers_only_.choose_rows = ChooseForAskers;
  askers_only_.attend = AttendForAskers;
  states_only_.choose_rows = ChooseNothing;
  states_only_.attend = AttendToItself;
  watching_.choose_rows = WatchChoice;
}

Reader::~Reader() { watched = nullptr; }

kvcache::Sequence Reader::Begin(std::int64_t capacity) const { return Must(kvcache::Sequence::Create(model_->cache_layout(), capacity)); }

void Reader::Watch(std::vector<Choice>* choices) noexcept { watched = choices; }

void Reader::Use(Filling filling) noexcept {
  switch (filling) {
    case Filling::kWhole: device_->Use(watched != nullptr ? watching_ : *all_ops_); break;
    case Filling::kAskersOnly: device_->Use(askers_only_); break;
    case Filling::kStates: device_->Use(states_only_); break;
  }
}

std::vector<float> Reader::Feed(kvcache::Sequence& sequence, std::span<const std::int32_t> tokens, const Feeding& feeding) {
  std::vector<float> logits;
  const auto count = static_cast<std::int64_t>(tokens.size()), chunk = feeding.chunk == 0 ? most_rows_ : feeding.chunk;
  Use(feeding.filling);
  auto next = feeding.wanted.begin();
  for (std::int64_t begin = 0; begin < count; begin += chunk) {
    const std::int64_t rows = std::min(chunk, count - begin);
    std::vector<std::int32_t> rows_wanted;
    for (; next != feeding.wanted.end() && *next < begin + rows; ++next) rows_wanted.push_back(static_cast<std::int32_t>(*next - begin));
    const model::Segment segment{&sequence, rows};
    layer_calls = 0;
    model_->Forward({.tokens = tokens.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(rows)), .segments = {&segment, 1}, .rows_wanted = rows_wanted});
    for (std::size_t i = 0; i < rows_wanted.size(); ++i) {
      const std::span<const float> row = model_->Logits(static_cast<std::int64_t>(i));
      logits.insert(logits.end(), row.begin(), row.end());
    }
  }
  device_->Use(*all_ops_);
  return logits;
}

std::vector<std::int64_t> Places(std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> places(static_cast<std::size_t>(count));
  std::iota(places.begin(), places.end(), first);
  return places;
}

std::vector<std::int32_t> Reader::Argmax(std::span<const float> logits) const {
  std::vector<std::int32_t> ids;
  for (std::size_t at = 0; at < logits.size(); at += kVocabulary) {
    const auto row = logits.subspan(at, kVocabulary);
    ids.push_back(static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin()));
  }
  return ids;
}

std::int64_t Reader::CountRight(kvcache::Sequence& sequence, const std::vector<Question>& questions, std::string& wrong) {
  std::vector<std::int32_t> asks;
  for (const Question& q : questions) asks.push_back(q.ask);
  const std::int64_t length = sequence.length();
  const std::vector<std::int32_t> answers = Argmax(Feed(sequence, asks, {.wanted = Places(0, static_cast<std::int64_t>(asks.size()))}));
  std::int64_t right = 0;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    if (answers[i] == questions[i].answer) {
      ++right;
    } else if (wrong.size() < 2000) {
      wrong += "needle at " + std::to_string(questions[i].position) + " of " + std::to_string(length) + ": asked " + std::to_string(questions[i].ask) + ", expected " +
               std::to_string(questions[i].answer) + ", found " + std::to_string(answers[i]) + "\n";
    }
  }
  return right;
}

void PlantAroundBoundaries(Prompt& prompt, std::int64_t chunk, std::uint64_t seed) {
  // Keys below 32 stand in plain pairs, keys from 32 on with ordinals: Ask and AskOrdinal then have one right answer each.
  std::mt19937_64 random(seed);
  const std::int64_t steps[] = {4, 128, chunk};
  std::int64_t planted = 0;
  const std::int64_t pairs = 32, repeats = 32 * kOrdinals, beacons = kColors;
  const auto place = [&](std::int64_t number) {
    for (int tries = 0;; ++tries) {
      const std::int64_t step = steps[tries < 100 ? number % 3 : 0], offset = number / 3 % 9 - 4;
      const std::int64_t multiple = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(std::max<std::int64_t>(1, prompt.size() / step)));
      std::int64_t position = multiple * step + offset;
      if (number == 0) position = 0;
      if (number == 1) position = prompt.size() - 8;
      if (prompt.IsFree(position)) return position;
    }
  };
  // A dense prompt has no room for everything: a needle takes 28 places at most, and a third of them is enough for the search to end.
  const std::int64_t room = prompt.size() / 90;
  for (std::int64_t k = 0; k < pairs && planted < room; ++k, ++planted) {
    const std::int64_t v = static_cast<std::int64_t>(random() % 32) + 32;  // no key of a pair, so AskTwice stays with it
    prompt.Plant(place(planted), {Key(k), Value(v)}, Ask(k), Value(v));
  }
  for (std::int64_t c = 0; c < beacons && planted < room; ++c, ++planted) {
    const std::int64_t b = static_cast<std::int64_t>(random() % 8);
    std::int64_t position = place(planted);
    prompt.Plant(position, {Beacon(c, b)}, AskColor(c), Beacon(c, b));
  }
  for (std::int64_t i = 0; i < repeats && planted < room; ++i, ++planted) {
    const std::int64_t k = 32 + i % 32, o = i / 32, v = static_cast<std::int64_t>(random() % kKeys);
    prompt.Plant(place(planted), {Key(k), Ordinal(o), Value(v)}, AskOrdinal(k, o), Value(v));
  }
}

}  // namespace baleen::long_context
