#include "diagnostics/error.h"

#include <cstdio>
#include <utility>

namespace baleen::diagnostics {
namespace {

/// Length of the well-formed UTF-8 sequence at text[at], or 0.
std::size_t SequenceLength(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  const std::size_t length = lead < 0x80 ? 1 : lead >= 0xC2 && lead < 0xE0 ? 2 : lead >= 0xE0 && lead < 0xF0 ? 3 : lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
  if (length == 0 || at + length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  }
  if (length == 3 && ((lead == 0xE0 && byte(at + 1) < 0xA0) || (lead == 0xED && byte(at + 1) > 0x9F))) return 0;
  if (length == 4 && ((lead == 0xF0 && byte(at + 1) < 0x90) || (lead == 0xF4 && byte(at + 1) > 0x8F))) return 0;
  return length;
}

}  // namespace

int Error::ExitCode() const noexcept {
  switch (kind) {
    case ErrorKind::kInvalidInput: return 2;
    case ErrorKind::kNotFound: return 3;
    case ErrorKind::kUnsupported: return 4;
    case ErrorKind::kResource: return 5;
  }
  return 2;
}

Error InvalidInput(std::string message) { return {ErrorKind::kInvalidInput, std::move(message)}; }
Error NotFound(std::string message) { return {ErrorKind::kNotFound, std::move(message)}; }
Error Unsupported(std::string message) { return {ErrorKind::kUnsupported, std::move(message)}; }
Error ResourceError(std::string message) { return {ErrorKind::kResource, std::move(message)}; }

std::string Quoted(std::string_view text, std::size_t limit_bytes) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    if (at >= limit_bytes) {
      out += "…";
      break;
    }
    const std::size_t length = SequenceLength(text, at);
    const auto byte = static_cast<unsigned char>(text[at]);
    if (length == 0 || byte < 0x20 || byte == 0x7F) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned>(byte));
      out += hex;
      ++at;
    } else {
      out.append(text.substr(at, length));
      at += length;
    }
  }
  return out;
}

}  // namespace baleen::diagnostics
