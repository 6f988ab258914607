#include "apps/measure.h"

#include <algorithm>
#include <cstdio>

#include "hardware/file.h"

namespace baleen::apps {

double Since(std::chrono::steady_clock::time_point begin) { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); }

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::uint64_t Hash(const void* data, std::size_t bytes, std::uint64_t hash) noexcept {
  for (std::size_t i = 0; i < bytes; ++i) hash = (hash ^ static_cast<const unsigned char*>(data)[i]) * 0x100000001b3u;
  return hash;
}

std::string Hex(std::uint64_t hash) {
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

Status WriteReport(const std::string& path, std::string_view text) {
  TRY_ASSIGN(hardware::AtomicFile file, hardware::AtomicFile::Create(path));
  TRY(file.Write(text));
  return file.Commit();
}

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '<' || c == '&' || c == '>') {
      escaped += c == '<' ? "&lt;" : c == '>' ? "&gt;" : "&amp;";
    } else if (static_cast<unsigned char>(c) >= 0x20) {
      escaped += c;
    }
  }
  return escaped;
}

}  // namespace baleen::apps
