#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "server/http.h"

namespace baleen::server {

/// How the body behind a response's head ends, and what becomes of the connection.
struct ResponseFrame {
  std::optional<std::size_t> length;  // Content-Length; nothing: the body has no length yet
  bool chunked = false;
  bool keep_alive = true;
  bool is_http_1_0 = false;
};

/// The status line and the fields up to the blank line. Control characters in a field become spaces: no field can forge another.
std::string WriteResponseHead(int status, const std::string& content_type, const Headers& headers, const ResponseFrame& frame);

}  // namespace baleen::server
