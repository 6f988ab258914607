#include "text/detokenizer.h"

#include <algorithm>
#include <string_view>

#include "text/utf8.h"

namespace baleen::text {

std::string Detokenizer::Push(std::int32_t id) {
  waiting_ += tokenizer_->TokenBytes(id);
  // Only the last three bytes can be a beginning that more bytes would complete.
  for (std::size_t back = std::min<std::size_t>(3, waiting_.size()); back > 0; --back) {
    const std::size_t at = waiting_.size() - back;
    const Utf8Step step = ReadUtf8(std::string_view(waiting_).substr(at));
    if (!step.cut || step.bytes != back) continue;
    std::string text = ReplaceInvalidUtf8(std::string_view(waiting_).substr(0, at));
    waiting_.erase(0, at);
    return text;
  }
  std::string text = ReplaceInvalidUtf8(waiting_);
  waiting_.clear();
  return text;
}

std::string Detokenizer::Finish() {
  std::string text = ReplaceInvalidUtf8(waiting_);
  waiting_.clear();
  return text;
}

}  // namespace baleen::text
