#include "server/response_head.h"

#include <ctime>
#include <string_view>

namespace baleen::server {
namespace {

void AppendField(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  for (const char c : value) out += (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F ? ' ' : c;
  out += "\r\n";
}

// "Fri, 27 Nov 2026 08:00:00 GMT", whatever the locale.
std::string HttpDate() {
  static constexpr std::string_view kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char rest[32];
  std::strftime(rest, sizeof rest, " %Y %H:%M:%S GMT", &utc);
  const std::string day = (utc.tm_mday < 10 ? "0" : "") + std::to_string(utc.tm_mday);
  return std::string(kDays[utc.tm_wday]) + ", " + day + " " + std::string(kMonths[utc.tm_mon]) + rest;
}

}  // namespace

std::string WriteResponseHead(int status, const std::string& content_type, const Headers& headers, const ResponseFrame& frame) {
  std::string out = "HTTP/1.1 " + std::to_string(status) + " " + std::string(StatusName(status)) + "\r\n";
  AppendField(out, "Server", "baleen");
  AppendField(out, "Date", HttpDate());
  if (!content_type.empty()) AppendField(out, "Content-Type", content_type);
  if (frame.length && status != 204 && status != 304) AppendField(out, "Content-Length", std::to_string(*frame.length));
  if (frame.chunked) AppendField(out, "Transfer-Encoding", "chunked");
  if (!frame.keep_alive) {
    AppendField(out, "Connection", "close");
  } else if (frame.is_http_1_0) {
    AppendField(out, "Connection", "keep-alive");
  }
  for (const auto& [name, value] : headers) AppendField(out, name, value);
  return out + "\r\n";
}

}  // namespace baleen::server
