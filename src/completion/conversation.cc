#include "completion/conversation.h"

#include <algorithm>
#include <cmath>

namespace baleen::completion {

std::optional<std::size_t> FindOrphanResult(const text::Messages& messages) noexcept {
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (!messages[i].tool_calls.empty()) return std::nullopt;
    if (messages[i].role == "tool") return i;
  }
  return std::nullopt;
}

RequestError OrphanResult(const std::string& path, const std::string& call_id) {
  return Refuse(400, path, path + ": expected the id of a call in an earlier message, found \"" + diagnostics::Quoted(call_id) +
                               "\" and no call; nothing is kept between requests, send the whole history", "invalid_value");
}

bool HasNonFinite(const text::JsonValue& value) noexcept {
  if (const double* number = std::get_if<double>(&value.value)) return !std::isfinite(*number);
  if (const text::JsonArray* array = value.AsArray()) return std::any_of(array->begin(), array->end(), HasNonFinite);
  const text::JsonObject* object = value.AsObject();
  return object != nullptr && std::any_of(object->begin(), object->end(), [](const text::JsonMember& member) { return HasNonFinite(member.value); });
}

}  // namespace baleen::completion
