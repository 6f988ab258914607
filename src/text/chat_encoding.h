#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diagnostics/result.h"
#include "text/prompt_piece.h"

namespace baleen::text {

struct JsonValue;

/// The two encodings of §11.6: of the preview checkpoints (Flash, Pro) and of the releases since 0731.
enum class Encoding { kApril, k0731 };

/// kOff is chat mode. kLow is thinking without a prefix, the default of both encodings; kHigh has a prefix in 0731 only, kMax in both.
enum class Thinking { kOff, kLow, kHigh, kMax };

/// "april" or "0731"; "off", "low", "high" or "max". Errors: any other word.
Result<Encoding> ParseEncoding(std::string_view word);
Result<Thinking> ParseThinking(std::string_view word);

/// The vendor's pair of a thinking_mode ("chat", "thinking") and a reasoning_effort (nothing, "low", "high", "max").
/// Errors: another mode; an effort that the encoding does not know, in chat mode too (april knows no "low").
Result<Thinking> ThinkingFromMode(Encoding encoding, std::string_view thinking_mode, std::optional<std::string_view> reasoning_effort);

/// A call an assistant made. `arguments` is JSON text; what is not JSON is rendered as one parameter named "arguments".
struct ToolCall {
  std::string id;  // may be empty
  std::string name;
  std::string arguments;
};

/// One message of a conversation (§11.2). A program fills role and content; the rest as needed.
struct Message {
  std::string role;  // system, user, assistant, tool, developer, latest_reminder
  std::string content;
  std::string reasoning_content;     // assistant
  std::vector<ToolCall> tool_calls;  // assistant
  std::string tool_call_id;          // tool: which call this answers
  std::vector<std::string> tools;    // system, developer: the inner function objects as JSON, one line each
  std::string response_format;       // system, developer: JSON; empty = none
  std::optional<std::string> task;   // action, query, authority, domain, title, read_url
  bool without_end = false;          // wo_eos: an assistant's text that goes on

  // assistant: the ids that were sampled for this turn, from behind its <think> or </think> to its end token. They stand in the prompt
  // instead of the turn's text, so that the prompt goes on exactly from what the model's cache holds.
  std::vector<std::int32_t> sampled;
  bool sampled_thinking = false;  // the turn was prompted with <think>
};
using Messages = std::vector<Message>;

/// Reads a JSON array of messages in the OpenAI shape. Contents may be texts, or lists of parts of type text that are joined by a blank
/// line; parts of other types are "[Unsupported TYPE]" in tool results and refused elsewhere. Arguments given as an object are taken
/// for their JSON. Empty tools, tool_calls and response_format count as absent.
/// Errors: name the message and the field, as in "messages[2].content".
Result<Messages> ParseMessages(std::string_view json);
Result<Messages> ReadMessages(const JsonValue& json);

struct RenderRequest {
  Messages messages;
  Encoding encoding = Encoding::k0731;
  Thinking thinking = Thinking::kOff;
  bool drop_thinking = true;  // of turns before the last user message; tools switch it off
};

/// The whole prompt, begin token included, ready for Tokenizer::Encode.
/// Errors: an unknown role (unless it is dropped first), an unknown task where it would be written, a developer message without content,
/// arguments that are JSON but no object.
/// Source    specification §11.3 to §11.6
Result<std::string> RenderPrompt(const RenderRequest& request);

/// The same prompt, ready for Tokenizer::EncodePieces: whatever a message brought is plain text in it. An assistant's turn with `sampled` ids is
/// those ids behind <think> or </think> as it was prompted; its text is used where the encoding drops its reasoning, where it goes on
/// (without_end), and where no question stands in front of it. RenderPrompt always uses the text.
Result<PromptPieces> RenderPieces(const RenderRequest& request);

}  // namespace baleen::text
