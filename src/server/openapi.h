#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace baleen::server {

/// The OpenAPI 3.1 document of all routes but the page's files, as JSON: the files of src/server/openapi/ in one, with the served model's name and
/// the size of its vocabulary. needs_key: whether requests without a key are refused.
std::string OpenApiDocument(std::string_view model, std::int64_t vocab_size, bool needs_key);

}  // namespace baleen::server
