#include "library/start_engine.h"

#include <algorithm>
#include <array>
#include <span>

#include "checkpoint/fingerprint.h"
#include "hardware/cpu.h"
#include "kvcache/hash.h"
#include "model/cache_layout.h"

namespace baleen::library {
namespace {

using checkpoint::DrafterKind;
using diagnostics::InvalidInput;

constexpr std::int64_t kMtpTokens = 1;       // further ones are seldom accepted (specification §7.1)
constexpr std::int64_t kUsualTokens = 8192;  // of a sequence, for the memory that is chosen
constexpr std::uint64_t kMemoryShare = 4;    // which takes at most one part of so many of the machine's
constexpr std::uint64_t kFormat = 2;         // of the cache's records and of everything that decides their bits

Status CheckRange(const char* name, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value >= least && value <= most) return {};
  return InvalidInput(std::string(name) + ": expected a number from " + std::to_string(least) + " to " + std::to_string(most) + ", found " +
                      std::to_string(value));
}

Status CheckSettings(const EngineSettings& settings, std::int64_t max_positions) {
  TRY(CheckRange("parallel", settings.parallel, 1, kMostParallel));
  TRY(CheckRange("tokens of a step", settings.step_rows, 1, kMostStepRows));
  TRY(CheckRange("waiting requests", settings.waiting_requests, 1, std::int64_t{1} << 40));
  if (settings.context != 0) TRY(CheckRange("context", settings.context, 2, max_positions));
  return {};
}

std::string DrafterName(DrafterKind kind) {
  return kind == DrafterKind::kNone ? "no drafter" : kind == DrafterKind::kMtp ? "an MTP module" : "a DSpark drafter";
}

Result<std::int64_t> DraftTokens(const std::optional<DrafterKind>& wanted, const checkpoint::ModelConfig& config) {
  const DrafterKind kind = wanted.value_or(config.drafter);
  if (kind == DrafterKind::kNone) return 0;
  if (kind != config.drafter) {
    return diagnostics::Unsupported("drafts: expected what this checkpoint has, " + DrafterName(config.drafter) + ", found a wish for " +
                                    DrafterName(kind) + "; auto takes what is there, off none");
  }
  return kind == DrafterKind::kMtp ? kMtpTokens : config.dspark_block;
}

/// Everything that decides the bits of attention state, beside its tokens.
Result<kvcache::Hash128> CacheFingerprint(const OpenedModel& opened, const std::string& cache_dir) {
  TRY_ASSIGN(const checkpoint::Fingerprint weights, checkpoint::FingerprintOf(*opened.checkpoint, cache_dir));
  const std::array<std::uint64_t, 5> facts = {weights[0], weights[1], static_cast<std::uint64_t>(opened.device->isa()),
                                              static_cast<std::uint64_t>(opened.arithmetic), kFormat};
  return kvcache::HashOf(std::as_bytes(std::span(facts)));
}

/// Blocks for the memory that was given, or for two usual sequences in every place, or for one of the longest.
std::int64_t PoolBlocks(const kvcache::Layout& layout, const EngineSettings& settings, std::int64_t context) {
  const std::uint64_t fixed = static_cast<std::uint64_t>(settings.parallel) * layout.StateBytes();
  const std::uint64_t block = layout.BlockBytes();
  if (block == 0) return settings.parallel * layout.Blocks(context);  // no layer compresses, or the context is too short for it: blocks take nothing
  const auto blocks_of = [&](std::uint64_t bytes) { return bytes <= fixed ? 0 : static_cast<std::int64_t>((bytes - fixed) / block); };
  if (settings.kv_bytes != 0) return std::min(blocks_of(settings.kv_bytes), std::int64_t{1} << 30);
  const std::int64_t usual = 2 * settings.parallel * layout.Blocks(std::min(context, kUsualTokens));
  return std::min(std::max(usual, layout.Blocks(context) + 2 * settings.parallel), blocks_of(hardware::PhysicalMemoryBytes() / kMemoryShare));
}

/// Blocks and context, which depend on each other.
Status SettleMemory(RunningEngine& running, const EngineSettings& settings, std::int64_t max_positions) {
  engine::Options& options = running.options;
  options.context = settings.context != 0 ? settings.context : max_positions;
  const kvcache::Layout layout = model::CacheLayoutOf(running.model.checkpoint->config(), running.model.arithmetic, engine::Engine::ModelLimits(options));
  options.blocks = PoolBlocks(layout, settings, options.context);
  const std::int64_t held = options.blocks * layout.BlockTokens(), least = settings.context != 0 ? settings.context : 2;
  if (held < least) {
    return diagnostics::ResourceError("attention memory: expected room for the attention state of at least " + std::to_string(least) +
                                      " tokens (the context), found room for " + std::to_string(held) + " beside the fixed state of " +
                                      std::to_string(settings.parallel) + " sequences; one sequence of them takes " + std::to_string((layout.Bytes(least) >> 20) + 1) +
                                      " MiB: give it more, or ask for a shorter context or fewer sequences");
  }
  running.context_cut = held < options.context;
  options.context = std::min(held, options.context);
  return {};
}

}  // namespace

std::uint64_t RunningEngine::AttentionBytes() const noexcept { return engine::Engine::PoolBytes(model.transformer->cache_layout(), options); }

std::int64_t RunningEngine::AttentionTokens() const noexcept { return options.blocks * model.transformer->cache_layout().BlockTokens(); }

Result<RunningEngine> StartEngine(OpenedModel opened, const EngineSettings& settings) {
  RunningEngine running{.model = std::move(opened)};
  OpenedModel& model = running.model;
  engine::Options& options = running.options;
  const checkpoint::ModelConfig& config = model.checkpoint->config();
  TRY(CheckSettings(settings, config.max_positions));
  TRY_ASSIGN(options.draft_tokens, DraftTokens(settings.draft, config));
  options.sequences = settings.parallel;
  options.step_rows = settings.step_rows;
  options.waiting.requests = settings.waiting_requests;
  TRY(SettleMemory(running, settings, config.max_positions));
  TRY_ASSIGN(model.transformer, model::Transformer::Load(*model.checkpoint, *model.device, model.arithmetic, engine::Engine::ModelLimits(options), model.place));
  options.cache.tenant_quota = settings.tenant_quota;
  if (!settings.cache_dir.empty()) {
    options.cache.directory = settings.cache_dir;
    options.cache.disk_bytes = settings.cache_bytes;
    TRY_ASSIGN(options.cache.fingerprint, CacheFingerprint(model, settings.cache_dir));
  }
  TRY_ASSIGN(running.engine, engine::Engine::Create(*model.transformer, options));
  return running;
}

}  // namespace baleen::library
