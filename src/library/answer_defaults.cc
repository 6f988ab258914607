#include "library/answer_defaults.h"

#include <algorithm>
#include <limits>
#include <string>
#include <system_error>

#include "engine/sampler.h"
#include "hardware/file.h"
#include "text/json_python.h"

namespace baleen::library {
namespace {

using diagnostics::InvalidInput;
using text::JsonValue;

constexpr std::uint64_t kMostTokenizerBytes = std::uint64_t{256} << 20, kMostConfigBytes = std::uint64_t{1} << 20;

Status ReadNumber(const JsonValue& config, const char* key, double& number) {
  const JsonValue* value = config.Find(key);
  if (value == nullptr || value->IsNull()) return {};
  if (const double* real = std::get_if<double>(&value->value)) {
    number = *real;
  } else if (const auto whole = value->AsInt64()) {
    number = static_cast<double>(*whole);
  } else {
    return InvalidInput(std::string(key) + ": expected a number, found " + std::string(value->Kind()));
  }
  return {};
}

Status AddEndId(const JsonValue& value, std::vector<std::int32_t>& ids) {
  const auto id = value.AsInt64();
  if (!id || *id < 0 || *id > std::numeric_limits<std::int32_t>::max()) {
    return InvalidInput("eos_token_id: expected an id or an array of ids, found " + diagnostics::Quoted(text::WriteJson(value)));
  }
  ids.push_back(static_cast<std::int32_t>(*id));
  return {};
}

Status ReadGenerationConfig(std::string_view json, AnswerDefaults& defaults) {
  TRY_ASSIGN(const JsonValue config, text::ParseJson(json));
  if (config.AsObject() == nullptr) return InvalidInput("expected an object, found " + std::string(config.Kind()));
  TRY(ReadNumber(config, "temperature", defaults.temperature));
  TRY(ReadNumber(config, "top_p", defaults.top_p));
  // The sampler takes a top_p of 0 too; written by hand it is more likely a slip.
  if (defaults.top_p == 0) return InvalidInput("top_p: expected a number above 0 and at most 1, found 0");
  TRY(engine::CheckSampling({.temperature = defaults.temperature, .top_p = defaults.top_p}, 1));
  const JsonValue* sample = config.Find("do_sample");
  const bool* chosen = sample == nullptr ? nullptr : std::get_if<bool>(&sample->value);
  if (chosen != nullptr && !*chosen) defaults.temperature = 0;
  const JsonValue* end = config.Find("eos_token_id");
  if (end == nullptr || end->IsNull()) return {};
  if (end->AsArray() == nullptr) return AddEndId(*end, defaults.end_ids);
  for (const JsonValue& item : *end->AsArray()) TRY(AddEndId(item, defaults.end_ids));
  return {};
}

// Ids that name no token of the tokenizer could not be shown, nor read back.
std::vector<std::uint8_t> AllowedIds(const text::Tokenizer& tokenizer, std::int64_t vocab_size) {
  std::vector<std::uint8_t> allowed(static_cast<std::size_t>(vocab_size));
  for (std::size_t id = 0; id < std::min(allowed.size(), tokenizer.VocabularySize()); ++id) {
    const auto one = static_cast<std::int32_t>(id);
    allowed[id] = !tokenizer.TokenBytes(one).empty() || tokenizer.CheckIds({&one, 1}).has_value();
  }
  return allowed;
}

}  // namespace

bool HasTokenizer(const std::filesystem::path& folder) {
  std::error_code ignored;
  return std::filesystem::exists(folder / "tokenizer.json", ignored);
}

Result<text::Tokenizer> LoadTokenizer(const std::filesystem::path& folder) {
  std::error_code ignored;
  TRY_ASSIGN(const std::string json, hardware::ReadFile(folder / "tokenizer.json", kMostTokenizerBytes));
  std::string config;
  if (std::filesystem::exists(folder / "tokenizer_config.json", ignored)) {
    TRY_ASSIGN(config, hardware::ReadFile(folder / "tokenizer_config.json", kMostTokenizerBytes));
    if (config.empty()) config = " ";  // an empty file is damaged, not absent
  }
  Result<text::Tokenizer> tokenizer = text::ParseTokenizer(json, config);
  if (!tokenizer) tokenizer.error().message = diagnostics::Quoted(folder.string(), 300) + "/" + tokenizer.error().message;
  return tokenizer;
}

Result<AnswerDefaults> ReadAnswerDefaults(const std::filesystem::path& folder, const checkpoint::ModelConfig& config, const text::Tokenizer* tokenizer) {
  AnswerDefaults defaults;
  std::error_code ignored;
  const std::filesystem::path file = folder / "generation_config.json";
  if (std::filesystem::exists(file, ignored)) {
    TRY_ASSIGN(const std::string json, hardware::ReadFile(file, kMostConfigBytes));
    if (const Status read = ReadGenerationConfig(json, defaults); !read) {
      return InvalidInput(diagnostics::Quoted(file.string(), 300) + ": " + read.error().message + "; correct or remove the file");
    }
  }
  defaults.end_ids.push_back(static_cast<std::int32_t>(config.eos_token));
  if (tokenizer != nullptr) {
    defaults.end_ids.push_back(tokenizer->end_id());
    defaults.allowed = AllowedIds(*tokenizer, config.vocab_size);
  }
  return defaults;
}

}  // namespace baleen::library
