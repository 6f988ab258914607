#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/reference/families.h"

namespace baleen::kernels::reference {
namespace {

float Dot(const float* a, const float* b, std::int64_t count) noexcept {
  double sum = 0.0;
  for (std::int64_t i = 0; i < count; ++i) sum += static_cast<double>(a[i]) * b[i];
  return static_cast<float>(sum);
}

void UnpackIndexKey(const IndexRowLayout& layout, const std::byte* row, float* x) noexcept {
  if (layout.format == RowFormat::kF32) {
    std::memcpy(x, row, static_cast<std::size_t>(4 * layout.dim));
    return;
  }
  for (std::int64_t i = 0; i < layout.dim; ++i) {
    const float scale = tensor::FromE8m0(static_cast<std::uint8_t>(row[layout.dim / 2 + i / kIndexGroup]));
    const auto code = static_cast<std::uint8_t>(static_cast<std::uint8_t>(row[i / 2]) >> (4 * (i % 2)));
    x[i] = tensor::RoundToBf16(tensor::FromE2m1(code) * scale);
  }
}

/// Orders scores with NaN below everything.
float Rank(float score) noexcept { return std::isnan(score) ? -INFINITY : score; }

}  // namespace

void Attend(const AttendArgs& args) noexcept {
  const std::int64_t dim = args.layout.dim;
  float* row = args.scratch;
  float* score = row + dim;  // [heads, count]
  for (std::int64_t k = 0; k < args.count; ++k) {
    UnpackKv({args.layout, args.rows[k], row});
    for (std::int64_t h = 0; h < args.heads; ++h) score[h * args.count + k] = Dot(args.query + h * dim, row, dim) * args.scale;
  }
  for (std::int64_t h = 0; h < args.heads; ++h) {
    float* p = score + h * args.count;
    const float largest = *std::max_element(p, p + args.count);
    double denominator = std::exp(static_cast<double>(args.sink[h]) - largest);
    for (std::int64_t k = 0; k < args.count; ++k) {
      p[k] = std::exp(p[k] - largest);
      denominator += p[k];
      p[k] = Round(p[k], args.rounding);
    }
    // The sum over rows must see each row unpacked once for all heads: keep 1/den behind the scores.
    score[args.heads * args.count + h] = static_cast<float>(denominator);
  }
  std::fill(args.out, args.out + args.heads * dim, 0.0f);
  for (std::int64_t k = 0; k < args.count; ++k) {
    UnpackKv({args.layout, args.rows[k], row});
    for (std::int64_t h = 0; h < args.heads; ++h) {
      const float p = score[h * args.count + k];
      for (std::int64_t i = 0; i < dim; ++i) args.out[h * dim + i] += p * row[i];
    }
  }
  for (std::int64_t h = 0; h < args.heads; ++h) {
    for (std::int64_t i = 0; i < dim; ++i) args.out[h * dim + i] = Round(args.out[h * dim + i] / score[args.heads * args.count + h], args.rounding);
  }
}

void IndexScore(const IndexScoreArgs& args) noexcept {
  const std::int64_t dim = args.layout.dim;
  for (std::int64_t s = 0; s < args.count; ++s) {
    UnpackIndexKey(args.layout, args.keys.Row(args.first + s, args.layout.RowBytes()), args.scratch);
    float sum = 0.0f;
    for (std::int64_t h = 0; h < args.heads; ++h) {
      const float dot = Round(Dot(args.query + h * dim, args.scratch, dim), args.rounding);
      sum += Round(std::max(dot, 0.0f) * args.weight[h], args.rounding);
    }
    args.score[s] = Round(sum, args.rounding);
  }
}

void TopK(const TopKArgs& args) noexcept {
  const std::int64_t kept = std::min(args.k, args.count);
  for (std::int64_t s = 0; s < args.count; ++s) args.scratch[s] = static_cast<std::int32_t>(s);
  std::sort(args.scratch, args.scratch + args.count, [&](std::int32_t a, std::int32_t b) {
    const float left = Rank(args.score[a]), right = Rank(args.score[b]);
    return left != right ? left > right : a < b;
  });
  std::copy(args.scratch, args.scratch + kept, args.chosen);
  std::sort(args.chosen, args.chosen + kept);
}

void Pool(const PoolArgs& args) noexcept {
  for (std::int64_t c = 0; c < args.dim; ++c) {
    float largest = -INFINITY;
    for (std::int64_t s = 0; s < args.count; ++s) largest = std::max(largest, args.gate[s][c]);
    double sum = 0.0, weighted = 0.0;
    for (std::int64_t s = 0; s < args.count; ++s) {
      const double p = std::exp(static_cast<double>(args.gate[s][c]) - largest);
      sum += p;
      weighted += p * args.value[s][c];
    }
    args.out[c] = Round(static_cast<float>(weighted / sum), args.rounding);
  }
}

}  // namespace baleen::kernels::reference
