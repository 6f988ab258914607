#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "diagnostics/result.h"

namespace baleen::apps {

// What every bench command needs.

/// Seconds since `begin`.
double Since(std::chrono::steady_clock::time_point begin);

/// The middle value, the upper of two; 0 where there is none.
double Median(std::vector<double> values);

/// FNV-1a over bytes, continued from `hash`.
inline constexpr std::uint64_t kHashBegin = 0xcbf29ce484222325u;
std::uint64_t Hash(const void* data, std::size_t bytes, std::uint64_t hash = kHashBegin) noexcept;
/// Sixteen hexadecimal digits.
std::string Hex(std::uint64_t hash);

/// Writes a file beside its place and renames it. Errors: the folder or the disk.
Status WriteReport(const std::string& path, std::string_view text);

/// `text` as it stands in XML: markup escaped, control characters left out.
std::string Escaped(std::string_view text);

}  // namespace baleen::apps
