// baleen inspect: what a checkpoint (or a preset) is, without reading its weights.

#include <array>
#include <cinttypes>
#include <cstdio>
#include <memory>
#include <optional>

#include <nlohmann/json.hpp>

#include "apps/add_text.h"
#include "apps/commands.h"
#include "checkpoint/checkpoint.h"
#include "plan/counts.h"

namespace baleen::apps {
namespace {

using checkpoint::DrafterKind;
using checkpoint::ModelConfig;
using checkpoint::Part;
using nlohmann::ordered_json;
using plan::CacheFormat;

constexpr std::size_t kOddNamed = 100;
constexpr std::array<std::int64_t, 4> kContexts = {1024, 8192, 131072, 1048576};

struct Inspected {
  std::optional<ModelConfig> config;
  std::map<tensor::DType, std::uint64_t> bytes;  // stored, or the official format of a preset
  std::vector<std::string> odd;
  bool stored = false;
  Status status;
};

const char* AttentionName(std::int64_t ratio) { return ratio == 0 ? "window" : ratio == 4 ? "csa" : "hca"; }
const char* DrafterName(DrafterKind kind) { return kind == DrafterKind::kMtp ? "mtp" : kind == DrafterKind::kDspark ? "dspark" : "none"; }

const char* PartName(Part part) {
  switch (part) {
    case Part::kEmbedding: return "embedding";
    case Part::kHead: return "head";
    case Part::kQuery: return "query";
    case Part::kKeyValue: return "key_value";
    case Part::kOutput: return "output";
    case Part::kCompressor: return "compressor";
    case Part::kIndexer: return "indexer";
    case Part::kStreams: return "streams";
    case Part::kRouter: return "router";
    case Part::kRoutedExperts: return "routed_experts";
    case Part::kSharedExperts: return "shared_experts";
    case Part::kNorms: return "norms_and_sinks";
    case Part::kDrafterOnly: return "drafter";
  }
  return "";
}

Inspected InspectPreset(const std::string& name) {
  Inspected found;
  auto config = checkpoint::PresetConfig(name);
  if (!config) {
    found.status = config.error();
    return found;
  }
  found.bytes = plan::OfficialBytes(*config);
  found.config = std::move(*config);
  return found;
}

Inspected InspectFolder(const std::string& model) {
  Inspected found;
  const auto dir = checkpoint::FindModel(model);
  if (!dir) {
    found.status = dir.error();
    return found;
  }
  const auto config = checkpoint::ReadModelConfig(*dir);
  if (!config) {
    found.status = config.error();
    return found;
  }
  found.config = *config;
  const auto opened = checkpoint::Checkpoint::Open(*dir);
  if (!opened) {
    found.status = opened.error();
    return found;
  }
  found.stored = true;
  found.config = opened->config();
  found.odd = opened->odd_names();
  for (const std::string& name : opened->Names()) {
    const auto view = opened->Find(name);
    found.bytes[view->dtype] += view->bytes.size();
  }
  return found;
}

ordered_json ConfigJson(const ModelConfig& c) {
  return {{"vocab_size", c.vocab_size}, {"hidden_size", c.hidden_size}, {"layers", c.layers}, {"heads", c.heads}, {"head_dim", c.head_dim},
          {"rope_dim", c.rope_dim}, {"q_lora", c.q_lora}, {"output_groups", c.output_groups}, {"output_lora", c.output_lora}, {"window", c.window},
          {"index_heads", c.index_heads}, {"index_dim", c.index_dim}, {"index_top_k", c.index_top_k}, {"experts", c.experts},
          {"experts_per_token", c.experts_per_token}, {"expert_intermediate", c.expert_intermediate}, {"hash_layers", c.hash_layers},
          {"streams", c.streams}, {"max_positions", c.max_positions}, {"yarn_factor", c.has_yarn ? ordered_json(c.yarn.factor) : ordered_json(nullptr)}};
}

ordered_json LayersJson(const ModelConfig& c) {
  ordered_json layers = ordered_json::array();
  for (std::int64_t i = 0; i < c.layers; ++i) {
    const std::int64_t ratio = c.compress_ratios[static_cast<std::size_t>(i)];
    layers.push_back({{"layer", i}, {"attention", AttentionName(ratio)}, {"ratio", ratio}, {"routing", i < c.hash_layers ? "hash" : "score"}});
  }
  return layers;
}

ordered_json CacheJson(const ModelConfig& c) {
  const std::array<std::pair<const char*, CacheFormat>, 3> formats = {
      {{"bf16", CacheFormat::kBf16}, {"fp8", CacheFormat::kFp8}, {"fp8_index_fp4", CacheFormat::kFp8IndexFp4}}};
  ordered_json out = ordered_json::object();
  for (const auto& [name, format] : formats) {
    ordered_json sizes = {{"bytes_per_token", plan::CacheBytesPerToken(c, format)}};
    for (const std::int64_t tokens : kContexts) sizes["bytes_at_" + std::to_string(tokens)] = plan::CacheBytes(c, format, tokens);
    out[name] = sizes;
  }
  out["compressor_state_bytes"] = plan::CompressorStateBytes(c);
  return out;
}

ordered_json FlopsJson(const ModelConfig& c) {
  ordered_json out = ordered_json::object();
  for (const std::int64_t tokens : kContexts) {
    const plan::Flops flops = plan::FlopsPerToken(c, tokens);
    out[std::to_string(tokens)] = {{"linear", flops.Linear()}, {"attention", flops.attention}, {"index", flops.index_scores}, {"total", flops.Total()}};
  }
  return out;
}

std::string Text(const std::string& outside) { return diagnostics::Quoted(outside, 500); }

ordered_json ReportJson(const Inspected& found) {
  ordered_json out = {{"ok", found.status.has_value()}, {"error", found.status ? ordered_json(nullptr) : ordered_json(Text(found.status.error().message))}};
  if (!found.config) return out;
  const ModelConfig& c = *found.config;
  const plan::ParameterCounts counts = plan::CountParameters(c);
  out["model_type"] = c.model_type;
  out["config"] = ConfigJson(c);
  out["layers"] = LayersJson(c);
  out["drafter"] = {{"kind", DrafterName(c.drafter)}, {"modules", c.drafter_modules}};
  ordered_json parts = ordered_json::object();
  for (const auto& [part, count] : counts.by_part) parts[PartName(part)] = count;
  out["parameters"] = {{"total", counts.total}, {"active", counts.active}, {"drafter_total", counts.drafter_total},
      {"drafter_active", counts.drafter_active}, {"by_part", parts}};
  ordered_json bytes = ordered_json::object();
  std::uint64_t total = 0;
  for (const auto& [dtype, count] : found.bytes) {
    bytes[std::string(tensor::DTypeName(dtype))] = count;
    total += count;
  }
  out["bytes_by_dtype"] = bytes;
  out["bytes"] = total;
  out["bytes_are"] = found.stored ? "stored" : "of the official format";
  out["cache"] = CacheJson(c);
  out["flops_per_token"] = FlopsJson(c);
  out["odd"] = ordered_json::array();
  for (const std::string& name : found.odd) out["odd"].push_back(Text(name));
  return out;
}

void LayersText(const ModelConfig& c, std::string& out) {
  out += "\nlayer  attention  ratio  rope theta  yarn  routing\n";
  for (std::int64_t i = 0; i < c.layers + c.drafter_modules; ++i) {
    const bool drafter = i >= c.layers;
    const std::int64_t ratio = drafter ? 0 : c.compress_ratios[static_cast<std::size_t>(i)];
    const std::string name = drafter ? "mtp." + std::to_string(i - c.layers) : std::to_string(i);
    AddLine(out, "%5s  %-9s  %5" PRId64 "  %10.0f  %-4s  %s", name.c_str(), AttentionName(ratio), ratio, ratio == 0 ? c.rope_theta : c.compress_rope_theta,
         ratio != 0 && c.has_yarn ? "yes" : "no", !drafter && i < c.hash_layers ? "hash" : "score");
  }
}

void CostsText(const ModelConfig& c, std::string& out) {
  out += "\ncache         bf16            fp8 rows        fp8 rows, fp4 index\n";
  AddLine(out, "per token     %-14.1f  %-14.1f  %.1f bytes", plan::CacheBytesPerToken(c, CacheFormat::kBf16), plan::CacheBytesPerToken(c, CacheFormat::kFp8),
       plan::CacheBytesPerToken(c, CacheFormat::kFp8IndexFp4));
  for (const std::int64_t tokens : kContexts) {
    const auto gib = [&](CacheFormat format) { return static_cast<double>(plan::CacheBytes(c, format, tokens)) / 1073741824.0; };
    AddLine(out, "at %-9" PRId64 "  %-14.4f  %-14.4f  %.4f GiB", tokens, gib(CacheFormat::kBf16), gib(CacheFormat::kFp8), gib(CacheFormat::kFp8IndexFp4));
  }
  AddLine(out, "state         %.3f MiB per sequence (fp32 compressor buffers)", static_cast<double>(plan::CompressorStateBytes(c)) / 1048576.0);
  out += "\nGFLOP per token   linear      attention   index       total\n";
  for (const std::int64_t tokens : kContexts) {
    const plan::Flops flops = plan::FlopsPerToken(c, tokens);
    AddLine(out, "at %-13" PRId64 "  %-10.4g  %-10.4g  %-10.4g  %.4g", tokens, flops.Linear() / 1e9, flops.attention / 1e9, flops.index_scores / 1e9,
        flops.Total() / 1e9);
  }
}

std::string ReportText(const Inspected& found) {
  if (!found.config) return "";
  const ModelConfig& c = *found.config;
  const plan::ParameterCounts counts = plan::CountParameters(c);
  std::string out = "DeepSeek-V4 (" + c.model_type + ")\n";
  AddLine(out, "%" PRId64 " layers, width %" PRId64 ", %" PRId64 " heads of %" PRId64 " (%" PRId64 " rotated), %" PRId64 " streams, vocabulary %" PRId64
            ", %" PRId64 " positions",
       c.layers, c.hidden_size, c.heads, c.head_dim, c.rope_dim, c.streams, c.vocab_size, c.max_positions);
  AddLine(out, "%" PRId64 " experts of %" PRId64 " (%" PRId64 " per token and 1 shared), window %" PRId64 ", index top-k %" PRId64 ", drafter %s x%" PRId64,
       c.experts, c.expert_intermediate, c.experts_per_token, c.window, c.index_top_k, DrafterName(c.drafter), c.drafter_modules);
  LayersText(c, out);
  AddLine(out, "\nparameters        %" PRIu64 " (%.2f B), active per token %" PRIu64 " (%.2f B)", counts.total, static_cast<double>(counts.total) / 1e9,
       counts.active, static_cast<double>(counts.active) / 1e9);
  if (counts.drafter_total > 0) AddLine(out, "  drafter         %" PRIu64 ", active %" PRIu64, counts.drafter_total, counts.drafter_active);
  for (const auto& [part, count] : counts.by_part) AddLine(out, "  %-15s %" PRIu64, PartName(part), count);
  if (!found.bytes.empty()) AddLine(out, "\nbytes (%s)", found.stored ? "stored" : "official format");
  std::uint64_t total = 0;
  for (const auto& [dtype, count] : found.bytes) {
    AddLine(out, "  %-15s %" PRIu64, std::string(tensor::DTypeName(dtype)).c_str(), count);
    total += count;
  }
  if (total > 0) AddLine(out, "  %-15s %" PRIu64 " (%.2f GiB)", "all", total, static_cast<double>(total) / 1073741824.0);
  CostsText(c, out);
  if (found.stored) AddLine(out, "\nodd: %zu", found.odd.size());
  for (std::size_t i = 0; i < std::min(found.odd.size(), kOddNamed); ++i) out += "  " + Text(found.odd[i]) + "\n";
  if (found.odd.size() > kOddNamed) out += "  …\n";
  return out;
}

Status Inspect(const std::string& model, const std::string& preset, bool as_json) {
  if (model.empty() == preset.empty()) return diagnostics::InvalidInput("expected either a checkpoint folder or --preset NAME");
  const Inspected found = preset.empty() ? InspectFolder(model) : InspectPreset(preset);
  TRY(WriteStandardOutput(as_json ? ReportJson(found).dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n" : ReportText(found)));
  return found.status;
}

}  // namespace

void AddInspectCommand(CLI::App& app, int& exit_code) {
  struct Flags {
    std::string model, preset;
    bool json = false;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* sub = app.add_subcommand("inspect", "Show what a checkpoint is: layers, counts, bytes, cache and FLOPs per token, what is missing or odd. "
                                                "Reads headers only.");
  sub->add_option("model,--model", flags->model, "Checkpoint folder, or a hub id found in the local cache");
  sub->add_option("--preset", flags->preset, "A built-in configuration instead of a folder");
  sub->add_flag("--json", flags->json, "Print one JSON object");
  sub->footer(
      "Examples:\n"
      "  baleen inspect models/plankton\n"
      "  baleen inspect --preset v4-1.2t-a35b\n"
      "  baleen inspect deepseek-ai/DeepSeek-V4-Flash --json\n\n"
      "Exit codes: 0 whole; 2-5 something is missing or wrong (what could be read is printed all the same).");
  sub->callback([flags, &exit_code] { Run(exit_code, [&] { return Inspect(flags->model, flags->preset, flags->json); }); });
}

}  // namespace baleen::apps
