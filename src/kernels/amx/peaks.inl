// What tiles reach at most: two by two sums, their four operands loaded from the first level of the cache.

template <class Tiles>
void PeakMultiply(std::int64_t steps, std::byte* operands) noexcept {
  Tiles tiles;
  tiles.template Zero<0>();
  tiles.template Zero<1>();
  tiles.template Zero<2>();
  tiles.template Zero<3>();
  for (std::int64_t step = 0; step < steps; ++step) {
    const std::byte* p = operands + step % 4 * 4096;
    tiles.template Load<4>(p, 64);
    tiles.template Load<6>(p + 1024, 64);
    tiles.template DpBf16<0, 4, 6>();
    tiles.template Load<7>(p + 2048, 64);
    tiles.template DpBf16<1, 4, 7>();
    tiles.template Load<5>(p + 3072, 64);
    tiles.template DpBf16<2, 5, 6>();
    tiles.template DpBf16<3, 5, 7>();
  }
  tiles.template Store<0>(operands, 64);
}
