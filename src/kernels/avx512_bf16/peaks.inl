// What the dot instruction of bf16 pairs reaches at most, operands from the first level of the cache.

void PeakMultiply(std::int64_t steps, std::byte* operands) noexcept {
  constexpr int kSums = 12;
  Lanes sum[kSums];
#pragma GCC unroll 16
  for (int i = 0; i < kSums; ++i) sum[i] = Zero();
  const Ints factor = SetInts(0x3F003F00);
  for (std::int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 16
    for (int i = 0; i < kSums; ++i) sum[i] = Dot(factor, LoadInts(operands + 64 * i + step % 8 * 1024), sum[i]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < kSums; ++i) Store(reinterpret_cast<float*>(operands) + i * kLanes, sum[i]);
}
