#include "apps/open_model.h"

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "diagnostics/log.h"
#include "hardware/cpu.h"
#include "hardware/memory.h"

namespace baleen::apps {
namespace {

/// models/plankton below BALEEN_HOME or below a folder above the program itself; above an installed program it is in share/baleen.
Result<std::filesystem::path> BundledModel() {
  const std::filesystem::path wanted = std::filesystem::path("models") / "plankton", installed = std::filesystem::path("share") / "baleen" / wanted;
  std::error_code code;
  if (const char* home = std::getenv("BALEEN_HOME"); home != nullptr && *home != 0) {
    const std::filesystem::path folder = std::filesystem::path(home) / wanted;
    if (std::filesystem::is_directory(folder, code)) return folder;
  }
  std::filesystem::path above = std::filesystem::read_symlink("/proc/self/exe", code).parent_path();
  for (int level = 0; level < 5 && !above.empty(); ++level, above = above.parent_path()) {
    for (const std::filesystem::path& place : {above / wanted, above / installed}) {
      if (std::filesystem::is_directory(place, code)) return place;
    }
  }
  return diagnostics::NotFound("the bundled model models/plankton was not found beside the program; name a model with --model, or set BALEEN_HOME to the repository");
}

constexpr std::pair<const char*, model::Arithmetic> kArithmetics[] = {
    {"exact", model::Arithmetic::kExact}, {"official", model::Arithmetic::kOfficial}, {"fast", model::Arithmetic::kFast}};

std::optional<model::Arithmetic> ArithmeticNamed(const std::string& name) {
  for (const auto& [known, arithmetic] : kArithmetics) {
    if (name == known) return arithmetic;
  }
  return std::nullopt;
}

}  // namespace

const char* ArithmeticName(model::Arithmetic arithmetic) noexcept {
  for (const auto& [name, known] : kArithmetics) {
    if (known == arithmetic) return name;
  }
  return "";
}

void AddModelFlags(CLI::App& command, ModelFlags& flags, bool has_default_model) {
  CLI::Option* model = command.add_option("--model", flags.model, has_default_model ? "Model folder or hub id in the local cache (default: the bundled model)"
                                                                                     : "Model folder, or hub id in the local cache");
  model->check([](const std::string& name) { return name.empty() ? std::string("expected a folder or hub id, found nothing") : std::string(); });
  if (!has_default_model) model->required();
  command.add_option("--arithmetic", flags.arithmetic, "official (as the vendor computes), exact (fp32, nothing quantised), fast (FP8 and FP4 weights times int8 activations) or auto (fast for models of 2,048 channels and more, else official)")
      ->check(CLI::IsMember({"exact", "official", "fast", "auto"}))
      ->capture_default_str();
  command.add_option("--threads", flags.threads, "Threads (default: BALEEN_THREADS, else every core)")->check(CLI::Range(1, library::kMostThreads));
  command.add_option("--pin", flags.pin, "Hold each thread on a core (on), on a NUMA node where there are several (auto), or nowhere (off); default: BALEEN_PIN, else auto")
      ->check(CLI::IsMember({"auto", "on", "off"}));
  command.add_option("--weights", flags.weights, "Read weights where they lie in the checkpoint (mapped), copy them to memory near the threads first (packed), or that only on several NUMA nodes (auto); default: BALEEN_WEIGHTS, else auto")
      ->check(CLI::IsMember({"auto", "mapped", "packed"}));
  command.add_flag("!--no-verify", flags.verify, "Do not search the weights for NaN before the start");
  command.add_flag("--verbose", flags.verbose, "Print the memory plan");
}

Result<std::filesystem::path> ModelFolder(const ModelFlags& flags) {
  if (flags.model.empty()) return BundledModel();
  return checkpoint::FindModel(flags.model);
}

Result<library::OpenedModel> OpenCheckpoint(const ModelFlags& flags) {
  TRY_ASSIGN(const std::filesystem::path folder, ModelFolder(flags));
  TRY_ASSIGN(library::OpenedModel opened, library::OpenModel({.model = folder.string(),
                                                              .arithmetic = ArithmeticNamed(flags.arithmetic),
                                                              .threads = flags.threads,
                                                              .pin = library::PinNamed(flags.pin),
                                                              .weights = library::WeightsNamed(flags.weights),
                                                              .verify = flags.verify}));
  if (flags.verify && !opened.verified) diagnostics::Note("the weights are larger than this machine's memory: they are not searched for NaN before the start");
  return opened;
}

std::int64_t PrefillRows(const library::OpenedModel& opened, std::int64_t tokens) noexcept {
  constexpr std::uint64_t kShare = 16;
  return model::ChunkRows(opened.checkpoint->config(), opened.arithmetic, tokens, hardware::AvailableMemoryBytes() / kShare);
}

Status LoadTransformer(library::OpenedModel& opened, const ModelFlags& flags, const model::Limits& limits, std::int64_t sequences) {
  if (opened.checkpoint->config().drafter == checkpoint::DrafterKind::kDspark) {
    diagnostics::Note("this checkpoint has a DSpark drafter, which is not used here: the backbone runs alone");
  }
  TRY_ASSIGN(opened.transformer, model::Transformer::Load(*opened.checkpoint, *opened.device, opened.arithmetic, limits, opened.place));
  const model::MemoryPlan& plan = opened.transformer->memory_plan();
  if (flags.verbose) {
    std::fprintf(stderr, "Memory, taken before the first token (%s, %d threads, %s arithmetic):\n%s", std::string(hardware::IsaName(opened.device->isa())).c_str(),
                 opened.device->workers().threads(), ArithmeticName(opened.arithmetic), plan.Text(sequences, limits.context).c_str());
  } else {
    char line[160];
    std::snprintf(line, sizeof line, "memory: %.1f MiB of weights %s, %.1f MiB beyond them for %lld tokens, %s arithmetic (--verbose lists it)",
                  static_cast<double>(plan.Matrices()) / 1048576.0, plan.packed_weights > 0 ? "packed" : "mapped", static_cast<double>(plan.BeyondWeights(sequences)) / 1048576.0,
                  static_cast<long long>(limits.context), ArithmeticName(opened.arithmetic));
    diagnostics::Note(line);
  }
  if (flags.verbose && plan.packed_weights > 0) {
    char line[120];
    const double seconds = opened.transformer->packing_seconds();
    std::snprintf(line, sizeof line, "packed %.1f MiB of weights in %.2f s, %.1f GB/s read and as much written", static_cast<double>(plan.packed_weights) / 1048576.0, seconds,
                  static_cast<double>(plan.packed_weights) / 1e9 / seconds);
    diagnostics::Note(line);
  }
  opened.device->workers().PinCallers();
  return {};
}

}  // namespace baleen::apps
