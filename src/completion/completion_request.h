#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/request.h"
#include "text/chat_encoding.h"

namespace baleen::completion {

/// A function that the model may call.
struct Tool {
  std::string name;
  std::string function_json;    // the whole function object, as the prompt shows it
  std::string parameters_json;  // a JSON schema; empty = not given
  bool strict = false;          // its arguments must follow the schema
  bool free_text = false;       // takes one text, "input"; held to that wherever grammars can be compiled
};

struct ToolChoice {
  enum class Kind { kNone, kAuto, kRequired, kNamed };
  Kind kind = Kind::kAuto;
  std::string name;                    // kNamed
  std::vector<std::string> allowed = {};  // names of tools; empty = all. The others stay in the prompt, but cannot be called
};

/// What the content must be; reasoning is free.
struct ResponseFormat {
  enum class Kind { kText, kJsonObject, kJsonSchema, kRegex, kGrammar };
  Kind kind = Kind::kText;
  std::string schema_json;  // kJsonSchema
  bool strict = false;
  std::string pattern = "";  // kRegex: ECMA-262; kGrammar: GBNF
};

/// What is asked of the choice of tokens; what is not given is the model's default.
struct SamplingWishes {
  std::optional<double> temperature, top_p, min_p;
  std::int64_t top_k = 0;  // 0 = all
  double frequency_penalty = 0, presence_penalty = 0;
  std::vector<std::pair<std::int32_t, double>> logit_bias;  // ids of the vocabulary, each once
  std::optional<std::uint64_t> seed;                        // choice i uses seed + i
};

/// One request for completions, whatever dialect it came in; checked.
struct CompletionRequest {
  enum class Kind { kChat, kText };
  Kind kind = Kind::kChat;
  std::string model;  // what the client wrote; may be empty

  text::Messages messages;                                                // kChat
  text::Thinking thinking = text::Thinking::kOff;                         // kChat
  std::variant<std::string, std::vector<std::int32_t>> prompt = std::string();  // kText: as it stands
  std::optional<std::string> suffix;  // kText, not empty: asks for what stands between prompt (a string then) and suffix

  std::optional<std::int64_t> max_tokens;  // thinking counts
  SamplingWishes sampling;
  std::vector<std::string> stop;
  std::optional<std::int64_t> logprobs;  // so many alternatives for every token
  std::int64_t n = 1;
  bool ignore_eos = false;
  bool stream = false, stream_usage = false;

  std::vector<Tool> tools;
  ToolChoice tool_choice;
  bool parallel_tool_calls = true;
  ResponseFormat response_format;

  std::string tenant;  // whose prefix cache it uses
  engine::Deadlines deadlines;  // of every choice
};

}  // namespace baleen::completion
