#include "apps/engine_flags.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "checkpoint/fingerprint.h"
#include "diagnostics/log.h"
#include "hardware/cpu.h"
#include "kvcache/hash.h"
#include "model/cache_layout.h"

namespace baleen::apps {
namespace {

using checkpoint::DrafterKind;

constexpr std::int64_t kMostParallel = 1024, kMostStepRows = 8192;
constexpr std::int64_t kMtpTokens = 1;        // what --draft mtp proposes: further ones are seldom accepted (specification §7.1)
constexpr std::int64_t kUsualTokens = 8192;   // of a sequence, for the default memory
constexpr std::uint64_t kMemoryShare = 4;     // the default takes at most one part of so many of the machine's memory
constexpr std::uint32_t kFormat = 1;          // of the cache's records and of everything that decides their bits

Result<std::int64_t> DraftTokens(const std::string& draft, const checkpoint::ModelConfig& config) {
  const DrafterKind kind = config.drafter;
  if (draft == "off" || (draft == "auto" && kind == DrafterKind::kNone)) return 0;
  if ((draft == "mtp" && kind != DrafterKind::kMtp) || (draft == "dspark" && kind != DrafterKind::kDspark)) {
    return diagnostics::Unsupported("--draft " + draft + ": this checkpoint has " +
                                    (kind == DrafterKind::kNone  ? "no drafter"
                                     : kind == DrafterKind::kMtp ? "an MTP module"
                                                                 : "a DSpark drafter") +
                                    "; --draft auto uses what is there, --draft off none");
  }
  return kind == DrafterKind::kMtp ? kMtpTokens : config.dspark_block;
}

/// Everything that decides the bits of attention state, beside its tokens.
Result<kvcache::Hash128> CacheFingerprint(const OpenModel& opened, const std::string& cache_dir) {
  TRY_ASSIGN(const checkpoint::Fingerprint weights, checkpoint::FingerprintOf(*opened.checkpoint, cache_dir));
  const std::array<std::uint64_t, 5> facts = {weights[0], weights[1], static_cast<std::uint64_t>(opened.device->isa()),
                                              static_cast<std::uint64_t>(opened.arithmetic), kFormat};
  return kvcache::HashOf(std::as_bytes(std::span(facts)));
}

/// Blocks for --kv-memory, or for two usual sequences in every place, or for one of the longest: a quarter of the machine at most.
std::int64_t PoolBlocks(const kvcache::Layout& layout, const EngineFlags& flags, std::int64_t context) {
  const std::uint64_t fixed = static_cast<std::uint64_t>(flags.parallel) * layout.StateBytes();
  const auto blocks_of = [&](std::uint64_t bytes) { return bytes <= fixed ? 0 : static_cast<std::int64_t>((bytes - fixed) / layout.BlockBytes()); };
  if (flags.kv_bytes != 0) return blocks_of(flags.kv_bytes);
  const std::int64_t usual = 2 * flags.parallel * layout.Blocks(std::min(context, kUsualTokens));
  return std::min(std::max(usual, layout.Blocks(context) + 2 * flags.parallel), blocks_of(hardware::PhysicalMemoryBytes() / kMemoryShare));
}

void PrintPlan(const OpenEngine& open, const ModelFlags& flags) {
  const model::MemoryPlan& plan = open.model.transformer->memory_plan();
  const double mib = 1048576.0;
  const std::uint64_t pool = engine::Engine::PoolBytes(open.model.transformer->cache_layout(), open.options);
  char line[400];
  std::snprintf(line, sizeof line,
                "memory: %.1f MiB of weights mapped; beyond them %.1f MiB for %lld sequences of up to %lld tokens, %lld tokens of attention state in all"
                " (%.1f MiB)",
                static_cast<double>(plan.mapped_weights) / mib, static_cast<double>(plan.BeyondWeights(0) + pool) / mib,
                static_cast<long long>(open.options.sequences), static_cast<long long>(open.options.context),
                static_cast<long long>(open.options.blocks * open.model.transformer->cache_layout().BlockTokens()), static_cast<double>(pool) / mib);
  diagnostics::Note(line);
  if (flags.verbose) std::fprintf(stderr, "%s", plan.Text(0, open.options.context).c_str());
}

}  // namespace

void AddEngineFlags(CLI::App& command, EngineFlags& flags) {
  command.add_option("--parallel", flags.parallel, "Requests computed at once")->check(CLI::Range(std::int64_t{1}, kMostParallel))->capture_default_str();
  command.add_option("--context", flags.context, "Tokens of prompt and answer together (default: what model and memory allow)")
      ->check(CLI::Range(std::int64_t{2}, std::int64_t{1} << 40));
  command.add_option("--step-rows", flags.step_rows, "Tokens computed in one step at most")->check(CLI::Range(std::int64_t{1}, kMostStepRows))->capture_default_str();
  command.add_option("--kv-memory", flags.kv_bytes, "Memory for attention state and cache, such as 8GiB (default: chosen and printed)")
      ->transform(CLI::AsSizeValue(false));
  command.add_option("--cache-dir", flags.cache_dir, "Keep the prefix cache in this folder, across restarts");
  command.add_option("--cache-bytes", flags.cache_bytes, "What the cache folder may hold, such as 20GiB")->transform(CLI::AsSizeValue(false))->default_str("16GiB");
  command.add_option("--draft", flags.draft, "Drafter: off, mtp, dspark, or auto (what the checkpoint has)")
      ->check(CLI::IsMember({"off", "mtp", "dspark", "auto"}))
      ->capture_default_str();
}

Result<OpenEngine> StartEngine(OpenModel opened, const ModelFlags& model_flags, const EngineFlags& flags) {
  OpenEngine open{.model = std::move(opened)};
  const checkpoint::ModelConfig& config = open.model.checkpoint->config();
  engine::Options& options = open.options;
  TRY_ASSIGN(options.draft_tokens, DraftTokens(flags.draft, config));
  options.sequences = flags.parallel;
  options.step_rows = flags.step_rows;
  options.context = flags.context != 0 ? flags.context : config.max_positions;
  const kvcache::Layout layout = model::CacheLayoutOf(config, open.model.arithmetic, engine::Engine::ModelLimits(options));
  options.blocks = PoolBlocks(layout, flags, options.context);
  const std::int64_t held = options.blocks * layout.BlockTokens();
  if (options.blocks < 1 || (flags.context != 0 && held < options.context)) {
    return diagnostics::ResourceError("--kv-memory: " + std::to_string(std::max<std::int64_t>(0, held)) + " tokens of attention state fit, expected at least " +
                                      std::to_string(flags.context != 0 ? flags.context : 1) + " (--context); one sequence of them takes " +
                                      std::to_string((layout.Bytes(std::max<std::int64_t>(1, flags.context)) >> 20) + 1) + " MiB");
  }
  if (held < options.context) {
    options.context = held;
    diagnostics::Note("the memory for attention state holds " + std::to_string(held) + " tokens, so that is the context; --kv-memory makes room for more");
  }
  options.waiting.requests = std::max<std::int64_t>(1024, 4 * flags.parallel);
  TRY_ASSIGN(open.model.transformer, model::Transformer::Load(*open.model.checkpoint, *open.model.device, open.model.arithmetic, engine::Engine::ModelLimits(options)));
  if (!flags.cache_dir.empty()) {
    options.cache.directory = flags.cache_dir;
    options.cache.disk_bytes = flags.cache_bytes;
    TRY_ASSIGN(options.cache.fingerprint, CacheFingerprint(open.model, flags.cache_dir));
  }
  PrintPlan(open, model_flags);
  TRY_ASSIGN(open.engine, engine::Engine::Create(*open.model.transformer, options));
  return open;
}

}  // namespace baleen::apps
