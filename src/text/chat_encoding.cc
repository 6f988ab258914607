#include "text/chat_encoding.h"

#include <algorithm>
#include <cstdint>
#include <unordered_map>

#include "text/json_python.h"
#include "text/special_tokens.h"

namespace baleen::text {

namespace {

using diagnostics::InvalidInput;
using diagnostics::Quoted;

// The prefixes A and B of §11.6.
constexpr std::string_view kPrefixA =
    "Reasoning Effort: Absolute maximum with no shortcuts permitted.\n"
    "You MUST be very thorough in your thinking and comprehensively decompose the problem to resolve the root cause, rigorously "
    "stress-testing your logic against all potential paths, edge cases, and adversarial scenarios.\n"
    "Explicitly write out your entire deliberation process, documenting every intermediate step, considered alternative, and rejected "
    "hypothesis to ensure absolutely no assumption is left unchecked.\n\n";
constexpr std::string_view kPrefixB =
    "Reasoning Effort: Beyond maximum — exhaustive, relentless, and uncompromising.\n"
    "You MUST reason with the utmost depth and rigor, leaving absolutely nothing to chance: exhaustively decompose the problem into its "
    "most fundamental components, trace every causal chain to its root, and resolve the underlying cause rather than any surface symptom.\n"
    "Do not stop reasoning until you have independently verified the solution from multiple angles and are certain that no assumption "
    "remains unchecked and no error remains undiscovered.\n\n";

// The tools block of §11.5, around the schemas.
constexpr std::string_view kToolsBefore =
    "## Tools\n\n"
    "You have access to a set of tools to help answer the user's question. You can invoke tools by writing a \"<｜DSML｜tool_calls>\" block "
    "like the following:\n\n"
    "<｜DSML｜tool_calls>\n"
    "<｜DSML｜invoke name=\"$TOOL_NAME\">\n"
    "<｜DSML｜parameter name=\"$PARAMETER_NAME\" string=\"true|false\">$PARAMETER_VALUE</｜DSML｜parameter>\n"
    "...\n"
    "</｜DSML｜invoke>\n"
    "<｜DSML｜invoke name=\"$TOOL_NAME2\">\n"
    "...\n"
    "</｜DSML｜invoke>\n"
    "</｜DSML｜tool_calls>\n\n"
    "String parameters should be specified as is and set `string=\"true\"`. For all other types (numbers, booleans, arrays, objects), pass "
    "the value in JSON format and set `string=\"false\"`.\n\n"
    "If thinking_mode is enabled (triggered by <think>), you MUST output your complete reasoning inside <think>...</think> BEFORE any tool "
    "calls or final response.\n\n"
    "Otherwise, output directly after </think> with tool calls or final response.\n\n"
    "### Available Tool Schemas\n\n";
constexpr std::string_view kToolsAfter = "\n\nYou MUST strictly follow the above defined tool name and parameter schemas to invoke tool calls.\n";
constexpr std::string_view kFormatBefore = "## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n";

constexpr struct {
  std::string_view task, token;
} kTasks[] = {{"action", "<｜action｜>"}, {"query", "<｜query｜>"}, {"authority", "<｜authority｜>"},
              {"domain", "<｜domain｜>"}, {"title", "<｜title｜>"}, {"read_url", "<｜read_url｜>"}};

std::string_view EffortPrefix(Encoding encoding, Thinking thinking) {
  if (thinking == Thinking::kMax) return encoding == Encoding::kApril ? kPrefixA : kPrefixB;
  if (thinking == Thinking::kHigh && encoding == Encoding::k0731) return kPrefixA;
  return "";
}

// A part of a user's turn: a text, or the result of a tool.
struct Block {
  bool tool_result = false;
  std::string tool_call_id, content;
};

// A message as the wire knows it: tool messages have become blocks of a user's turn.
struct Turn {
  Message message;
  std::vector<Block> blocks;  // user only
};

bool IsUserLike(const Turn& turn) { return turn.message.role == "user" || turn.message.role == "developer"; }

// §11.3, step 1.
std::vector<Turn> MergeTurns(const Messages& messages) {
  std::vector<Turn> turns;
  for (const Message& message : messages) {
    const bool tool = message.role == "tool", user = message.role == "user";
    if (!tool && !user) {
      turns.push_back({message, {}});
      continue;
    }
    const bool joins = !turns.empty() && turns.back().message.role == "user" && (tool || !turns.back().message.task);
    if (!joins) {
      Turn& turn = turns.emplace_back();
      turn.message.role = "user";
      if (user) turn.message.task = message.task;
    }
    turns.back().blocks.push_back({tool, message.tool_call_id, message.content});
  }
  return turns;
}

// §11.3, step 2: results in the order of the calls they answer; unknown ids count as the first.
void SortResults(std::vector<Turn>& turns) {
  std::unordered_map<std::string, std::size_t> order;
  for (Turn& turn : turns) {
    const std::vector<ToolCall>& calls = turn.message.tool_calls;
    if (turn.message.role == "assistant" && !calls.empty()) {
      order.clear();
      for (std::size_t i = 0; i < calls.size(); ++i) {
        if (!calls[i].id.empty()) order[calls[i].id] = i;
      }
    }
    if (turn.message.role != "user" || order.empty()) continue;
    struct Ranked {
      std::size_t rank, place;
      Block block;
    };
    std::vector<Ranked> results;
    for (const Block& block : turn.blocks) {
      if (!block.tool_result) continue;
      const auto found = order.find(block.tool_call_id);
      results.push_back({found == order.end() ? 0 : found->second, results.size(), block});
    }
    std::sort(results.begin(), results.end(),
              [](const Ranked& a, const Ranked& b) { return a.rank != b.rank ? a.rank < b.rank : a.place < b.place; });
    auto next = results.begin();
    for (Block& block : turn.blocks) {
      if (block.tool_result) block = std::move((next++)->block);
    }
  }
}

// The index of the last user or developer turn, or -1.
std::ptrdiff_t LastUser(const std::vector<Turn>& turns) {
  std::ptrdiff_t last = -1;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    if (IsUserLike(turns[i])) last = static_cast<std::ptrdiff_t>(i);
  }
  return last;
}

// §11.3, step 3. "direct_search_results" is a role the vendor's code keeps here and then refuses.
std::vector<Turn> DropOldThinking(std::vector<Turn> turns) {
  const std::ptrdiff_t last = LastUser(turns);
  std::vector<Turn> kept;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const std::string& role = turns[i].message.role;
    const bool stays = role == "user" || role == "system" || role == "latest_reminder" || role == "direct_search_results" || role == "assistant";
    if (!stays && static_cast<std::ptrdiff_t>(i) < last) continue;
    kept.push_back(std::move(turns[i]));
  }
  return kept;
}

Status AppendParameters(const ToolCall& call, PromptPieces& out) {
  const auto append = [&](std::string_view key, bool is_string, std::string_view value) {
    out.Markup("<｜DSML｜parameter name=\"").Plain(key).Markup("\" string=\"").Markup(is_string ? "true" : "false").Markup("\">");
    out.Plain(value).Markup("</｜DSML｜parameter>");
  };
  const Result<JsonValue> arguments = ParseJson(call.arguments);
  if (!arguments) {
    if (FailsOnlyBySurrogate(call.arguments)) {
      return InvalidInput("the call of \"" + Quoted(call.name) + "\": arguments: " + arguments.error().message + "; a prompt must be UTF-8 text");
    }
    append("arguments", true, call.arguments);
    return {};
  }
  if (arguments->AsObject() == nullptr) {
    return InvalidInput("the call of \"" + Quoted(call.name) + "\": arguments: expected a JSON object, found " + std::string(arguments->Kind()) +
                        "; write the arguments by name");
  }
  bool first = true;
  for (const JsonMember& member : *arguments->AsObject()) {
    if (!first) out.Markup("\n");
    first = false;
    const std::string* text = member.value.AsString();
    append(member.key, text != nullptr, text != nullptr ? *text : WriteJson(member.value));
  }
  return {};
}

Status AppendCalls(const std::vector<ToolCall>& calls, PromptPieces& out) {
  if (calls.empty()) return {};
  out.Markup(kToolBlockStart).Markup(">\n");
  for (const ToolCall& call : calls) {
    out.Markup("<｜DSML｜invoke name=\"").Plain(call.name).Markup("\">\n");
    TRY(AppendParameters(call, out));
    out.Markup("\n</｜DSML｜invoke>\n");
  }
  out.Markup(kToolBlockEnd);
  return {};
}

// The tools and the response format of a system or developer message.
void AppendInstructions(const Message& message, PromptPieces& out) {
  if (!message.tools.empty()) {
    out.Markup("\n\n").Markup(kToolsBefore);
    for (std::size_t i = 0; i < message.tools.size(); ++i) {
      if (i > 0) out.Markup("\n");
      out.Plain(message.tools[i]);
    }
    out.Markup(kToolsAfter);
  }
  if (!message.response_format.empty()) out.Markup("\n\n").Markup(kFormatBefore).Plain(message.response_format);
}

void AppendBlocks(const std::vector<Block>& blocks, PromptPieces& out) {
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (i > 0) out.Markup("\n\n");
    if (blocks[i].tool_result) out.Markup("<tool_result>");
    out.Plain(blocks[i].content);
    if (blocks[i].tool_result) out.Markup("</tool_result>");
  }
}

class Renderer {
 public:
  Renderer(const RenderRequest& request, std::vector<Turn> turns, bool drop_thinking)
      : turns_(std::move(turns)), last_user_(LastUser(turns_)), thinking_(request.thinking != Thinking::kOff), drop_thinking_(drop_thinking) {
    out_.Markup(kBeginOfSequence);
    if (!turns_.empty()) out_.Markup(EffortPrefix(request.encoding, request.thinking));
  }

  Result<PromptPieces> Render() {
    for (std::size_t i = 0; i < turns_.size(); ++i) {
      TRY(AppendMessage(i));
      TRY(AppendTransition(i));
    }
    return std::move(out_);
  }

 private:
  Status AppendMessage(std::size_t i) {
    const Message& message = turns_[i].message;
    if (message.role == "system") {
      out_.Plain(message.content);
      AppendInstructions(message, out_);
    } else if (message.role == "developer") {
      if (message.content.empty()) return InvalidInput("a developer message: expected content, found none; write it or leave the message out");
      out_.Markup(kUser).Plain(message.content);
      AppendInstructions(message, out_);
    } else if (message.role == "user") {
      out_.Markup(kUser);
      AppendBlocks(turns_[i].blocks, out_);
    } else if (message.role == "latest_reminder") {
      out_.Markup(kLatestReminder).Plain(message.content);
    } else if (message.role == "assistant") {
      return AppendAssistant(i);
    } else {
      return InvalidInput("a message's role: expected system, user, assistant, tool, developer or latest_reminder, found \"" + Quoted(message.role) +
                          "\"; correct the role");
    }
    return {};
  }

  bool KeepsReasoning(std::size_t i) const {
    const bool answers_task = i > 0 && turns_[i - 1].message.task.has_value();
    return thinking_ && !answers_task && (!drop_thinking_ || static_cast<std::ptrdiff_t>(i) > last_user_);
  }

  // Do the sampled ids stand for the turn?
  bool IsReplayed(std::size_t i) const {
    if (i == 0 || i >= turns_.size()) return false;
    const Message& message = turns_[i].message;
    const bool asked = IsUserLike(turns_[i - 1]) && !turns_[i - 1].message.task;
    return message.role == "assistant" && !message.sampled.empty() && !message.without_end && asked && (!message.sampled_thinking || KeepsReasoning(i));
  }

  Status AppendAssistant(std::size_t i) {
    const Message& message = turns_[i].message;
    if (IsReplayed(i)) {
      out_.Sampled(message.sampled);
      return {};
    }
    if (KeepsReasoning(i)) out_.Plain(message.reasoning_content).Markup(kThinkingEnd);
    out_.Plain(message.content);
    TRY(AppendCalls(message.tool_calls, out_));
    if (!message.without_end) out_.Markup(kEndOfSequence);
    return {};
  }

  // What asks the model for its turn, where one follows.
  Status AppendTransition(std::size_t i) {
    if (i + 1 < turns_.size()) {
      const std::string& next = turns_[i + 1].message.role;
      if (next != "assistant" && next != "latest_reminder") return {};
    }
    if (const std::optional<std::string>& task = turns_[i].message.task) return AppendTask(*task);
    if (!IsUserLike(turns_[i])) return {};
    const bool thinks =
        IsReplayed(i + 1) ? turns_[i + 1].message.sampled_thinking : thinking_ && (!drop_thinking_ || static_cast<std::ptrdiff_t>(i) >= last_user_);
    out_.Markup(kAssistant).Markup(thinks ? kThinkingStart : kThinkingEnd);
    return {};
  }

  Status AppendTask(const std::string& task) {
    const auto* known = std::find_if(std::begin(kTasks), std::end(kTasks), [&](const auto& entry) { return entry.task == task; });
    if (known == std::end(kTasks)) {
      return InvalidInput("a message's task: expected action, query, authority, domain, title or read_url, found \"" + Quoted(task) + "\"; correct the task");
    }
    if (task == "action") out_.Markup(kAssistant).Markup(thinking_ ? kThinkingStart : kThinkingEnd);
    out_.Markup(known->token);
    return {};
  }

  std::vector<Turn> turns_;
  std::ptrdiff_t last_user_;
  bool thinking_, drop_thinking_;
  PromptPieces out_;
};

}  // namespace

Result<Encoding> ParseEncoding(std::string_view word) {
  if (word == "april") return Encoding::kApril;
  if (word == "0731") return Encoding::k0731;
  return InvalidInput("the encoding: expected april or 0731, found \"" + Quoted(word) + "\"; choose one of the two");
}

Result<Thinking> ParseThinking(std::string_view word) {
  if (word == "off") return Thinking::kOff;
  if (word == "low") return Thinking::kLow;
  if (word == "high") return Thinking::kHigh;
  if (word == "max") return Thinking::kMax;
  return InvalidInput("thinking: expected off, low, high or max, found \"" + Quoted(word) + "\"; choose one of them");
}

Result<Thinking> ThinkingFromMode(Encoding encoding, std::string_view thinking_mode, std::optional<std::string_view> reasoning_effort) {
  if (thinking_mode != "chat" && thinking_mode != "thinking") {
    return InvalidInput("thinking_mode: expected chat or thinking, found \"" + Quoted(thinking_mode) + "\"; choose one of the two");
  }
  const bool april = encoding == Encoding::kApril;
  Thinking thinking = Thinking::kLow;
  if (reasoning_effort == "high") {
    thinking = Thinking::kHigh;
  } else if (reasoning_effort == "max") {
    thinking = Thinking::kMax;
  } else if (reasoning_effort && (april || (*reasoning_effort != "low" && !reasoning_effort->empty()))) {
    return InvalidInput("reasoning_effort: expected " + std::string(april ? "null, high or max" : "null, low, high or max") + ", found \"" +
                        Quoted(*reasoning_effort) + "\"; the " + (april ? "april" : "0731") + " encoding knows no other");
  }
  return thinking_mode == "chat" ? Thinking::kOff : thinking;
}

Result<PromptPieces> RenderPieces(const RenderRequest& request) {
  std::vector<Turn> turns = MergeTurns(request.messages);
  SortResults(turns);
  const bool any_tools = std::any_of(turns.begin(), turns.end(), [](const Turn& turn) { return !turn.message.tools.empty(); });
  const bool drop_thinking = request.drop_thinking && !any_tools;
  if (request.thinking != Thinking::kOff && drop_thinking) turns = DropOldThinking(std::move(turns));
  return Renderer(request, std::move(turns), drop_thinking).Render();
}

Result<std::string> RenderPrompt(const RenderRequest& request) {
  RenderRequest unsampled = request;
  for (Message& message : unsampled.messages) message.sampled.clear();
  TRY_ASSIGN(const PromptPieces prompt, RenderPieces(unsampled));
  std::string text;
  for (const PromptPiece& piece : prompt.pieces()) text += piece.text;
  return text;
}

}  // namespace baleen::text
