#include "text/utf8.h"

#include <cstdint>

namespace baleen::text {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// What the second byte may be depends on the first (table 3-7 of the Unicode standard).
struct Lead {
  std::size_t bytes = 0;
  std::uint8_t second_low = 0x80, second_high = 0xBF;
};

Lead ReadLead(std::uint8_t byte) noexcept {
  if (byte < 0x80) return {1};
  if (byte >= 0xC2 && byte <= 0xDF) return {2};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {};
}

}  // namespace

Utf8Step ReadUtf8(std::string_view bytes) noexcept {
  const auto first = static_cast<std::uint8_t>(bytes[0]);
  const Lead lead = ReadLead(first);
  if (lead.bytes == 1) return {first, 1, true, false};
  if (lead.bytes == 0) return {0xFFFD, 1, false, false};
  char32_t code_point = first & (0x7FU >> lead.bytes);
  for (std::size_t i = 1; i < lead.bytes; ++i) {
    if (i == bytes.size()) return {0xFFFD, i, false, true};
    const auto byte = static_cast<std::uint8_t>(bytes[i]);
    const std::uint8_t low = i == 1 ? lead.second_low : 0x80, high = i == 1 ? lead.second_high : 0xBF;
    if (byte < low || byte > high) return {0xFFFD, i, false, false};
    code_point = code_point << 6 | (byte & 0x3F);
  }
  return {code_point, lead.bytes, true, false};
}

std::size_t FindInvalidUtf8(std::string_view bytes) noexcept {
  for (std::size_t at = 0; at < bytes.size();) {
    if (static_cast<std::uint8_t>(bytes[at]) < 0x80) {
      ++at;
      continue;
    }
    const Utf8Step step = ReadUtf8(bytes.substr(at));
    if (!step.valid) return at;
    at += step.bytes;
  }
  return std::string_view::npos;
}

Status CheckUtf8(std::string_view bytes, std::string_view what) {
  const std::size_t at = FindInvalidUtf8(bytes);
  if (at == std::string_view::npos) return {};
  return diagnostics::InvalidInput(std::string(what) + ": expected UTF-8 text, found the bytes \"" + diagnostics::Quoted(bytes.substr(at, 4)) +
                                   "\" at offset " + std::to_string(at) + "; convert the text to UTF-8");
}

std::string ReplaceInvalidUtf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const Utf8Step step = ReadUtf8(bytes);
    text += step.valid ? bytes.substr(0, step.bytes) : kReplacement;
    bytes.remove_prefix(step.bytes);
  }
  return text;
}

void AppendUtf8(std::string& text, char32_t code_point) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | (code_point >> shift & 0x3F)); };
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    text += static_cast<char>(0xC0 | code_point >> 6);
    tail(0);
  } else if (code_point < 0x10000) {
    text += static_cast<char>(0xE0 | code_point >> 12);
    tail(6), tail(0);
  } else {
    text += static_cast<char>(0xF0 | code_point >> 18);
    tail(12), tail(6), tail(0);
  }
}

}  // namespace baleen::text
