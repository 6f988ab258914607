#pragma once

#include <string_view>

namespace baleen::server {

/// The OpenAPI 3.1 document of all routes, as JSON: src/server/openapi.json.
std::string_view OpenApiDocument();

}  // namespace baleen::server
