#pragma once

#include <any>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace baleen::server {

/// Header fields in their order.
using Headers = std::vector<std::pair<std::string, std::string>>;

/// One request as an endpoint sees it.
struct HttpRequest {
  std::string method;  // "GET", …; a HEAD request reaches the endpoint of GET as "HEAD"
  std::string path;    // percent-decoded, begins with '/', holds no "." or ".." segment and no control character
  std::string query;   // as sent, without '?'
  Headers headers;     // values without surrounding blanks
  std::string body;    // may be moved away
  std::string peer;    // the address of the other end, "127.0.0.1:50000"
  std::any identity;   // what the authorize hook found out, for the endpoint

  /// The value of the first field of this name, in any case; null if there is none.
  const std::string* Find(std::string_view name) const;
};

/// An answer that is sent at once. Server, Date, Content-Length and Connection are added by the core.
struct HttpResponse {
  HttpResponse() = default;
  HttpResponse(int status_code, std::string text, std::string type = "application/json")
      : status(status_code), body(std::move(text)), content_type(std::move(type)) {}

  int status = 200;
  std::string body;
  std::string content_type = "application/json";  // empty: none is sent
  Headers headers;
};

/// A failure that the core itself answers, before any endpoint.
struct HttpError {
  int status = 400;
  std::string message;  // what was expected and found; quoted, safe to show
};

/// The reason phrase of a status: "Not Found".
std::string_view StatusName(int status);

/// True if both are the same but for the case of ASCII letters.
bool SameIgnoringCase(std::string_view a, std::string_view b);

}  // namespace baleen::server
