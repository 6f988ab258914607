#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/ops.h"

namespace baleen::apps {

/// What the calls of one operation on one shape took. Bytes are the least that must be moved: every weight, cached row and index key once a call.
struct OpCount {
  std::string op, shape;  // shape: of the weight ("4096 x 1024 fp8"), else empty
  std::int64_t calls = 0;
  double seconds = 0;
  double weight_bytes = 0, cache_bytes = 0, flops = 0;

  double bytes() const noexcept { return weight_bytes + cache_bytes; }
};

/// While it lives, the device's operations are timed; what an operation costs is counted outside its time. For steps of one sequence, whose
/// operations all begin on the thread that steps; one watch at a time.
class OpWatch {
 public:
  explicit OpWatch(backend::Device& device);
  ~OpWatch();
  OpWatch(const OpWatch&) = delete;
  OpWatch& operator=(const OpWatch&) = delete;

  /// The counts since the last Take, the longest first.
  std::vector<OpCount> Take();

 private:
  template <auto member, typename Args>
  static void Timed(backend::Device& device, const Args& args) noexcept;

  struct Line {
    const char* op = nullptr;
    kernels::Format format = kernels::Format::kF32;
    std::int64_t n = 0, k = 0;  // of the weight, where there is one
    OpCount count;
  };
  Line& LineOf(const char* op, const kernels::Matrix* weight) noexcept;

  static OpWatch* current_;
  backend::Device* device_;
  const backend::Ops* watched_;
  backend::Ops timed_;
  std::vector<Line> lines_;
};

}  // namespace baleen::apps
