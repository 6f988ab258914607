// What the lanes' instructions reach at most. Operands come from the first level of the cache, as a kernel's do.

void PeakMultiply(std::int64_t steps, std::byte* operands) noexcept {
  Lanes sum[kPeakSums];
#pragma GCC unroll 16
  for (int i = 0; i < kPeakSums; ++i) sum[i] = Zero();
  const Lanes factor = Set1(0.5f);
  const auto* x = reinterpret_cast<const float*>(operands);
  for (std::int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 16
    for (int i = 0; i < kPeakSums; ++i) sum[i] = Fma(factor, Load(x + i * kLanes + step % 8 * 16 * kLanes), sum[i]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < kPeakSums; ++i) Store(reinterpret_cast<float*>(operands) + i * kLanes, sum[i]);
}

std::uint64_t ReadStreams(const std::byte* data, std::int64_t bytes) noexcept {
  constexpr std::int64_t kStep = 256;
  const std::int64_t stream = bytes / kReadStreams;
  Ints seen[4] = {SetInts(0), SetInts(0), SetInts(0), SetInts(0)};
  for (std::int64_t at = 0; at < stream; at += kStep) {
#pragma GCC unroll 8
    for (std::int64_t s = 0; s < kReadStreams; ++s) {
      const std::byte* p = data + s * stream + at;
      __builtin_prefetch(p + 1024);
      __builtin_prefetch(p + 1088);
      __builtin_prefetch(p + 1152);
      __builtin_prefetch(p + 1216);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) seen[i] = Or(seen[i], LoadInts(p + 64 * i));
    }
  }
  alignas(64) float words[kLanes];
  Store(words, FromBits(Or(Or(seen[0], seen[1]), Or(seen[2], seen[3]))));
  std::uint64_t all = 0;
  for (int i = 0; i < kLanes; i += 2) {
    std::uint64_t word;
    __builtin_memcpy(&word, words + i, 8);
    all |= word;
  }
  return all;
}
