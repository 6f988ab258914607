#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "completion/answer.h"
#include "completion/responses_request.h"

namespace baleen::completion {

/// One item of a response's output.
struct OutputItem {
  enum class Kind { kReasoning, kMessage, kCall, kCustomCall };
  Kind kind = Kind::kMessage;
  std::string id;
  std::string call_id, name;         // kCall, kCustomCall
  std::string text;                  // what was reasoned or said; of calls the arguments
  std::string logprobs = {};         // kMessage: what stands in its array of log-probabilities
};

/// "in_progress", "completed" or "incomplete": of a call whose arguments are no JSON object it is always incomplete, so that nobody runs it.
std::string_view ItemStatus(const OutputItem& item, bool cut);

/// The item as JSON. begun: as it is announced, without what it says.
std::string WriteItem(const OutputItem& item, std::string_view status, bool begun = false);

/// The one part of a message or of reasoning.
std::string WritePart(const OutputItem& item, bool begun = false);

/// The input of a custom tool's call: the string `input` of its arguments, or the arguments as they stand where there is none.
std::string CustomInput(const std::string& arguments);

}  // namespace baleen::completion
