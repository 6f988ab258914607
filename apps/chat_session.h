#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "apps/open_model.h"
#include "apps/sampling_flags.h"
#include "diagnostics/result.h"
#include "engine/generation.h"
#include "text/chat_encoding.h"
#include "text/reply_parser.h"
#include "text/tokenizer.h"

namespace baleen::apps {

/// One answer and what it took.
struct ChatAnswer {
  text::ParsedReply reply;
  std::int64_t prompt_tokens = 0, reused_tokens = 0, written_tokens = 0;
  double prefill_seconds = 0, decode_seconds = 0;
  engine::Finish finish = engine::Finish::kEndToken;
};

/// A conversation with a model: the messages, and the state that the model keeps of them.
class ChatSession {
 public:
  /// Opens the model and takes its memory. Errors: flags, model, tokenizer, memory.
  static Result<std::unique_ptr<ChatSession>> Open(const ModelFlags& model, const SamplingFlags& sampling);

  /// Answers `message`; both become part of the conversation. stream: writes the answer to standard output as it comes, thinking
  /// included. An InterruptWatch that has seen Ctrl-C ends the answer early: what there is of it is kept.
  /// Errors: a message that is not UTF-8, a full context, a closed output; the conversation is unchanged then.
  Result<ChatAnswer> Answer(const std::string& message, bool stream);

  /// Forgets everything but the system message of the command line.
  void Reset();
  /// Takes the conversation's place. Errors: messages that no prompt can be made of; the conversation is unchanged then.
  Status Replace(text::Messages messages);
  const text::Messages& messages() const noexcept { return messages_; }

  void SetThinking(text::Thinking thinking) noexcept { settings_.thinking = thinking; }
  text::Thinking thinking() const noexcept { return settings_.thinking; }

  /// Tokens that the model holds, of how many it can.
  std::int64_t used() const noexcept { return generation_->length(); }
  std::int64_t context() const noexcept { return generation_->context(); }
  /// The model's name, size and context in one line.
  std::string Description() const;

 private:
  ChatSession() = default;
  Result<std::vector<std::int32_t>> Prompt(const text::Messages& messages) const;
  Result<ChatAnswer> Continue(const std::vector<std::int32_t>& prompt, bool stream);

  std::string name_, system_;
  library::OpenedModel opened_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::unique_ptr<engine::Generation> generation_;
  std::unique_ptr<engine::Sampler> sampler_;
  Settings settings_;
  std::int64_t max_tokens_ = 0;
  std::vector<std::string> stops_;
  text::Messages messages_;
};

}  // namespace baleen::apps
