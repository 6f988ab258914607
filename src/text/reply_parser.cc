#include "text/reply_parser.h"

#include <initializer_list>
#include <optional>
#include <unordered_set>

#include "text/json_python.h"
#include "text/special_tokens.h"
#include "text/utf8.h"

namespace baleen::text {

namespace {

using diagnostics::InvalidInput;
using diagnostics::Quoted;

constexpr std::string_view kInvokeStart = "<｜DSML｜invoke", kInvokeEnd = "</｜DSML｜invoke";
constexpr std::string_view kParameterStart = "<｜DSML｜parameter", kParameterEnd = "/｜DSML｜parameter";

diagnostics::Error Malformed(std::string_view where, std::string_view expected, std::string_view found) {
  return InvalidInput("reply: " + std::string(where) + ": expected " + std::string(expected) + ", found " +
                      (found.empty() ? "nothing" : "\"" + Quoted(found) + "\"") + "; the model's text does not follow the format");
}

class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  struct Piece {
    std::string_view text, stop;  // stop: empty at the end of the text
  };

  // The text up to the first of the stops; the cursor stands behind that stop, or at the end.
  Piece ReadUntil(std::initializer_list<std::string_view> stops) {
    const std::size_t start = at_;
    for (; at_ < text_.size(); ++at_) {
      for (const std::string_view stop : stops) {
        if (text_[at_] != stop[0] || !text_.substr(at_).starts_with(stop)) continue;
        const std::string_view piece = text_.substr(start, at_ - start);
        at_ += stop.size();
        return {piece, stop};
      }
    }
    return {text_.substr(start), {}};
  }

  bool AtEnd() const noexcept { return at_ == text_.size(); }
  std::size_t at() const noexcept { return at_; }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

// ^\s*name="(.*?)">\n$ where the $ lets one more line end follow.
std::optional<std::string_view> MatchName(std::string_view tag) {
  constexpr std::string_view kBefore = "name=\"", kAfter = "\">\n";
  tag.remove_prefix(CountPythonSpace(tag));
  if (!tag.starts_with(kBefore)) return std::nullopt;
  tag.remove_prefix(kBefore.size());
  if (tag.ends_with("\n\n")) tag.remove_suffix(1);
  if (!tag.ends_with(kAfter)) return std::nullopt;
  return tag.substr(0, tag.size() - kAfter.size());
}

struct Parameter {
  std::string_view name, value;
  bool is_string = false;
};

// ^ name="(.*?)" string="(true|false)">(.*?)<$ where the $ lets one line end follow.
std::optional<Parameter> MatchParameter(std::string_view tag) {
  constexpr std::string_view kBefore = " name=\"", kBetween = "\" string=\"";
  if (!tag.starts_with(kBefore)) return std::nullopt;
  tag.remove_prefix(kBefore.size());
  if (tag.ends_with("<\n")) tag.remove_suffix(1);
  if (!tag.ends_with('<')) return std::nullopt;
  tag.remove_suffix(1);
  for (std::size_t at = tag.find(kBetween); at != std::string_view::npos; at = tag.find(kBetween, at + 1)) {
    for (const std::string_view flag : {std::string_view("true\">"), std::string_view("false\">")}) {
      const std::string_view rest = tag.substr(at + kBetween.size());
      if (rest.starts_with(flag)) return Parameter{tag.substr(0, at), rest.substr(flag.size()), flag[0] == 't'};
    }
  }
  return std::nullopt;
}

Result<ParsedCall> ParseCall(Cursor& cursor) {
  Cursor::Piece piece = cursor.ReadUntil({kParameterStart, kInvokeEnd});
  const std::optional<std::string_view> name = MatchName(piece.text);
  if (!name) return Malformed("a call's tag", "name=\"NAME\"> and a line end", piece.text);
  ParsedCall call{std::string(*name), "{"};
  std::unordered_set<std::string_view> names;
  while (piece.stop == kParameterStart) {
    const Cursor::Piece tag = cursor.ReadUntil({kParameterEnd});
    const std::optional<Parameter> parameter = MatchParameter(tag.text);
    if (!parameter) return Malformed("a parameter", " name=\"NAME\" string=\"true|false\">VALUE</｜DSML｜parameter>", tag.text);
    if (!names.insert(parameter->name).second) return Malformed("a call's parameters", "each name once", parameter->name);
    if (names.size() > 1) call.arguments += ", ";
    call.arguments.append(QuoteJson(parameter->name)).append(": ");
    call.arguments += parameter->is_string ? QuoteJson(parameter->value) : std::string(parameter->value);
    piece = cursor.ReadUntil({kParameterStart, kInvokeEnd});
    if (piece.text != ">\n") return Malformed("the end of a parameter", "\">\" and a line end", piece.text);
  }
  call.arguments += '}';
  return call;
}

struct ToolBlock {
  std::vector<ParsedCall> calls;
  std::size_t end = 0;  // the offset behind the block
};

// `text` begins behind "<｜DSML｜tool_calls".
Result<ToolBlock> ParseToolBlock(std::string_view text) {
  ToolBlock block;
  Cursor cursor(text);
  while (!cursor.AtEnd()) {
    const Cursor::Piece piece = cursor.ReadUntil({kInvokeStart, kToolBlockEnd});
    if (piece.text != ">\n") return Malformed("between the tags of a tool block", "\">\" and a line end", piece.text);
    if (piece.stop == kToolBlockEnd) break;
    if (piece.stop.empty()) return Malformed("a tool block", "a call or the closing tag", "");
    TRY_ASSIGN(ParsedCall call, ParseCall(cursor));
    block.calls.push_back(std::move(call));
  }
  block.end = cursor.at();
  return block;
}

}  // namespace

std::size_t CountPythonSpace(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Utf8Step step = ReadUtf8(text.substr(at));
    const char32_t c = step.code_point;
    const bool space = (c >= 0x9 && c <= 0xD) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
                       c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
    if (!step.valid || !space) return at;
    at += step.bytes;
  }
  return at;
}

Result<ParsedReply> ParseReply(std::string_view text, bool thinking) {
  ParsedReply reply;
  Cursor cursor(text);
  if (thinking) {
    const Cursor::Piece piece = cursor.ReadUntil({kThinkingEnd, kToolBlockStart});
    if (piece.stop != kThinkingEnd) return Malformed("the reasoning", "</think> at its end", piece.stop);
    reply.reasoning_content = piece.text;
  }
  const Cursor::Piece piece = cursor.ReadUntil({kEndOfSequence, kToolBlockStart});
  reply.content = piece.text;
  if (piece.stop.empty()) return Malformed("the content", "the end token behind it", "");
  std::string_view rest = text.substr(cursor.at());
  if (piece.stop == kToolBlockStart) {
    TRY_ASSIGN(ToolBlock block, ParseToolBlock(rest));
    reply.tool_calls = std::move(block.calls);
    rest.remove_prefix(block.end);
    if (rest.starts_with(kEndOfSequence)) rest.remove_prefix(kEndOfSequence.size());
  }
  if (!rest.empty()) return Malformed("the end of the reply", "the end token and nothing else", rest);
  for (const std::string_view token : {kBeginOfSequence, kEndOfSequence, kThinkingStart, kThinkingEnd, kDsml}) {
    for (const std::string_view part : {std::string_view(reply.content), std::string_view(reply.reasoning_content)}) {
      if (part.find(token) != std::string_view::npos) return Malformed("the content and the reasoning", "no special token inside", token);
    }
  }
  return reply;
}

std::string WriteReplyJson(const ParsedReply& reply) {
  std::string out = "{\"reasoning_content\": " + QuoteJson(reply.reasoning_content) + ", \"content\": " + QuoteJson(reply.content) + ", \"tool_calls\": [";
  for (std::size_t i = 0; i < reply.tool_calls.size(); ++i) {
    if (i > 0) out += ", ";
    const ParsedCall& call = reply.tool_calls[i];
    out += "{\"type\": \"function\", \"function\": {\"name\": " + QuoteJson(call.name) + ", \"arguments\": " + QuoteJson(call.arguments) + "}}";
  }
  return out + "]}";
}

}  // namespace baleen::text
