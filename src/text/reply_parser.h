#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "diagnostics/result.h"

namespace baleen::text {

/// A call in a reply. `arguments` is what §11.5 makes of the parameters: values with string="false" are copied as the model wrote them,
/// so it is not always valid JSON.
struct ParsedCall {
  std::string name, arguments;
  friend bool operator==(const ParsedCall&, const ParsedCall&) = default;
};

struct ParsedReply {
  std::string reasoning_content, content;
  std::vector<ParsedCall> tool_calls;
  friend bool operator==(const ParsedReply&, const ParsedReply&) = default;
};

/// Takes apart what the model wrote after the prompt, end token included; strict, as the vendor's parser.
/// thinking: the prompt ended with <think>.
/// Errors: what is missing or must not stand where it stands.
/// Source    specification §11.5
Result<ParsedReply> ParseReply(std::string_view text, bool thinking);

/// How many bytes of white space begin the text, as `\s` of Python's re module has it: White_Space and the four information separators.
std::size_t CountPythonSpace(std::string_view text);

/// {"reasoning_content": …, "content": …, "tool_calls": [{"type": "function", "function": {"name": …, "arguments": …}}]}
std::string WriteReplyJson(const ParsedReply& reply);

}  // namespace baleen::text
