// Packed rows as pairs of bf16, a panel of channels at a time. Included inside an unnamed namespace after pairs.inl.

inline constexpr std::int64_t kPanel = kKvGroup;  // channels that lie together
inline constexpr int kPlainScale = 40;            // a row's scales are 2^-40 to 2^40: values are multiples of 2^-57

/// The largest magnitude of halves so far, and the least less one, so that zeros are out of the way.
struct HalfRange {
  __m512i largest = _mm512_setzero_si512(), least = _mm512_set1_epi16(-1);

  [[gnu::always_inline]] void See(Ints words) noexcept {
    const __m512i magnitude = _mm512_and_si512(words.v, _mm512_set1_epi16(0x7FFF));
    largest = _mm512_max_epu16(largest, magnitude);
    least = _mm512_min_epu16(least, _mm512_sub_epi16(magnitude, _mm512_set1_epi16(1)));
  }
  /// Whether every half is zero or of a magnitude from kSmallest to kLargest.
  [[gnu::always_inline]] bool Moderate() const noexcept {
    const auto code = [](float x, int less) { return _mm512_set1_epi16(static_cast<short>((__builtin_bit_cast(std::uint32_t, x) >> 16) - less)); };
    return (_mm512_cmplt_epu16_mask(least, code(kSmallest, 1)) | _mm512_cmpgt_epu16_mask(largest, code(kLargest, 0))) == 0;
  }
};

/// The channels of a panel of one row, as words of keys. False where their scale is not moderate; `range` sees those that have none.
[[gnu::always_inline]] inline bool UnpackPanel(const KvRowLayout& layout, const std::byte* row, std::int64_t panel, HalfRange& range, Ints (&words)[2]) noexcept {
  const std::int64_t codes = layout.CodeBytes(), at = panel * kPanel;
  if (at >= codes) {
    const std::byte* numbers = row + codes + 2 * (at - codes);
    words[0] = PackBf16(numbers);
    words[1] = PackBf16(numbers + 2 * kPair);
    for (const Ints& word : words) range.See(word);
    return true;
  }
  PackE4m3(row + at, words);
  const int exponent = static_cast<int>(row[layout.ScaleOffset() + panel]) - 127;
  const __m512i shift = _mm512_set1_epi16(static_cast<short>((exponent + 8) * 128));  // the codes were times 2^-8
  for (Ints& word : words) word.v = _mm512_mask_add_epi16(word.v, _mm512_test_epi16_mask(word.v, _mm512_set1_epi16(0x7FFF)), word.v, shift);
  return exponent >= -kPlainScale && exponent <= kPlainScale;
}
