// The largest scores by counting: the k-th largest is found eleven bits at a time in the scores' ordered images, then one walk writes the
// rows. Integer work only, the same on every instruction set.

/// An unsigned number that orders as the score does: NaN as minus infinity, both zeros alike.
[[gnu::always_inline]] inline std::uint32_t OrderedImage(float score) noexcept {
  const float rank = score != score ? -__builtin_inff() : score + 0.0f;
  const auto bits = __builtin_bit_cast(std::uint32_t, rank);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
}

/// Of the images whose bits above `shift + width` equal those of `prefix`, fixes the next `width` bits of the `wanted`-th largest and
/// leaves in `wanted` its place among those that share them.
[[gnu::always_inline]] inline std::uint32_t NextBits(const TopKArgs& args, std::uint32_t prefix, int shift, int width, std::int64_t& wanted) noexcept {
  std::int32_t histogram[2048];
  __builtin_memset(histogram, 0, sizeof(histogram));
  const std::uint32_t buckets = 1u << width;
  const int above = shift + width;
  for (std::int64_t s = 0; s < args.count; ++s) {
    const auto image = static_cast<std::uint32_t>(args.scratch[s]);
    if (above == 32 || (image >> above) == (prefix >> above)) ++histogram[(image >> shift) & (buckets - 1)];
  }
  std::uint32_t bucket = buckets - 1;
  while (bucket > 0 && histogram[bucket] < wanted) wanted -= histogram[bucket--];
  return prefix | (bucket << shift);
}

void TopK(const TopKArgs& args) noexcept {
  const std::int64_t kept = args.k < args.count ? args.k : args.count;
  if (kept <= 0) return;
  if (kept == args.count) {
    for (std::int64_t s = 0; s < kept; ++s) args.chosen[s] = static_cast<std::int32_t>(s);
    return;
  }
  for (std::int64_t s = 0; s < args.count; ++s) args.scratch[s] = static_cast<std::int32_t>(OrderedImage(args.score[s]));
  std::int64_t ties = kept;  // how many of those equal to the threshold are taken
  std::uint32_t threshold = NextBits(args, 0, 21, 11, ties);
  threshold = NextBits(args, threshold, 10, 11, ties);
  threshold = NextBits(args, threshold, 0, 10, ties);
  std::int64_t written = 0;
  for (std::int64_t s = 0; written < kept; ++s) {
    const auto image = static_cast<std::uint32_t>(args.scratch[s]);
    if (image < threshold) continue;
    if (image == threshold && ties-- <= 0) continue;
    args.chosen[written++] = static_cast<std::int32_t>(s);
  }
}
