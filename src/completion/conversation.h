#pragma once

#include <optional>
#include <string>

#include "completion/fields.h"
#include "text/chat_encoding.h"

namespace baleen::completion {

/// The number of the first tool result with no call anywhere in front of it: it answers nothing that the model could see.
std::optional<std::size_t> FindOrphanResult(const text::Messages& messages) noexcept;

/// 400: the client must send the call too. path: the field that names the call.
RequestError OrphanResult(const std::string& path, const std::string& call_id);

/// True where a number is NaN or infinite, which Python's JSON has and JSON has not: it could not be repeated in a response.
bool HasNonFinite(const text::JsonValue& value) noexcept;

/// What a cached prefix belongs to: at most so many bytes of user, user_id, safety_identifier or metadata.user_id.
inline constexpr std::size_t kMostTenantCharacters = 512;

}  // namespace baleen::completion
