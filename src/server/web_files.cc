#include "server/web_files.h"

#include <algorithm>

namespace baleen::server {

const WebFile* FindWebFile(std::string_view path) {
  if (path == "/") path = "/index.html";
  const auto files = WebFiles();
  const auto found = std::ranges::find(files, path, &WebFile::path);
  return found == files.end() ? nullptr : &*found;
}

std::span<const WebHeader> WebHeaders() {
  static constexpr WebHeader kHeaders[] = {
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; "
       "form-action 'none'; frame-ancestors 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
      {"Cache-Control", "no-cache"},
      {"Vary", "Accept-Encoding"},
  };
  return kHeaders;
}

}  // namespace baleen::server
