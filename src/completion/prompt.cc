#include "completion/prompt.h"

#include <algorithm>
#include <utility>

#include "text/special_tokens.h"

namespace baleen::completion {
namespace {

text::Messages WithTools(const CompletionRequest& request) {
  text::Messages messages = request.messages;
  if (request.tools.empty()) return messages;
  if (messages.empty() || messages.front().role != "system") messages.insert(messages.begin(), {.role = "system", .content = {}});
  for (const Tool& tool : request.tools) messages.front().tools.push_back(tool.function_json);
  return messages;
}

// Ids that are no longer this model's are forgotten; a turn that was cut gets its end token.
void CompleteSampled(const ServedModel& model, text::Messages& messages) {
  const text::Tokenizer& tokenizer = *model.tokenizer;
  const std::optional<std::int32_t> thinking_end = tokenizer.Find(text::kThinkingEnd);
  for (text::Message& message : messages) {
    std::vector<std::int32_t>& ids = message.sampled;
    if (!tokenizer.CheckIds(ids)) ids.clear();
    if (ids.empty()) continue;
    if (std::find(model.end_ids.begin(), model.end_ids.end(), ids.back()) == model.end_ids.end()) ids.push_back(tokenizer.end_id());
    const bool ends_thinking = thinking_end && std::find(ids.begin(), ids.end(), *thinking_end) != ids.end();
    message.sampled_thinking = message.sampled_thinking || ends_thinking || !message.reasoning_content.empty();
  }
}

// Fill in the middle: what prompt and suffix bring is plain text.
Checked<std::vector<std::int32_t>> GapIds(const ServedModel& model, const std::string& prompt, const std::string& suffix) {
  for (const std::string_view token : {text::kFimBegin, text::kFimHole, text::kFimEnd}) {
    if (model.tokenizer->Find(token)) continue;
    return Refuse(400, "suffix", "suffix: expected none, since the tokenizer of this model has no "" + std::string(token) + "", found one; leave it out", "unsupported");
  }
  text::PromptPieces pieces;
  pieces.Markup(text::kBeginOfSequence).Markup(text::kFimBegin).Plain(prompt).Markup(text::kFimHole).Plain(suffix).Markup(text::kFimEnd);
  return model.tokenizer->EncodePieces(pieces.pieces());
}

Checked<std::vector<std::int32_t>> PromptIds(const ServedModel& model, const CompletionRequest& request) {
  if (request.kind == CompletionRequest::Kind::kChat) {
    text::Messages messages = WithTools(request);
    CompleteSampled(model, messages);
    const auto prompt = text::RenderPieces({.messages = std::move(messages), .encoding = model.encoding, .thinking = request.thinking});
    if (!prompt) return RefuseFor("messages", prompt.error());
    return model.tokenizer->EncodePieces(prompt->pieces());
  }
  if (request.suffix) return GapIds(model, std::get<std::string>(request.prompt), *request.suffix);
  if (const auto* prompt = std::get_if<std::string>(&request.prompt)) return model.tokenizer->Encode(*prompt);
  const auto& ids = std::get<std::vector<std::int32_t>>(request.prompt);
  if (const Status known = model.tokenizer->CheckIds(ids); !known) return RefuseFor("prompt", known.error());
  return ids;
}

}  // namespace

Checked<Prompt> BuildPrompt(const ServedModel& model, const CompletionRequest& request) {
  const bool chat = request.kind == CompletionRequest::Kind::kChat;
  const std::string field = chat ? "messages" : "prompt";
  Prompt prompt;
  TRY_ASSIGN(prompt.ids, PromptIds(model, request));
  if (prompt.ids.empty()) return Refuse(400, field, field + ": expected at least one token, found none", "missing_field");
  const auto count = static_cast<std::int64_t>(prompt.ids.size());
  if (count >= model.context) {
    return Refuse(400, field, field + ": expected at most " + std::to_string(model.context - 1) + " tokens (the context less one for the answer), found " +
                                  std::to_string(count) + "; shorten the prompt", "context_length_exceeded");
  }
  if (chat) prompt.form = model.tokenizer->Find(text::kThinkingStart) == prompt.ids.back() ? AnswerForm::kThinking : AnswerForm::kReply;
  return prompt;
}

}  // namespace baleen::completion
