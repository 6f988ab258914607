#pragma once

#include <cstdint>
#include <filesystem>

#include "checkpoint/model_config.h"
#include "diagnostics/result.h"

namespace baleen::long_context {

/// The words of the constructed model: what each token id means. README.md says how the weights answer.
///
///   Key(k) Value(v)              "the value of k is v", read by Ask(k) and AskTwice(k)
///   Key(k) Ordinal(i) Value(v)   "the i-th value of k is v", read by AskOrdinal(k, i)
///   Beacon(c, b)                 one token that AskColor(c) finds again
///   Near(k)                      is Key(k) among the last 128 tokens? answers Key(k)
///   AskTwice(k)                  the value of k, taken as a key, and the value of that
/// Whatever is not there is answered by kNone.
inline constexpr std::int64_t kVocabulary = 1024, kKeys = 64, kOrdinals = 8, kFillers = 32, kColors = 8;
inline constexpr std::int32_t kNone = 2;

/// The channel of a query head that no row has; a head with nothing else asks nothing.
inline constexpr std::int64_t kQueryBallast = 128;

constexpr std::int32_t Key(std::int64_t k) noexcept { return static_cast<std::int32_t>(16 + k); }
constexpr std::int32_t Value(std::int64_t v) noexcept { return static_cast<std::int32_t>(80 + v); }
constexpr std::int32_t Filler(std::int64_t f) noexcept { return static_cast<std::int32_t>(144 + f); }
constexpr std::int32_t Ordinal(std::int64_t i) noexcept { return static_cast<std::int32_t>(176 + i); }
constexpr std::int32_t Beacon(std::int64_t color, std::int64_t value) noexcept { return static_cast<std::int32_t>(184 + 8 * color + value); }
constexpr std::int32_t Ask(std::int64_t k) noexcept { return static_cast<std::int32_t>(256 + k); }
constexpr std::int32_t AskTwice(std::int64_t k) noexcept { return static_cast<std::int32_t>(320 + k); }
constexpr std::int32_t Near(std::int64_t k) noexcept { return static_cast<std::int32_t>(384 + k); }
constexpr std::int32_t AskColor(std::int64_t color) noexcept { return static_cast<std::int32_t>(448 + color); }
constexpr std::int32_t AskOrdinal(std::int64_t k, std::int64_t i) noexcept { return static_cast<std::int32_t>(512 + 8 * k + i); }

/// One window layer, two CSA layers (ratio 4) and one HCA layer (ratio 128) with rows of the released size; 2,097,152 positions.
checkpoint::ModelConfig ConstructedConfig(double yarn_factor = 32);

/// Writes the model in the vendor's format into the existing folder.
Status WriteConstructed(const std::filesystem::path& folder, const checkpoint::ModelConfig& config);

}  // namespace baleen::long_context
