// baleen score: how likely a model finds a text.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <numeric>
#include <optional>
#include <string>

#include "apps/commands.h"
#include "apps/open_model.h"
#include "engine/score.h"
#include "hardware/file.h"
#include "library/answer_defaults.h"
#include "text/json_python.h"
#include "text/utf8.h"

namespace baleen::apps {
namespace {

using diagnostics::InvalidInput;

constexpr std::uint64_t kMostTextBytes = std::uint64_t{256} << 20;
constexpr std::int64_t kLogitBytesPerStep = std::int64_t{1} << 26;  // bounds the rows of one step; does not change the numbers

struct ScoreFlags {
  ModelFlags model;
  std::optional<std::string> text;
  bool json = false;
};

/// The text's tokens without the begin token in front, and what the model thinks of each.
struct Scored {
  std::vector<std::int32_t> tokens;
  std::vector<double> logprobs;  // natural
  std::size_t bytes = 0;

  double Nats() const { return -std::accumulate(logprobs.begin(), logprobs.end(), 0.0); }
  double Perplexity() const { return std::exp(Nats() / static_cast<double>(tokens.size())); }
  double BitsPerByte() const { return Nats() / std::log(2.0) / static_cast<double>(bytes); }
};

std::string ScoreJson(const Scored& scored) {
  std::string ids, logprobs;
  for (std::size_t i = 0; i < scored.tokens.size(); ++i) {
    ids += (i == 0 ? "" : ", ") + std::to_string(scored.tokens[i]);
    logprobs += (i == 0 ? "" : ", ") + text::WritePythonFloat(scored.logprobs[i]);
  }
  // A perplexity beyond the range of double is no JSON number.
  const std::string perplexity = std::isfinite(scored.Perplexity()) ? text::WritePythonFloat(scored.Perplexity()) : "null";
  return "{\"tokens\": [" + ids + "], \"logprobs\": [" + logprobs + "], \"perplexity\": " + perplexity +
         ", \"bits_per_byte\": " + text::WritePythonFloat(scored.BitsPerByte()) + ", \"token_count\": " + std::to_string(scored.tokens.size()) +
         ", \"byte_count\": " + std::to_string(scored.bytes) + "}\n";
}

std::string ScoreTable(const Scored& scored, const text::Tokenizer& tokenizer) {
  std::string out;
  char number[64];
  for (std::size_t i = 0; i < scored.tokens.size(); ++i) {
    std::snprintf(number, sizeof number, "%.6f", scored.logprobs[i]);
    out += std::to_string(scored.tokens[i]) + "\t" + text::QuoteJson(text::ReplaceInvalidUtf8(tokenizer.TokenBytes(scored.tokens[i]))) + "\t" + number + "\n";
  }
  char totals[256];
  std::snprintf(totals, sizeof totals, "perplexity %.6g\nbits per byte %.6f\ntokens %zu\nbytes %zu\n", scored.Perplexity(), scored.BitsPerByte(),
                scored.tokens.size(), scored.bytes);
  return out + totals;
}

Result<std::string> ReadText(const ScoreFlags& flags) {
  const bool from_input = flags.text.value_or("-") == "-";
  std::string text;
  if (from_input) {
    TRY_ASSIGN(text, ReadStandardInput(kMostTextBytes));
  } else {
    TRY_ASSIGN(text, hardware::ReadFile(*flags.text, kMostTextBytes));
  }
  const std::string name = from_input ? "standard input" : diagnostics::Quoted(*flags.text, 300);
  if (text.empty()) return InvalidInput(name + ": expected a text, found nothing");
  TRY(text::CheckUtf8(text, name));
  return text;
}

Status Score(const ScoreFlags& flags) {
  TRY_ASSIGN(library::OpenedModel opened, OpenCheckpoint(flags.model));
  const checkpoint::ModelConfig& config = opened.checkpoint->config();
  TRY_ASSIGN(const text::Tokenizer tokenizer, library::LoadTokenizer(opened.folder));
  TRY_ASSIGN(const std::string text, ReadText(flags));
  Scored scored{.tokens = tokenizer.Encode(text), .bytes = text.size()};
  std::vector<std::int32_t> fed = {tokenizer.begin_id()};
  fed.insert(fed.end(), scored.tokens.begin(), scored.tokens.end());
  const auto count = static_cast<std::int64_t>(scored.tokens.size());
  if (count > config.max_positions) {
    return InvalidInput("text: expected at most " + std::to_string(config.max_positions) + " tokens (max_position_embeddings of the model), found " +
                        std::to_string(count) + "; split the text");
  }
  const std::int64_t rows = std::min({PrefillRows(opened, count), std::max<std::int64_t>(1, kLogitBytesPerStep / (4 * config.vocab_size))});
  TRY(LoadTransformer(opened, flags.model, {.rows = rows, .context = count, .logit_rows = rows, .segments = 1}));
  TRY_ASSIGN(scored.logprobs, engine::LogProbabilities(*opened.transformer, fed));
  return WriteStandardOutput(flags.json ? ScoreJson(scored) : ScoreTable(scored, tokenizer));
}

}  // namespace

void AddScoreCommand(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<ScoreFlags>();
  CLI::App* command = app.add_subcommand("score", "Natural log-probability of every token of a text, its perplexity and bits per byte.");
  AddModelFlags(*command, flags->model, false);
  command->add_option("--text", flags->text, "File with the text, UTF-8 (default: standard input)");
  command->add_flag("--json", flags->json, "One JSON object: tokens, logprobs, perplexity, bits_per_byte, token_count, byte_count");
  command->footer(
      "The text is tokenised as it stands, without chat encoding. A begin token is put in front of it, so that its first token is scored too;\n"
      "the begin token itself is neither scored nor counted.\n\nExamples:\n"
      "  baleen score --model models/plankton --text story.txt\n"
      "  echo -n 'Once upon a time' | baleen score --model models/plankton --json");
  command->callback([flags, &exit_code] { Run(exit_code, [&] { return Score(*flags); }); });
}

}  // namespace baleen::apps
