#include "apps/line_outline.h"

#include <array>

#include "completion/fields.h"
#include "diagnostics/error.h"
#include "text/json_python.h"

namespace baleen::apps {
namespace {

constexpr std::string_view kBlank = " \t\r\n";

class Scanner {
 public:
  explicit Scanner(std::string_view line) : line_(line) {}

  LineOutline Scan() {
    std::size_t at = line_.find_first_not_of(kBlank);
    if (at == std::string_view::npos || line_[at] != '{') return {};
    do {
      const char c = line_[at];
      if (c == '"') {
        at = String(at);
        if (at == std::string_view::npos) return {};
      } else {
        if (c == '{' || c == '[') Open();
        if (c == '}' || c == ']') Close();
        ++at;
      }
    } while (depth_ > 0 && at < line_.size());
    const bool whole = depth_ == 0 && line_.find_first_not_of(kBlank, at) == std::string_view::npos;
    return whole ? outline_ : LineOutline{};
  }

 private:
  void Open() {
    if (++depth_ > completion::kMostDepth) Blame();
  }

  void Close() {
    if (--depth_ < 2) keys_[1] = {};
  }

  // A key, the value of custom_id, or any other text; returns where it ends.
  std::size_t String(std::size_t begin) {
    std::size_t end = begin + 1;
    while (end < line_.size() && line_[end] != '"') end += line_[end] == '\\' ? 2 : 1;
    if (end >= line_.size()) return std::string_view::npos;
    ++end;
    const std::string_view text = line_.substr(begin, end - begin);
    const std::size_t next = line_.find_first_not_of(kBlank, end);
    const bool is_key = next != std::string_view::npos && line_[next] == ':';
    if (is_key && depth_ <= 2) SetKey(text.substr(1, text.size() - 2));
    const bool may_fail = outline_.field.empty() && text.find("\\u") != std::string_view::npos;
    if (may_fail && text::FailsOnlyBySurrogate(text)) Blame();
    if (!is_key && depth_ == 1 && keys_[0] == "custom_id") ReadCustomId(text);
    return end;
  }

  void SetKey(std::string_view key) {
    keys_[static_cast<std::size_t>(depth_ - 1)] = key;
    if (depth_ == 1) keys_[1] = {};
    if (depth_ == 1 && key == "custom_id") outline_.custom_id.reset();  // of two the last counts
  }

  void ReadCustomId(std::string_view text) {
    const Result<text::JsonValue> value = text::ParseJson(text);
    if (value && value->AsString() != nullptr && !value->AsString()->empty()) outline_.custom_id = *value->AsString();
  }

  void Blame() {
    const std::string_view key = keys_[0] == "body" && !keys_[1].empty() ? keys_[1] : keys_[0];
    if (outline_.field.empty()) outline_.field = diagnostics::Quoted(key);
  }

  std::string_view line_;
  int depth_ = 0;
  std::array<std::string_view, 2> keys_;  // of the line, and of the object in it, as they are written
  LineOutline outline_;
};

}  // namespace

LineOutline OutlineOf(std::string_view line) { return Scanner(line).Scan(); }

}  // namespace baleen::apps
