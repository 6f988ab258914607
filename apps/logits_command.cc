// baleen logits: the logits of every position of a prompt, for comparing engines.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "apps/commands.h"
#include "apps/open_model.h"
#include "apps/token_file.h"
#include "checkpoint/writer.h"
#include "diagnostics/progress.h"
#include "hardware/cpu.h"
#include "hardware/file.h"

namespace baleen::apps {
namespace {

// Bounds of one step's rows; the chunk does not change the numbers.
constexpr std::int64_t kLogitBytesPerStep = std::int64_t{1} << 28, kRowsPerStep = 1024;

struct LogitsFlags {
  ModelFlags model;
  std::string tokens, out;
  std::int64_t chunk = 256, decode_from = INT64_MAX;
};

struct AllLogits {
  std::vector<float> backbone, mtp;
};

Status Append(const model::Transformer& model, std::int64_t rows, std::vector<float>& all) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::span<const float> logits = model.Logits(r);
    if (!std::all_of(logits.begin(), logits.end(), [](float logit) { return std::isfinite(logit); })) {
      return diagnostics::InvalidInput("a logit is not finite: the weights hold numbers that overflow in this arithmetic");
    }
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return {};
}

/// Feeds the prompt in chunks, from decode_from on one by one.
Status FeedAll(model::Transformer& model, const std::vector<std::int32_t>& tokens, const LogitsFlags& flags, AllLogits& all) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  TRY_ASSIGN(kvcache::Sequence sequence, kvcache::Sequence::Create(model.cache_layout(), count));
  std::vector<std::int32_t> wanted(static_cast<std::size_t>(model.limits().rows));
  std::iota(wanted.begin(), wanted.end(), 0);
  diagnostics::Progress progress("logits", static_cast<std::uint64_t>(count), "tokens");
  for (std::int64_t begin = 0; begin < count;) {
    std::int64_t rows = begin >= flags.decode_from ? 1 : std::min(model.limits().rows, count - begin);
    if (begin < flags.decode_from) rows = std::min(rows, flags.decode_from - begin);
    const model::Segment segment{&sequence, rows};
    const auto size = static_cast<std::size_t>(rows);
    const model::Step step{{tokens.data() + begin, size}, {&segment, 1}, {wanted.data(), size}, {}};
    model.Forward(step);
    TRY(Append(model, rows, all.backbone));
    begin += rows;
    const std::int32_t next = begin < count ? tokens[static_cast<std::size_t>(begin)] : -1;
    if (model.has_drafter()) TRY(Append(model, model.DraftLogits({&next, 1}), all.mtp));
    progress.Advance(static_cast<std::uint64_t>(rows));
  }
  return {};
}

Status WriteLogits(const LogitsFlags& flags, const AllLogits& all, std::int64_t tokens, std::int64_t vocab, bool with_mtp) {
  std::vector<checkpoint::NamedTensor> tensors = {{"logits", {tensor::DType::kF32, {tokens, vocab}, std::as_bytes(std::span(all.backbone))}}};
  if (with_mtp) tensors.push_back({"mtp_logits", {tensor::DType::kF32, {tokens - 1, vocab}, std::as_bytes(std::span(all.mtp))}});
  return checkpoint::WriteSafetensors(flags.out, tensors);
}

/// Success must not cost the user the prompt or the weights.
Status RefuseInputAsOutput(const LogitsFlags& flags) {
  const std::filesystem::path out = flags.out;
  std::error_code code;
  if (!std::filesystem::exists(out, code)) return {};
  bool input = std::filesystem::equivalent(out, flags.tokens, code);
  if (const auto folder = ModelFolder(flags.model); folder && !input) {
    const std::filesystem::path above = out.has_parent_path() ? out.parent_path() : std::filesystem::path(".");
    const std::string extension = out.extension().string();
    input = std::filesystem::equivalent(above, *folder, code) && (out.filename().string().starts_with("model") || extension == ".json");
  }
  if (!input) return {};
  return diagnostics::InvalidInput("--out " + diagnostics::Quoted(flags.out, 300) + ": expected a file of its own, found one that this command reads; choose another name");
}

Status RunLogits(const LogitsFlags& flags) {
  TRY(RefuseInputAsOutput(flags));
  TRY(hardware::AtomicFile::Create(flags.out));  // an output that cannot be written is found before the work, not after it
  TRY_ASSIGN(library::OpenedModel opened, OpenCheckpoint(flags.model));
  const std::int64_t vocab = opened.checkpoint->config().vocab_size;
  TRY_ASSIGN(const std::vector<std::int32_t> tokens, ReadTokenFile(flags.tokens, vocab));
  const auto count = static_cast<std::int64_t>(tokens.size());
  const bool with_mtp = opened.checkpoint->config().drafter == checkpoint::DrafterKind::kMtp;
  const std::uint64_t bytes = static_cast<std::uint64_t>(count) * static_cast<std::uint64_t>(vocab) * (with_mtp ? 8 : 4);
  if (bytes > hardware::PhysicalMemoryBytes() / 2) {
    return diagnostics::ResourceError("the logits of " + std::to_string(count) + " tokens need " + std::to_string(bytes) + " bytes, more than half of this machine's memory; cut the prompt");
  }
  const std::int64_t rows = std::min({flags.chunk, count, kRowsPerStep, std::max<std::int64_t>(1, kLogitBytesPerStep / (4 * vocab))});
  TRY(LoadTransformer(opened, flags.model, {.rows = rows, .context = count, .logit_rows = rows, .segments = 1, .draft_tokens = with_mtp ? 1 : 0}));
  AllLogits all;
  all.backbone.reserve(static_cast<std::size_t>(count * vocab));
  TRY(FeedAll(*opened.transformer, tokens, flags, all));
  return WriteLogits(flags, all, count, vocab, with_mtp);
}

}  // namespace

void AddLogitsCommand(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<LogitsFlags>();
  CLI::App* command = app.add_subcommand("logits", "Write the logits of every position of a prompt (and of the MTP module) to a safetensors file");
  AddModelFlags(*command, flags->model, false);
  command->add_option("--tokens", flags->tokens, "JSON array of token ids")->required();
  command->add_option("--out", flags->out, "File to write: logits [tokens, vocab] f32, and mtp_logits [tokens - 1, vocab] with an MTP module")->required();
  command->add_option("--chunk", flags->chunk, "Tokens per prefill step; does not change the numbers")->check(CLI::Range(std::int64_t{1}, INT64_MAX))->capture_default_str();
  command->add_option("--decode-from", flags->decode_from, "From this position on, feed one token a step")->check(CLI::Range(std::int64_t{0}, INT64_MAX));
  command->footer("Examples:\n  baleen logits --model models/plankton --tokens tokens.json --arithmetic exact --out logits.safetensors\n"
                  "  baleen logits --model models/plankton --tokens tokens.json --chunk 7 --decode-from 20 --out logits.safetensors\n");
  command->callback([flags, &exit_code] { Run(exit_code, [&] { return RunLogits(*flags); }); });
}

}  // namespace baleen::apps
