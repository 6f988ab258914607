#pragma once

#include <cstdint>

namespace baleen::long_context {

/// Two long prompts and many short ones through the engine at once, each with needles of its own and a question at its end. Expects every answer to
/// be right (no sequence sees another's), every request to end once, every short one within few steps, and no block in use afterwards.
void ExpectCompanyDoesNotMatter(std::int64_t long_tokens, std::int64_t short_requests);

}  // namespace baleen::long_context
