#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "completion/answer_text.h"
#include "completion/completion_request.h"
#include "completion/request_error.h"
#include "constraint/compiler.h"
#include "engine/sampler.h"
#include "text/tokenizer.h"

namespace baleen::completion {

/// What every completion of one model needs to know. The pointers must outlive it.
struct ServedModel {
  std::string name;
  const text::Tokenizer* tokenizer = nullptr;
  constraint::Compiler* compiler = nullptr;  // null: no answer can be held to a form, because of
  std::string no_compiler_reason;
  std::int64_t vocab_size = 0, context = 0;
  text::Encoding encoding = text::Encoding::k0731;
  engine::Sampling sampling;               // temperature and top_p where a request names none
  std::vector<std::uint8_t> allowed;       // [vocab] 0 = never chosen; empty = every id
  std::vector<std::int32_t> end_ids;
};

struct Prompt {
  std::vector<std::int32_t> ids;
  AnswerForm form = AnswerForm::kPlain;
};

/// The prompt's tokens: messages in the chat encoding, with the request's tools in the first system message; a raw prompt as it stands.
/// What messages bring is encoded as plain text; special tokens are recognised in a raw prompt. A response format adds nothing. Sampled ids of
/// earlier turns stand for their text (text::Message::sampled); those that this tokenizer does not know are not used, and without an end
/// token they get one. A turn with </think> among its ids, or with reasoning, was a thinking one.
/// Errors: messages that cannot be rendered, ids without a token, an empty prompt, one that leaves no room in the context.
Checked<Prompt> BuildPrompt(const ServedModel& model, const CompletionRequest& request);

}  // namespace baleen::completion
