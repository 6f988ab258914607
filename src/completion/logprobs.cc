#include "completion/logprobs.h"

#include <cmath>
#include <cstdio>

#include "text/json_python.h"
#include "text/utf8.h"

namespace baleen::completion {
namespace {

using text::QuoteJson;

// The vendor's service writes -9999 for a probability of nothing, which JSON has no number for.
std::string LogProbability(double value) { return text::WritePythonFloat(std::isfinite(value) ? value : -9999.0); }

std::string ByteList(std::string_view bytes) {
  std::string list;
  for (const char byte : bytes) list += (list.empty() ? "" : ", ") + std::to_string(static_cast<unsigned char>(byte));
  return "[" + list + "]";
}

// Code points that begin in the bytes.
std::size_t Characters(std::string_view bytes) {
  std::size_t count = 0;
  for (const char byte : bytes) count += (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
  return count;
}

std::string Scored(const engine::ScoredToken& token, const text::Tokenizer& tokenizer) {
  return "\"token\": " + QuoteJson(TokenText(tokenizer, token.id)) + ", \"logprob\": " + LogProbability(token.log_probability) +
         ", \"bytes\": " + ByteList(tokenizer.TokenBytes(token.id));
}

}  // namespace

std::string LogprobList(std::span<const SampledToken> tokens, bool reasoning, const text::Tokenizer& tokenizer) {
  std::string list;
  for (const SampledToken& token : tokens) {
    if (token.reasoning != reasoning) continue;
    std::string alternatives;
    for (const engine::ScoredToken& other : token.likeliest) alternatives += (alternatives.empty() ? "{" : ", {") + Scored(other, tokenizer) + "}";
    list += (list.empty() ? "{" : ", {") + Scored(token.token, tokenizer) + ", \"top_logprobs\": [" + alternatives + "]}";
  }
  return "[" + list + "]";
}

std::string ChatLogprobs(std::span<const SampledToken> tokens, bool thinks, const text::Tokenizer& tokenizer) {
  std::string out = "{\"content\": " + LogprobList(tokens, false, tokenizer);
  if (thinks) out += ", \"reasoning_content\": " + LogprobList(tokens, true, tokenizer);
  return out + "}";
}

std::string TextLogprobs(std::span<const SampledToken> tokens, const text::Tokenizer& tokenizer, std::size_t& offset) {
  std::string texts, values, likeliest, offsets;
  for (const SampledToken& token : tokens) {
    const char* comma = texts.empty() ? "" : ", ";
    texts += comma + QuoteJson(TokenText(tokenizer, token.token.id));
    values += comma + LogProbability(token.token.log_probability);
    offsets += comma + std::to_string(offset);
    offset += Characters(tokenizer.TokenBytes(token.token.id));
    std::string alternatives;
    for (const engine::ScoredToken& other : token.likeliest) {
      alternatives += (alternatives.empty() ? "" : ", ") + QuoteJson(TokenText(tokenizer, other.id)) + ": " + LogProbability(other.log_probability);
    }
    likeliest += comma + ("{" + alternatives + "}");
  }
  return "{\"tokens\": [" + texts + "], \"token_logprobs\": [" + values + "], \"top_logprobs\": [" + likeliest + "], \"text_offset\": [" + offsets +
         "], \"content\": " + LogprobList(tokens, false, tokenizer) + "}";
}

std::string TokenText(const text::Tokenizer& tokenizer, std::int32_t id) {
  const std::string_view bytes = tokenizer.TokenBytes(id);
  if (bytes.empty()) return "id:" + std::to_string(id);
  if (text::FindInvalidUtf8(bytes) == std::string_view::npos) return std::string(bytes);
  std::string text = "bytes:";
  for (const char byte : bytes) {
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned char>(byte));
    text += escape;
  }
  return text;
}

}  // namespace baleen::completion
