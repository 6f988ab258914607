// A byte of switches and a reply: however it is cut into pieces it gives what the whole gives, and what the strict parser reads the kind one
// reads too.
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "diagnostics/check.h"
#include "text/json_python.h"
#include "text/reply_parser.h"
#include "text/reply_stream.h"
#include "text/special_tokens.h"
#include "text/utf8.h"

namespace {

using namespace baleen;

constexpr std::size_t kCuts = 4;  // ways to cut that are tried for each reply

text::ParsedReply Streamed(std::string_view reply, bool thinking, const text::ToolNames& tools, std::minstd_rand& random, std::size_t most_bytes) {
  text::ReplyStream stream(thinking, tools);
  const bool whole_letters = text::FindInvalidUtf8(reply) == std::string_view::npos;
  text::ParsedReply parsed;
  const auto take = [&](const std::vector<text::ReplyEvent>& events) {
    for (const text::ReplyEvent& event : events) {
      CHECK(!whole_letters || text::FindInvalidUtf8(event.text) == std::string_view::npos);
      text::AddEvent(event, parsed);
    }
  };
  for (std::size_t at = 0; at < reply.size();) {
    const std::size_t bytes = 1 + random() % most_bytes;
    take(stream.Feed(reply.substr(at, bytes)));
    at += bytes;
  }
  take(stream.Finish());
  return parsed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view reply(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool thinking = (data[0] & 1) != 0;
  const text::ToolNames tools = {{"f", {}}, {"get_weather", {"input"}}};
  const text::ParsedReply whole = text::ParseReplyLenient(reply, thinking);
  const text::ParsedReply unwrapped = text::ParseReplyLenient(reply, thinking, tools);
  std::minstd_rand random(data[0] + 1U);
  for (std::size_t i = 0; i < kCuts; ++i) {
    CHECK(Streamed(reply, thinking, {}, random, 1 + (data[0] >> 1)) == whole);
    CHECK(Streamed(reply, thinking, tools, random, 1 + (data[0] >> 1)) == unwrapped);
  }
  const Result<text::ParsedReply> strict = text::ParseReply(reply, thinking);
  if (!strict) return 0;
  const bool no_block = reply.find(text::kToolBlockStart) == std::string_view::npos;
  const std::string closed_end = std::string(text::kToolBlockEnd) + std::string(text::kEndOfSequence);
  if (no_block || reply.ends_with(text::kToolBlockEnd) || reply.ends_with(closed_end)) CHECK(*strict == whole);
  if (text::FindInvalidUtf8(reply) == std::string_view::npos) CHECK(text::ParseJson(text::WriteReplyJson(*strict)).has_value());
  return 0;
}
