#include "text/bpe.h"

#include <algorithm>
#include <functional>

#include "diagnostics/check.h"

namespace baleen::text {

namespace {

std::uint64_t Pair(std::int32_t left, std::int32_t right) noexcept {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

// A token of the piece in the list of those not yet joined; 32-bit places, because a piece is part of a text of at most 1 GiB.
struct Symbol {
  std::int32_t id;  // -1 once it is part of the symbol before it
  std::uint32_t before, after;
};
constexpr std::uint32_t kNone = ~std::uint32_t{0};

// A pair that could be joined when it was found; the order of the fields is the order of joining.
struct Candidate {
  std::uint32_t rank;
  std::uint32_t place;
  std::int32_t left, right, joined;

  bool operator>(const Candidate& other) const noexcept { return rank != other.rank ? rank > other.rank : place > other.place; }
};

}  // namespace

std::size_t KeyTable::Place(std::uint64_t key) const noexcept {
  std::uint64_t hash = key * 0x9E3779B97F4A7C15ULL;
  hash ^= hash >> 32;
  std::size_t place = hash & (slots_.size() - 1);
  while (slots_[place].key != key && slots_[place].key != kFree) place = (place + 1) & (slots_.size() - 1);
  return place;
}

void KeyTable::Set(std::uint64_t key, std::uint64_t value) {
  if (slots_.empty() || 2 * used_ >= slots_.size()) {
    std::vector<Slot> old(std::max<std::size_t>(64, 2 * slots_.size()));
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.key != kFree) slots_[Place(slot.key)] = slot;
    }
  }
  Slot& slot = slots_[Place(key)];
  if (slot.key == kFree) ++used_;
  slot = {key, value};
}

const std::uint64_t* KeyTable::Find(std::uint64_t key) const noexcept {
  if (slots_.empty()) return nullptr;
  const Slot& slot = slots_[Place(key)];
  return slot.key == kFree ? nullptr : &slot.value;
}

void BytePairEncoder::AddMerge(std::int32_t left, std::int32_t right, std::uint32_t rank, std::int32_t joined) {
  merges_.Set(Pair(left, right), std::uint64_t{rank} << 32 | static_cast<std::uint32_t>(joined));
}

void BytePairEncoder::Encode(std::string_view piece, std::vector<std::int32_t>& ids) const {
  if (piece.empty()) return;
  CHECK(piece.size() < kNone);
  const auto count = static_cast<std::uint32_t>(piece.size());
  thread_local std::vector<Symbol> symbols;
  thread_local std::vector<Candidate> heap;
  symbols.resize(count);
  heap.clear();
  const auto consider = [&](std::uint32_t place) {
    const Symbol& left = symbols[place];
    if (left.after == kNone) return;
    const std::int32_t right = symbols[left.after].id;
    if (const std::uint64_t* merge = merges_.Find(Pair(left.id, right))) {
      heap.push_back({static_cast<std::uint32_t>(*merge >> 32), place, left.id, right, static_cast<std::int32_t>(*merge & 0xFFFFFFFF)});
      std::push_heap(heap.begin(), heap.end(), std::greater<>());
    }
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    symbols[i] = {byte_ids_[static_cast<std::uint8_t>(piece[i])], i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1};
  }
  for (std::uint32_t i = 0; i < count; ++i) consider(i);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const Candidate best = heap.back();
    heap.pop_back();
    Symbol& left = symbols[best.place];
    // The pair may be gone: one of the two was joined with something else since.
    if (left.id != best.left || left.after == kNone || symbols[left.after].id != best.right) continue;
    Symbol& right = symbols[left.after];
    left.id = best.joined;
    right.id = -1;
    left.after = right.after;
    if (left.after != kNone) symbols[left.after].before = best.place;
    if (left.before != kNone) consider(left.before);
    consider(best.place);
  }
  for (std::uint32_t i = 0; i != kNone; i = symbols[i].after) ids.push_back(symbols[i].id);
  constexpr std::size_t kKeptSymbols = std::size_t{1} << 16;
  if (symbols.size() > kKeptSymbols) {  // one long piece must not hold its memory for the rest of the thread's life
    symbols = {};
    heap = {};
  }
}

}  // namespace baleen::text
