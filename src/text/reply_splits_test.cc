// Replies cut into pieces in every way: what comes is the same, and no markup is shown. BALEEN_REPLY_SPLITS sets how many ways; a plain run
// does 200,000, the nightly one 10,000,000.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "text/json_python.h"
#include "text/reply_stream.h"
#include "text/special_tokens.h"
#include "text/utf8.h"

namespace baleen::text {
namespace {

using Random = std::mt19937_64;

std::size_t Below(Random& random, std::size_t most) { return static_cast<std::size_t>(random() % most); }

// Text with what looks like a tag and is none.
std::string Text(Random& random) {
  static const std::string kParts[] = {"a",   "the rest ", "\n",   "\n\n", "<",  "</",   "<｜", "\n\n<｜DSM", "</think", "<think", "｜", "|DSML|", ">",
                                       "\">", "\"",        "\\",   "\t",   "{}", "2>&1", "中文", "é",         "😀",      "\x01",   "/｜", "\" string=\"true\""};
  std::string text;
  for (std::size_t n = Below(random, 8); n > 0; --n) text += kParts[Below(random, std::size(kParts))];
  for (const std::string_view tag : {kThinkingEnd, kThinkingStart, kDsml, std::string_view("\" string=\"true\">")}) {
    if (text.find(tag) != std::string::npos) return Text(random);
  }
  return text;
}

struct Case {
  std::string text;
  bool thinking = false;
  ParsedReply reply;
};

void AddCall(Random& random, Case& made) {
  const std::string name = "tool_" + std::to_string(Below(random, 3));
  made.text += "<｜DSML｜invoke name=\"" + name + "\">\n";
  std::string arguments;
  for (std::size_t i = 0, n = Below(random, 4); i < n; ++i) {
    const bool is_string = Below(random, 2) == 0;
    const std::string key = (i == 0 ? "input" : "key " + std::to_string(i)) + (Below(random, 4) == 0 ? "\"名" : "");
    const std::string value = is_string ? Text(random) : "[1, " + QuoteJson(Text(random)) + ", {\"a\": null}]";
    made.text += (i > 0 ? "\n" : "") + ("<｜DSML｜parameter name=\"" + key) + "\" string=\"" + (is_string ? "true" : "false") + "\">" + value + "</｜DSML｜parameter>";
    arguments += (i > 0 ? ", " : "") + QuoteJson(key) + ": " + (is_string ? QuoteJson(value) : value);
  }
  made.text += "\n</｜DSML｜invoke>\n";
  made.reply.tool_calls.push_back({name, "{" + arguments + "}"});
}

Case MakeReply(Random& random) {
  Case made;
  made.thinking = Below(random, 2) == 0;
  if (made.thinking) {
    made.reply.reasoning_content = Text(random);
    made.text = made.reply.reasoning_content + std::string(kThinkingEnd);
  }
  made.reply.content = Text(random);
  made.text += made.reply.content;
  if (Below(random, 3) > 0) {
    made.text += std::string(kToolBlockStart) + ">\n";
    for (std::size_t n = 1 + Below(random, 3); n > 0; --n) AddCall(random, made);
    made.text += kToolBlockEnd;
  }
  made.text += kEndOfSequence;
  return made;
}

// Cuts, drops or repeats something: what a model does when it errs.
void Spoil(Random& random, std::string& text) {
  const std::size_t at = Below(random, text.size()), n = 1 + Below(random, std::min<std::size_t>(40, text.size() - at));
  switch (Below(random, 4)) {
    case 0:
      text.resize(at);
      break;
    case 1:
      text.erase(at, n);
      break;
    case 2:
      text.insert(at, text.substr(Below(random, text.size()), n));
      break;
    default:
      text.insert(at, Text(random));
  }
}

// The events with neighbours of one kind joined.
std::vector<ReplyEvent> Split(const Case& made, const ToolNames& tools, Random& random, std::size_t most_bytes) {
  ReplyStream stream(made.thinking, tools);
  std::vector<ReplyEvent> joined;
  const bool whole_letters = FindInvalidUtf8(made.text) == std::string::npos;
  const auto take = [&](const std::vector<ReplyEvent>& events) {
    for (const ReplyEvent& event : events) {
      EXPECT_TRUE(!whole_letters || FindInvalidUtf8(event.text) == std::string::npos) << event.text;
      const bool goes_on = !joined.empty() && joined.back().kind == event.kind && !event.text.empty() && event.kind != ReplyEvent::Kind::kCallStart;
      if (goes_on) {
        joined.back().text += event.text;
      } else {
        joined.push_back(event);
      }
    }
  };
  for (std::size_t at = 0; at < made.text.size();) {
    const std::size_t n = 1 + Below(random, most_bytes);
    take(stream.Feed(std::string_view(made.text).substr(at, n)));
    at += n;
  }
  take(stream.Finish());
  return joined;
}

std::int64_t WantedSplits() {
  const char* wanted = std::getenv("BALEEN_REPLY_SPLITS");
  return wanted == nullptr ? 200'000 : std::strtoll(wanted, nullptr, 10);
}

std::string Printed(const std::vector<ReplyEvent>& events) {
  std::string text;
  for (const ReplyEvent& event : events) text += std::to_string(static_cast<int>(event.kind)) + ": " + QuoteJson(event.text) + "\n";
  return text;
}

TEST(ReplySplits, GiveTheSameAndLeakNothing) {
  constexpr std::int64_t kSplitsEach = 20;
  const ToolNames tools = {{"tool_0", {}}, {"tool_1", {"input"}}};
  Random random(20260731);
  std::int64_t done = 0;
  for (const std::int64_t wanted = WantedSplits(); done < wanted;) {
    Case made = MakeReply(random);
    const bool spoilt = Below(random, 3) == 0;
    if (spoilt) Spoil(random, made.text);
    const bool with_tools = spoilt && Below(random, 2) == 0;
    const std::vector<ReplyEvent> whole = Split(made, with_tools ? tools : ToolNames(), random, 1);
    ParsedReply reply;
    for (const ReplyEvent& event : whole) AddEvent(event, reply);
    ASSERT_EQ(reply, ParseReplyLenient(made.text, made.thinking, with_tools ? tools : ToolNames())) << made.text;
    if (!spoilt) {
      ASSERT_EQ(reply, made.reply) << made.text;  // so no byte of a tag is in it
      ASSERT_EQ(*ParseReply(made.text, made.thinking), made.reply) << made.text;
    }
    for (std::int64_t i = 0; i < kSplitsEach; ++i, ++done) {
      const std::vector<ReplyEvent> split = Split(made, with_tools ? tools : ToolNames(), random, 1 + Below(random, 60));
      ASSERT_EQ(split, whole) << made.text << "\n" << Printed(split) << Printed(whole);
    }
  }
  std::printf("%lld splits of replies gave the same\n", static_cast<long long>(done));
}

}  // namespace
}  // namespace baleen::text
