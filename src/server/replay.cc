#include "server/replay.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string_view>

#include <openssl/evp.h>

#include "text/json_python.h"

namespace baleen::server {
namespace {

using text::JsonMember;
using text::JsonValue;

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

// Other languages sort the members of an object, or write 1.0 as 1.
void MakeCanonical(JsonValue& value) {
  if (auto* array = std::get_if<text::JsonArray>(&value.value)) {
    for (JsonValue& element : *array) MakeCanonical(element);
  } else if (auto* object = std::get_if<text::JsonObject>(&value.value)) {
    for (JsonMember& member : *object) MakeCanonical(member.value);
    std::stable_sort(object->begin(), object->end(), [](const JsonMember& a, const JsonMember& b) { return a.key < b.key; });
  } else if (const double* number = std::get_if<double>(&value.value); number != nullptr && std::abs(*number) < 0x1p53 && std::floor(*number) == *number) {
    value.value = text::JsonInteger{std::to_string(static_cast<std::int64_t>(*number))};
  }
}

std::string CanonicalArguments(const std::string& arguments) {
  Result<JsonValue> value = text::ParseJson(arguments);
  if (!value) return arguments;
  MakeCanonical(*value);
  return text::WriteJson(*value);
}

// Names a list of texts by a hash that no other list has. More texts may follow after it was asked.
class Name {
 public:
  Name() : state_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(state_.get(), EVP_sha256(), nullptr); }

  Name& Add(std::string_view text) {
    const std::uint64_t bytes = text.size();
    EVP_DigestUpdate(state_.get(), &bytes, sizeof bytes);
    EVP_DigestUpdate(state_.get(), text.data(), text.size());
    return *this;
  }
  std::string Bytes() const {
    const State copy(EVP_MD_CTX_new());
    EVP_MD_CTX_copy_ex(copy.get(), state_.get());
    std::string bytes(static_cast<std::size_t>(EVP_MD_size(EVP_sha256())), '\0');
    EVP_DigestFinal_ex(copy.get(), reinterpret_cast<unsigned char*>(bytes.data()), nullptr);
    return bytes;
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* state) const noexcept { EVP_MD_CTX_free(state); }
  };
  using State = std::unique_ptr<EVP_MD_CTX, Free>;
  State state_;
};

struct Call {
  std::string_view id;
  const std::string* name;
  const std::string* arguments;
};

// What names a turn: which one it is, and what the client was given of it.
struct TurnKeys {
  std::string which, exact;
};

TurnKeys KeysOf(const Name& before, std::string_view content, const std::vector<Call>& calls) {
  Name which, exact;
  if (calls.empty()) which.Add("behind").Add(before.Bytes());
  for (const Call& call : calls) which.Add("call").Add(call.id);
  exact.Add("exact").Add(which.Bytes()).Add(Trimmed(content));
  for (const Call& call : calls) exact.Add(*call.name).Add(CanonicalArguments(*call.arguments));
  return {which.Bytes(), exact.Bytes()};
}

// The conversation up to a turn, without what clients may leave out.
void AddTo(Name& conversation, const text::Message& message) {
  conversation.Add(message.role).Add(Trimmed(message.content)).Add(message.tool_call_id);
  for (const text::ToolCall& call : message.tool_calls) conversation.Add(call.id).Add(call.name);
}

void ReplayTurn(text::Message& message, const Name& before, const std::string& tenant, ReplayMemory& memory, Replayed& replayed) {
  std::vector<Call> calls;
  for (const text::ToolCall& call : message.tool_calls) calls.push_back({call.id, &call.name, &call.arguments});
  const bool named = std::all_of(calls.begin(), calls.end(), [](const Call& call) { return !call.id.empty(); });
  if (!named) return;
  const TurnKeys keys = KeysOf(before, message.content, calls);
  const std::string_view sent = Trimmed(message.reasoning_content);
  if (const auto turn = memory.Find(tenant, keys.exact)) {
    const bool same_reasoning = sent == Trimmed(turn->reasoning);
    if (same_reasoning || (sent.empty() && !calls.empty())) {
      replayed.reasonings += !same_reasoning;
      message.reasoning_content = turn->reasoning;
      message.sampled = turn->ids;
      message.sampled_thinking = turn->thinking;
      ++replayed.turns;
      return;
    }
  }
  if (!sent.empty() || calls.empty()) return;
  const auto turn = memory.Find(tenant, keys.which);
  if (!turn || turn->reasoning.empty()) return;
  message.reasoning_content = turn->reasoning;
  ++replayed.reasonings;
}

}  // namespace

Replayed Replay(completion::CompletionRequest& request, ReplayMemory& memory) {
  Replayed replayed;
  Name conversation;
  for (text::Message& message : request.messages) {
    if (message.role == "assistant" && !message.without_end) ReplayTurn(message, conversation, request.tenant, memory, replayed);
    AddTo(conversation, message);
  }
  return replayed;
}

void KeepForReplay(const completion::CompletionRequest& request, const completion::Answer& answer, const std::vector<std::string>& call_ids, ReplayMemory& memory) {
  const bool ended_itself = answer.good() && answer.ending().finish == engine::Finish::kEndToken;
  const bool goes_on = !request.messages.empty() && request.messages.back().without_end;
  if (request.kind != completion::CompletionRequest::Kind::kChat || !ended_itself || goes_on) return;
  Name conversation;
  for (const text::Message& message : request.messages) AddTo(conversation, message);
  const text::ParsedReply& reply = answer.reply();
  std::vector<Call> calls;
  for (std::size_t i = 0; i < reply.tool_calls.size(); ++i) calls.push_back({call_ids[i], &reply.tool_calls[i].name, &reply.tool_calls[i].arguments});
  const TurnKeys keys = KeysOf(conversation, reply.content, calls);
  memory.Keep(request.tenant, keys.exact, {.ids = answer.sampled(), .thinking = answer.thinks(), .reasoning = reply.reasoning_content});
  if (!calls.empty()) memory.Keep(request.tenant, keys.which, {.ids = {}, .thinking = answer.thinks(), .reasoning = reply.reasoning_content});
}

}  // namespace baleen::server
