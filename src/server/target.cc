#include "server/target.h"

#include <algorithm>

#include "server/http.h"

namespace baleen::server {
namespace {

diagnostics::Error Wrong(std::string_view target, std::string_view found) {
  return diagnostics::InvalidInput("the target of the request: expected a path as in /v1/models, found " + std::string(found) + " in '" + diagnostics::Quoted(target) +
                                   "'; correct the URL");
}

int HexDigit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

bool HasDotSegment(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view segment = path.substr(0, end);
    if (segment == "." || segment == "..") return true;
    path.remove_prefix(end);
  }
  return false;
}

Result<std::string> DecodePath(std::string_view encoded, std::string_view target) {
  std::string path;
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    char c = encoded[i];
    if (c == '%') {
      const int high = i + 2 < encoded.size() ? HexDigit(encoded[i + 1]) : -1;
      const int low = i + 2 < encoded.size() ? HexDigit(encoded[i + 2]) : -1;
      if (high < 0 || low < 0) return Wrong(target, "'%' without two hexadecimal digits");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return Wrong(target, "a control character");
    path += c;
  }
  if (HasDotSegment(path)) return Wrong(target, "a '.' or '..' segment");
  return path;
}

}  // namespace

Result<Target> ReadTarget(std::string_view target) {
  Target read;
  std::string_view rest = target;
  if (target == "*") {
    read.path = "*";
    return read;
  }
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!SameIgnoringCase(rest.substr(0, scheme.size()), scheme)) continue;
    rest.remove_prefix(scheme.size());
    const std::size_t end = std::min(rest.find_first_of("/?#"), rest.size());
    read.authority = rest.substr(0, end);
    rest.remove_prefix(end);
    if (read.authority.empty() || read.authority.find('@') != std::string::npos) return Wrong(target, "no host, or a name of a user");
    break;
  }
  if (rest.find('#') != std::string_view::npos) return Wrong(target, "a fragment ('#')");
  const std::size_t question = rest.find('?');
  if (question != std::string_view::npos) {
    read.query = rest.substr(question + 1);
    rest = rest.substr(0, question);
  }
  if (rest.empty() && !read.authority.empty()) rest = "/";
  if (!rest.starts_with('/')) return Wrong(target, "no '/' at its beginning");
  TRY_ASSIGN(read.path, DecodePath(rest, target));
  return read;
}

}  // namespace baleen::server
