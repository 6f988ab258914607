#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "hardware/cpu.h"
#include "kernels/table.h"

namespace baleen::kernels {

/// The instruction sets of this machine beside the reference.
inline std::vector<hardware::Isa> FastIsas() {
  std::vector<hardware::Isa> isas;
  for (const auto isa : {hardware::Isa::kAvx2, hardware::Isa::kAvx512, hardware::Isa::kAmx}) {
    if (isa <= hardware::BestIsa()) isas.push_back(isa);
  }
  return isas;
}

inline std::string Name(hardware::Isa isa) { return std::string(hardware::IsaName(isa)); }

/// Random numbers of a test, the same in every run.
class Numbers {
 public:
  explicit Numbers(unsigned seed) : engine_(seed) {}

  /// A whole number in [low, high].
  int Whole(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine_); }
  float Uniform(float low, float high) { return std::uniform_real_distribution<float>(low, high)(engine_); }
  std::vector<float> Floats(std::int64_t count, float low = -1.0f, float high = 1.0f) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = Uniform(low, high);
    return values;
  }
  /// Floats with what breaks kernels among them: zeros of both signs, denormals, large and small magnitudes.
  std::vector<float> Wild(std::int64_t count) {
    std::vector<float> values = Floats(count, -4.0f, 4.0f);
    for (float& value : values) {
      switch (Whole(0, 11)) {
        case 0: value = 0.0f; break;
        case 1: value = -0.0f; break;
        case 2: value *= 1e-40f; break;
        case 3: value *= 1e4f; break;
        case 4: value *= 1e-6f; break;
        default: break;
      }
    }
    return values;
  }

 private:
  std::mt19937 engine_;
};

/// Equal to the bit, zeros' signs included.
inline bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), 4 * a.size()) == 0);
}

/// The largest |a − b| / bound over all elements; > 1 means a bound was passed.
class WorstRatio {
 public:
  explicit WorstRatio(std::string what) : what_(std::move(what)) {}
  ~WorstRatio() { std::printf("[  parity  ] %s: worst difference %.3f of its bound\n", what_.c_str(), worst_); }
  WorstRatio(const WorstRatio&) = delete;
  WorstRatio& operator=(const WorstRatio&) = delete;

  /// Whether |a − b| <= bound.
  bool Within(double a, double b, double bound) {
    const double difference = a == b ? 0.0 : std::abs(a - b);
    const double ratio = difference == 0.0 ? 0.0 : difference / bound;
    if (!(ratio <= worst_)) worst_ = ratio;
    return ratio <= 1.0;
  }

 private:
  std::string what_;
  double worst_ = 0.0;
};

}  // namespace baleen::kernels
