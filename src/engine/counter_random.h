#pragma once

#include <array>
#include <cstdint>

namespace baleen::engine {

/// Philox4x32 with ten rounds: four words that depend on nothing but the counter and the key. Any counter may be asked for, in any order.
std::array<std::uint32_t, 4> Philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) noexcept;

/// A number of [0, 1) with 53 random bits for the place `index` of the stream that `seed` names.
double UniformAt(std::uint64_t seed, std::uint64_t index) noexcept;

}  // namespace baleen::engine
