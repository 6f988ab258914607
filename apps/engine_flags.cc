#include "apps/engine_flags.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <utility>

#include "diagnostics/log.h"

namespace baleen::apps {
namespace {

using checkpoint::DrafterKind;

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 60;  // of a size on the command line; a negative one is read as a larger

std::optional<DrafterKind> DrafterOf(const std::string& draft) {
  if (draft == "off") return DrafterKind::kNone;
  if (draft == "mtp") return DrafterKind::kMtp;
  if (draft == "dspark") return DrafterKind::kDspark;
  return std::nullopt;
}

/// The setting's name in front of the message becomes the flag's.
diagnostics::Error WithFlagName(diagnostics::Error error) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kNames = {{{"attention memory:", "--kv-memory:"},
                                                                                    {"context:", "--context:"},
                                                                                    {"drafts:", "--draft:"},
                                                                                    {"parallel:", "--parallel:"},
                                                                                    {"tokens of a step:", "--step-rows:"}}};
  for (const auto& [setting, flag] : kNames) {
    if (error.message.starts_with(setting)) error.message.replace(0, setting.size(), flag);
  }
  return error;
}

void PrintPlan(const library::RunningEngine& running, const ModelFlags& flags) {
  const model::MemoryPlan& plan = running.model.transformer->memory_plan();
  const double mib = 1048576.0;
  const std::uint64_t pool = running.AttentionBytes();
  char line[400];
  std::snprintf(line, sizeof line,
                "memory: %.1f MiB of weights %s; beyond them %.1f MiB for %lld sequences of up to %lld tokens, %lld tokens of attention state in all"
                " (%.1f MiB)",
                static_cast<double>(plan.Matrices()) / mib, plan.packed_weights > 0 ? "packed" : "mapped", static_cast<double>(plan.BeyondWeights(0) + pool) / mib,
                static_cast<long long>(running.options.sequences), static_cast<long long>(running.options.context),
                static_cast<long long>(running.AttentionTokens()), static_cast<double>(pool) / mib);
  diagnostics::Note(line);
  if (flags.verbose) std::fprintf(stderr, "%s", plan.Text(0, running.options.context).c_str());
}

}  // namespace

void AddEngineFlags(CLI::App& command, EngineFlags& flags) {
  command.add_option("--parallel", flags.parallel, "Requests computed at once")
      ->check(CLI::Range(std::int64_t{1}, library::kMostParallel))
      ->capture_default_str();
  command.add_option("--context", flags.context, "Tokens of prompt and answer together (default: what model and memory allow)")
      ->check(CLI::Range(std::int64_t{2}, std::int64_t{1} << 40));
  command.add_option("--step-rows", flags.step_rows, "Tokens computed in one step at most")
      ->check(CLI::Range(std::int64_t{1}, library::kMostStepRows))
      ->capture_default_str();
  command.add_option("--kv-memory", flags.kv_bytes, "Memory for attention state and cache, such as 8GiB (default: chosen and printed)")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(std::uint64_t{1}, kMostBytes));
  command.add_option("--cache-dir", flags.cache_dir, "Keep the prefix cache in this folder, across restarts");
  command.add_option("--cache-bytes", flags.cache_bytes, "What the cache folder may hold, such as 20GiB")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(std::uint64_t{0}, kMostBytes))
      ->default_str("16GiB");
  command.add_option("--draft", flags.draft, "Drafter: off, mtp, dspark, or auto (what the checkpoint has)")
      ->check(CLI::IsMember({"off", "mtp", "dspark", "auto"}))
      ->capture_default_str();
}

Result<library::RunningEngine> StartEngine(library::OpenedModel opened, const ModelFlags& model_flags, const EngineFlags& flags) {
  Result<library::RunningEngine> running = library::StartEngine(std::move(opened), {.parallel = flags.parallel,
                                                                                    .context = flags.context,
                                                                                    .step_rows = flags.step_rows,
                                                                                    .kv_bytes = flags.kv_bytes,
                                                                                    .cache_dir = flags.cache_dir,
                                                                                    .cache_bytes = flags.cache_bytes,
                                                                                    .waiting_requests = std::max<std::int64_t>(1024, 4 * flags.parallel),
                                                                                    .tenant_quota = flags.tenant_quota,
                                                                                    .draft = DrafterOf(flags.draft)});
  if (!running) return WithFlagName(std::move(running).error());
  if (running->context_cut) {
    diagnostics::Note("the memory for attention state holds " + std::to_string(running->options.context) +
                      " tokens, so that is the context; --kv-memory makes room for more");
  }
  PrintPlan(*running, model_flags);
  running->model.device->workers().PinCallers();
  return running;
}

}  // namespace baleen::apps
