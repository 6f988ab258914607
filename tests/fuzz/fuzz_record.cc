// The file of a cache record: what is taken for whole is, byte for byte, what would have been written.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "diagnostics/check.h"
#include "kvcache/store_record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baleen::kvcache;
  constexpr Hash128 kFingerprint = {1, 2}, kKey = {3, 4};
  const std::span<const std::byte> file = std::as_bytes(std::span(data, size));

  // As a file from outside.
  if (file.size() >= kRecordHeadBytes) {
    RecordHead head;
    std::ranges::copy(file.first(kRecordHeadBytes), head.begin());
    const auto content = file.subspan(kRecordHeadBytes);
    const auto content_bytes = ContentBytes(head, kFingerprint, kKey, file.size());
    if (content_bytes) CHECK(*content_bytes == content.size());
    if (content_bytes && IsWhole(head, content)) CHECK(head == MakeRecordHead(kFingerprint, kKey, content));
  }

  // As content, whose first bytes say which bit of the head is damaged.
  const RecordHead head = MakeRecordHead(kFingerprint, kKey, file);
  CHECK(ContentBytes(head, kFingerprint, kKey, kRecordHeadBytes + size) == size && IsWhole(head, file));
  CHECK(!ContentBytes(head, kKey, kKey, kRecordHeadBytes + size) && !ContentBytes(head, kFingerprint, kFingerprint, kRecordHeadBytes + size));
  if (size >= 2) {
    const std::size_t bit = (data[0] + 256u * data[1]) % (8 * kRecordHeadBytes);
    RecordHead damaged = head;
    damaged[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    CHECK(!ContentBytes(damaged, kFingerprint, kKey, kRecordHeadBytes + size) || !IsWhole(damaged, file));
  }
  return 0;
}
