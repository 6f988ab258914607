#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "completion/completion_request.h"
#include "completion/request_error.h"

namespace baleen::apps {

/// The longest line of a batch; a longer one is refused.
inline constexpr std::size_t kMostLineBytes = std::size_t{48} << 20;
inline constexpr std::size_t kMostCustomIdBytes = 4096;

/// What names a line's answers: made from its number and its bytes, so that a run that is taken up again gives the same.
struct LineKey {
  std::string text;        // 24 hexadecimal digits
  std::uint64_t seed = 0;  // for a request without one
};
LineKey MakeLineKey(std::uint64_t number, std::string_view line);

/// One line of a batch file.
struct BatchLine {
  std::uint64_t number = 0;
  LineKey key;
  std::optional<std::string> custom_id;  // nothing where it cannot be read
  completion::Checked<completion::CompletionRequest> request;
};

/// Reads {"custom_id", "method": "POST", "url": "/v1/chat/completions" or "/v1/completions", "body"}.
BatchLine ReadBatchLine(std::uint64_t number, std::string_view text, bool too_long, std::int64_t vocab_size);

/// The beginning of a line's answer, by which it is known again.
std::string AnswerStart(const LineKey& key);

/// The answer: {"id", "custom_id", "response": {"status_code", "request_id", "body"}, "error": null}, and "line" where there is no custom_id.
std::string WriteAnswerLine(std::uint64_t number, const LineKey& key, const std::optional<std::string>& custom_id, int status, const std::string& body);

/// Was the line served, whose answer begins with this text? The first kAnswerStartBytes of the answer are enough.
bool WasServed(std::string_view answer_line);
inline constexpr std::size_t kAnswerStartBytes = 8 * kMostCustomIdBytes;

}  // namespace baleen::apps
