#include "tensor/scalar.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace baleen::tensor {
namespace {

/// The code whose value is nearest, ties to the even code: by search over all codes.
template <typename Decode>
int NearestBySearch(float value, int codes, Decode decode) {
  int best = -1;
  double best_distance = std::numeric_limits<double>::infinity();
  for (int code = 0; code < codes; ++code) {
    const double candidate = static_cast<double>(decode(static_cast<std::uint8_t>(code)));
    if (std::isnan(candidate)) continue;
    const double distance = std::fabs(candidate - static_cast<double>(std::fabs(value)));
    if (distance < best_distance || (distance == best_distance && code % 2 == 0)) {
      best = code;
      best_distance = distance;
    }
  }
  return best;
}

TEST(Scalar, E4m3RoundTripsEveryCode) {
  for (int code = 0; code < 256; ++code) {
    if ((code & 0x7F) == 0x7F) {
      EXPECT_TRUE(std::isnan(FromE4m3(static_cast<std::uint8_t>(code))));
    } else {
      EXPECT_EQ(ToE4m3(FromE4m3(static_cast<std::uint8_t>(code))), code);
    }
  }
}

TEST(Scalar, E4m3RoundsToNearestEven) {
  for (int code = 0; code < 0x7E; ++code) {
    const float low = FromE4m3(static_cast<std::uint8_t>(code)), high = FromE4m3(static_cast<std::uint8_t>(code + 1));
    for (const float value : {low, 0.5f * (low + high), std::nextafter(0.5f * (low + high), 0.0f), std::nextafter(0.5f * (low + high), 1e9f)}) {
      EXPECT_EQ(ToE4m3(value), NearestBySearch(value, 128, FromE4m3)) << value;
      EXPECT_EQ(ToE4m3(-value), NearestBySearch(value, 128, FromE4m3) | 0x80) << value;
    }
  }
  EXPECT_EQ(ToE4m3(1e30f), 0x7E);
}

TEST(Scalar, E2m1RoundsToNearestEven) {
  for (float value = 0.0f; value < 8.0f; value += 0.0625f) {
    EXPECT_EQ(ToE2m1(value), NearestBySearch(value, 8, FromE2m1)) << value;
    EXPECT_EQ(ToE2m1(-value), NearestBySearch(value, 8, FromE2m1) | 8) << value;
  }
}

TEST(Scalar, Bf16RoundsToNearestEven) {
  EXPECT_EQ(RoundToBf16(1.0f + 0x1p-8f), 1.0f);
  EXPECT_EQ(RoundToBf16(1.0f + 0x1.8p-8f), 1.0f + 0x1p-7f);
  EXPECT_EQ(RoundToBf16(1.0f + 0x3p-8f), 1.0f + 0x1p-6f);
  EXPECT_TRUE(std::isnan(RoundToBf16(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_TRUE(std::isinf(RoundToBf16(std::numeric_limits<float>::max())));
}

TEST(Scalar, PowerOfTwoCeilingFollowsAppendixA1) {
  EXPECT_EQ(PowerOfTwoCeiling(448.0f, kE4m3Largest, kE4m3Floor), 127);
  EXPECT_EQ(PowerOfTwoCeiling(449.0f, kE4m3Largest, kE4m3Floor), 128);
  EXPECT_EQ(PowerOfTwoCeiling(6.0f, kE2m1Largest, kE2m1Floor), 127);
  EXPECT_EQ(PowerOfTwoCeiling(0.0f, kE4m3Largest, kE4m3Floor), PowerOfTwoCeiling(1e-4f, kE4m3Largest, kE4m3Floor));
  for (int k = -10; k < 10; ++k) {  // the shortcut of A.1 for m·2^k: k−8 up to m = 1.75, k−7 beyond
    for (int mantissa = 128; mantissa < 256; ++mantissa) {
      const float m = static_cast<float>(mantissa) / 128.0f, amax = std::ldexp(m, k);
      EXPECT_EQ(PowerOfTwoCeiling(amax, kE4m3Largest, kE4m3Floor) - 127, m <= 1.75f ? k - 8 : k - 7);
      EXPECT_EQ(PowerOfTwoCeiling(amax, kE2m1Largest, kE2m1Floor) - 127, m <= 1.5f ? k - 2 : k - 1);
    }
  }
}

TEST(Scalar, E8m0IsAPowerOfTwo) {
  for (int code = 0; code < 255; ++code) EXPECT_EQ(FromE8m0(static_cast<std::uint8_t>(code)), std::ldexp(1.0f, code - 127));
  EXPECT_TRUE(std::isnan(FromE8m0(255)));
}

}  // namespace
}  // namespace baleen::tensor
