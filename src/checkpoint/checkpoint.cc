#include "checkpoint/checkpoint.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "checkpoint/shards.h"
#include "checkpoint/tensor_list.h"
#include "checkpoint/tensor_names.h"
#include "hardware/file.h"

namespace baleen::checkpoint {
namespace {

using diagnostics::InvalidInput;
using diagnostics::NotFound;
using diagnostics::Quoted;
using tensor::DType;
using tensor::View;
namespace fs = std::filesystem;

constexpr std::uint64_t kConfigLimitBytes = 4u << 20;
constexpr std::size_t kMissingNamed = 5, kMissingCounted = 1000;

/// A tensor of some file, before it is matched with what the model needs.
struct Located {
  const StoredTensor* stored = nullptr;
  const Shard* shard = nullptr;
  bool claimed = false;
};

using LocatedByName = std::unordered_map<std::string, Located>;

/// The tensor with FP4 pairs unfolded: I8 [.., n/2] becomes F4 [.., n].
View WholeView(const Located& from, bool pairs_are_fp4) {
  View view{from.stored->dtype, from.stored->shape, from.shard->mapping->bytes().subspan(from.stored->begin, from.stored->end - from.stored->begin)};
  if (pairs_are_fp4 && view.dtype == DType::kI8 && !view.shape.empty() && view.shape.back() <= INT64_MAX / 2) {
    view.dtype = DType::kF4;
    view.shape.back() *= 2;
  }
  return view;
}

bool DTypeAllowed(Storage storage, DType dtype) {
  switch (storage) {
    case Storage::kPlain: return dtype == DType::kBF16 || dtype == DType::kF32;
    case Storage::kLinear: return dtype == DType::kF8E4M3 || dtype == DType::kBF16 || dtype == DType::kF32;
    case Storage::kExpert: return dtype == DType::kF8E4M3 || dtype == DType::kF4 || dtype == DType::kBF16 || dtype == DType::kF32;
    case Storage::kTable: return dtype == DType::kI64 || dtype == DType::kI32;
  }
  return false;
}

std::string_view AllowedText(Storage storage) {
  switch (storage) {
    case Storage::kPlain: return "BF16 or F32";
    case Storage::kLinear: return "F8_E4M3, BF16 or F32";
    case Storage::kExpert: return "F8_E4M3, FP4 (I8 pairs or F4), BF16 or F32";
    case Storage::kTable: return "I64 or I32";
  }
  return "";
}

diagnostics::Error Mismatch(const Located& from, std::string_view dtypes, const std::vector<std::int64_t>& shape) {
  return InvalidInput(Quoted(from.shard->path.string(), 300) + ": tensor '" + Quoted(from.stored->name) + "': expected " + std::string(dtypes) + " " +
                      tensor::ShapeText(shape) + ", found " + std::string(tensor::DTypeName(from.stored->dtype)) + " " + tensor::ShapeText(from.stored->shape) +
                      "; config.json and weights do not belong together, or a file is damaged");
}

/// Rows [first, first + count) of matrix `index` of a stack [matrices, rows, columns].
View SliceOfStack(const View& stack, std::int64_t index, std::int64_t first, std::int64_t count) {
  const std::uint64_t row_bytes = stack.bytes.size() / static_cast<std::uint64_t>(stack.shape[0] * stack.shape[1]);
  const std::uint64_t begin = static_cast<std::uint64_t>(index * stack.shape[1] + first) * row_bytes;
  return {stack.dtype, {count, stack.shape[2]}, stack.bytes.subspan(begin, static_cast<std::uint64_t>(count) * row_bytes)};
}

/// Matches what a configuration needs with what the files hold.
class Matcher {
 public:
  Matcher(const ModelConfig& config, const std::vector<Shard>& shards) : config_(config), shards_(shards) {}

  Status Locate() {
    for (const Shard& shard : shards_) {
      for (const StoredTensor& stored : shard.header.tensors) {
        const auto [it, fresh] = located_.try_emplace(OfficialName(stored.name), Located{&stored, &shard});
        if (fresh) continue;
        return InvalidInput("tensors '" + Quoted(it->second.stored->name) + "' and '" + Quoted(stored.name) + "' are both " + Quoted(it->first) +
            "; remove one");
      }
    }
    return {};
  }

  bool HasDrafter() const {
    return std::any_of(located_.begin(), located_.end(), [](const auto& entry) { return entry.first.starts_with("mtp."); });
  }

  Status Match(const fs::path& dir) {
    Status status;
    ForEachTensor(config_, config_.experts, [&](const TensorSpec& spec) {
      status = MatchOne(spec);
      return status.has_value() && missing_count_ < kMissingCounted;
    });
    TRY(status);
    if (missing_count_ == 0) return {};
    std::string text = Quoted(dir.string(), 300) + ": the checkpoint lacks " + std::to_string(missing_count_) +
        (missing_count_ == kMissingCounted ? " or more" : "") + " tensors that its config.json asks for: ";
    for (const std::string& name : missing_) text += (&name == missing_.data() ? "" : ", ") + name;
    return NotFound(text + (missing_count_ > missing_.size() ? ", …" : ""));
  }

  std::map<std::string, View, std::less<>> TakeViews() { return std::move(views_); }

  std::vector<std::string> Unclaimed() const {
    std::vector<std::string> names;
    for (const auto& [name, from] : located_) {
      if (!from.claimed) names.push_back(from.stored->name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  Located* Find(const std::string& name) {
    const auto it = located_.find(name);
    return it == located_.end() ? nullptr : &it->second;
  }

  void Miss(const std::string& name) {
    if (!missing_.empty() && missing_.back() == name) return;  // the scales of a stack, asked for by each of its experts
    ++missing_count_;
    if (missing_.size() < kMissingNamed) missing_.push_back(name);
  }

  Status MatchOne(const TensorSpec& spec) {
    Located* from = Find(spec.name);
    if (from == nullptr && spec.storage == Storage::kExpert) return MatchStacked(spec);
    if (from == nullptr) {
      Miss(spec.name);
      return {};
    }
    View view = WholeView(*from, spec.storage == Storage::kExpert);
    TRY(Check(*from, view, spec.storage, spec.shape));
    if (view.dtype == DType::kF8E4M3 || view.dtype == DType::kF4) {
      const std::string scale_name = ScaleName(spec.name);
      Located* scale = Find(scale_name);
      if (scale == nullptr) {
        Miss(scale_name);
      } else {
        View scales = WholeView(*scale, false);
        TRY(CheckScale(*scale, scales, ScaleShape(spec.shape, view.dtype)));
        views_.emplace(scale_name, std::move(scales));
      }
    }
    views_.emplace(spec.name, std::move(view));
    return {};
  }

  static Status Check(Located& from, const View& view, Storage storage, const std::vector<std::int64_t>& shape) {
    from.claimed = true;
    if (!DTypeAllowed(storage, view.dtype) || view.shape != shape) return Mismatch(from, AllowedText(storage), shape);
    if (view.dtype == DType::kF4 && shape.back() % 2 != 0) return Mismatch(from, "an even number of FP4 columns in", shape);
    return {};
  }

  static Status CheckScale(Located& from, const View& view, const std::vector<std::int64_t>& shape) {
    from.claimed = true;
    if (view.dtype != DType::kF8E8M0 || view.shape != shape) return Mismatch(from, "F8_E8M0", shape);
    return {};
  }

  /// One expert's matrix inside [experts, 2·inner, hidden] (w1 above w3) or [experts, hidden, inner] (w2), §9.5.
  Status MatchStacked(const TensorSpec& spec) {
    const std::size_t number = spec.name.find(".experts.") + 9, dot = spec.name.find('.', number);
    const std::string scope = spec.name.substr(0, number), which = spec.name.substr(dot + 1, 2);
    const bool halves = which != "w2";
    const std::string stack_name = scope + (halves ? "w13" : "w2") + ".weight", stack_scale_name = scope + (halves ? "w13" : "w2") + ".scale";
    Located* from = Find(stack_name);
    if (from == nullptr) {
      Miss(spec.name);
      return {};
    }
    const std::int64_t expert = std::stoll(spec.name.substr(number, dot - number));
    const View stack = WholeView(*from, true);
    TRY(Check(*from, stack, Storage::kExpert, {config_.experts, spec.shape[0] * (halves ? 2 : 1), spec.shape[1]}));
    views_.emplace(spec.name, SliceOfStack(stack, expert, which == "w3" ? spec.shape[0] : 0, spec.shape[0]));
    if (stack.dtype != DType::kF8E4M3 && stack.dtype != DType::kF4) return {};
    Located* scale = Find(stack_scale_name);
    if (scale == nullptr) {
      Miss(stack_scale_name);
      return {};
    }
    const std::vector<std::int64_t> shape = ScaleShape(spec.shape, stack.dtype);
    const View scales = WholeView(*scale, false);
    TRY(CheckScale(*scale, scales, {config_.experts, shape[0] * (halves ? 2 : 1), shape[1]}));
    views_.emplace(ScaleName(spec.name), SliceOfStack(scales, expert, which == "w3" ? shape[0] : 0, shape[0]));
    return {};
  }

  const ModelConfig& config_;
  const std::vector<Shard>& shards_;
  LocatedByName located_;
  std::map<std::string, View, std::less<>> views_;
  std::vector<std::string> missing_;
  std::size_t missing_count_ = 0;
};

}  // namespace

struct Checkpoint::State {
  fs::path directory;
  ModelConfig config;
  ShardSet files;
  std::map<std::string, View, std::less<>> views;
  std::vector<std::string> odd;
};

Checkpoint::Checkpoint(std::unique_ptr<State> state) : state_(std::move(state)) {}
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

Result<ModelConfig> ReadModelConfig(const fs::path& dir) {
  std::error_code code;
  if (!fs::exists(dir, code)) return NotFound(Quoted(dir.string(), 300) + ": expected a checkpoint folder, found nothing of that name");
  if (!fs::is_directory(dir, code)) return InvalidInput(Quoted(dir.string(), 300) + ": expected a checkpoint folder, found a file");
  fs::path path = dir / "config.json";
  // A link to nothing counts as there, so that the error names it.
  if (!fs::exists(fs::symlink_status(path, code))) path = dir / "inference" / "config.json";
  if (!fs::exists(fs::symlink_status(path, code))) return NotFound(Quoted(dir.string(), 300) + ": expected config.json or inference/config.json, found neither");
  TRY_ASSIGN(const std::string text, hardware::ReadFile(path, kConfigLimitBytes));
  auto config = ParseModelConfig(text);
  if (config) return config;
  diagnostics::Error error = config.error();
  error.message = Quoted(path.string(), 300) + ": " + error.message;
  return error;
}

Result<Checkpoint> Checkpoint::Open(const fs::path& dir) {
  auto state = std::make_unique<State>();
  state->directory = dir;
  TRY_ASSIGN(state->config, ReadModelConfig(dir));
  TRY_ASSIGN(state->files, OpenShards(dir));
  Matcher matcher(state->config, state->files.shards);
  TRY(matcher.Locate());
  if (state->config.drafter != DrafterKind::kNone && !matcher.HasDrafter()) {
    // Converters to Hugging Face names drop mtp.*; the backbone is complete without it.
    state->odd.push_back("(config.json announces " + std::to_string(state->config.drafter_modules) + " drafter modules, the files hold no mtp.* tensors)");
    state->config.drafter = DrafterKind::kNone;
    state->config.drafter_modules = 0;
    state->config.drafter_compress_ratios.clear();
  }
  TRY(matcher.Match(dir));
  state->views = matcher.TakeViews();
  const std::vector<std::string> unclaimed = matcher.Unclaimed();
  state->odd.insert(state->odd.end(), unclaimed.begin(), unclaimed.end());
  state->odd.insert(state->odd.end(), state->files.odd.begin(), state->files.odd.end());
  return Checkpoint(std::move(state));
}

const ModelConfig& Checkpoint::config() const noexcept { return state_->config; }
const fs::path& Checkpoint::directory() const noexcept { return state_->directory; }
const std::vector<std::string>& Checkpoint::odd_names() const noexcept { return state_->odd; }

std::optional<View> Checkpoint::Find(std::string_view official_name) const {
  const auto it = state_->views.find(official_name);
  if (it == state_->views.end()) return std::nullopt;
  return it->second;
}

std::vector<std::string> Checkpoint::Names() const {
  std::vector<std::string> names;
  names.reserve(state_->views.size());
  for (const auto& entry : state_->views) names.push_back(entry.first);
  return names;
}

std::uint64_t Checkpoint::TotalBytes() const noexcept {
  std::uint64_t total = 0;
  for (const Shard& shard : state_->files.shards) {
    for (const StoredTensor& stored : shard.header.tensors) total += stored.end - stored.begin;
  }
  return total;
}

std::vector<fs::path> Checkpoint::FilePaths() const {
  std::vector<fs::path> paths;
  for (const Shard& shard : state_->files.shards) paths.push_back(shard.path);
  return paths;
}

std::vector<std::span<const std::byte>> Checkpoint::FileBytes() const {
  std::vector<std::span<const std::byte>> bytes;
  for (const Shard& shard : state_->files.shards) bytes.push_back(shard.mapping->bytes());
  return bytes;
}

}  // namespace baleen::checkpoint
