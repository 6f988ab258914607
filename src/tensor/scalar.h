#pragma once

#include <cmath>
#include <cstdint>

namespace baleen::tensor {

// Exact conversions between fp32 and the small formats, one element at a time (specification §9.1, Appendix A.1–A.3). Nothing here may leave
// an object file as a weak symbol (std::bit_cast would in a debug build): the files of an instruction set include it.

/// Nearest bf16, ties to even; NaN stays NaN.
[[gnu::always_inline]] inline std::uint16_t ToBf16(float value) noexcept {
  const auto bits = __builtin_bit_cast(std::uint32_t, value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

[[gnu::always_inline]] inline float FromBf16(std::uint16_t code) noexcept { return __builtin_bit_cast(float, static_cast<std::uint32_t>(code) << 16); }

/// fp32 rounded to the nearest bf16 value.
[[gnu::always_inline]] inline float RoundToBf16(float value) noexcept { return FromBf16(ToBf16(value)); }

/// e4m3fn: bias 7, largest 448, no infinities; codes 0x7F and 0xFF are NaN.
[[gnu::always_inline]] inline float FromE4m3(std::uint8_t code) noexcept {
  const int exponent = (code >> 3) & 0xF, mantissa = code & 7;
  if ((code & 0x7F) == 0x7F) return __builtin_bit_cast(float, 0x7FC00000u);
  const float magnitude = exponent == 0 ? static_cast<float>(mantissa) * 0x1p-9f
                                        : __builtin_bit_cast(float, static_cast<std::uint32_t>((exponent + 120) << 23) | static_cast<std::uint32_t>(mantissa << 20));
  return (code & 0x80) != 0 ? -magnitude : magnitude;
}

/// Nearest e4m3 code, ties to even, for |value| <= 448 (larger magnitudes saturate). The sign of zero is kept.
[[gnu::always_inline]] inline std::uint8_t ToE4m3(float value) noexcept {
  const auto bits = __builtin_bit_cast(std::uint32_t, value);
  const auto sign = static_cast<std::uint8_t>((bits >> 24) & 0x80u);
  std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude >= 0x43E00000u) return static_cast<std::uint8_t>(sign | 0x7E);       // >= 448
  if (magnitude < 0x3C800000u) {                                                     // < 2^-6: subnormal steps of 2^-9
    const float scaled = __builtin_bit_cast(float, magnitude) * 0x1p9f;
    return static_cast<std::uint8_t>(sign | static_cast<std::uint8_t>(std::nearbyintf(scaled)));
  }
  magnitude += 0x7FFFFu + ((magnitude >> 20) & 1u);
  const std::uint32_t code = (magnitude >> 20) - (120u << 3);
  return static_cast<std::uint8_t>(sign | (code > 0x7E ? 0x7E : code));
}

/// e2m1: sign bit and {0, .5, 1, 1.5, 2, 3, 4, 6}; only the low four bits are read.
[[gnu::always_inline]] inline float FromE2m1(std::uint8_t code) noexcept {
  constexpr float kMagnitudes[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
  const float magnitude = kMagnitudes[code & 7];
  return (code & 8) != 0 ? -magnitude : magnitude;
}

/// Nearest e2m1 code, ties to the even code (A.3), saturating at 6. The sign of zero is kept.
[[gnu::always_inline]] inline std::uint8_t ToE2m1(float value) noexcept {
  const auto sign = static_cast<std::uint8_t>((__builtin_bit_cast(std::uint32_t, value) >> 28) & 8u);
  const float m = std::fabs(value);
  const int code = m <= 0.25f ? 0 : m < 0.75f ? 1 : m <= 1.25f ? 2 : m < 1.75f ? 3 : m <= 2.5f ? 4 : m < 3.5f ? 5 : m <= 5.0f ? 6 : 7;
  return static_cast<std::uint8_t>(sign | code);
}

/// 2^(code - 127); code 0 is 2^-127 (a subnormal), code 255 is NaN.
[[gnu::always_inline]] inline float FromE8m0(std::uint8_t code) noexcept {
  if (code == 255) return __builtin_bit_cast(float, 0x7FC00000u);
  return __builtin_bit_cast(float, code == 0 ? 0x00400000u : static_cast<std::uint32_t>(code) << 23);
}

/// The e8m0 code of the smallest power of two >= amax / largest (A.1), with amax raised to `floor` first.
/// largest is 448 (floor 1e-4) or 6 (floor 6·2^-126).
[[gnu::always_inline]] inline std::uint8_t PowerOfTwoCeiling(float amax, float largest, float floor) noexcept {
  const float p = (amax > floor ? amax : floor) * (1.0f / largest);
  const auto bits = __builtin_bit_cast(std::uint32_t, p);
  const std::uint32_t exponent = (bits >> 23) & 0xFFu;
  return static_cast<std::uint8_t>(exponent + ((bits & 0x7FFFFFu) != 0 ? 1u : 0u));
}

inline constexpr float kE4m3Largest = 448.0f, kE4m3Floor = 1e-4f;
inline constexpr float kE2m1Largest = 6.0f, kE2m1Floor = 6.0f * 0x1p-126f;

}  // namespace baleen::tensor
