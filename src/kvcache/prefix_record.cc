#include "kvcache/prefix_record.h"

#include <algorithm>
#include <cstring>

namespace baleen::kvcache {
namespace {

/// Takes counted pieces from the front; nothing once one is too long.
class Front {
 public:
  explicit Front(std::span<const std::byte> rest) noexcept : rest_(rest) {}

  std::span<const std::byte> Take(std::uint64_t count, std::uint64_t size) noexcept {
    if (!good_ || count > rest_.size() / size) {
      good_ = false;
      return {};
    }
    const auto piece = rest_.first(count * size);
    rest_ = rest_.subspan(count * size);
    return piece;
  }

  template <typename T>
  std::vector<T> Numbers(std::uint64_t count) {
    const auto bytes = Take(count, sizeof(T));
    std::vector<T> numbers(bytes.size() / sizeof(T));
    if (!bytes.empty()) std::memcpy(numbers.data(), bytes.data(), bytes.size());
    return numbers;
  }

  std::uint64_t Number() {
    const auto numbers = Numbers<std::uint64_t>(1);
    return good_ ? numbers.front() : 0;
  }

  bool good() const noexcept { return good_; }
  std::span<const std::byte> rest() const noexcept { return rest_; }

 private:
  std::span<const std::byte> rest_;
  bool good_ = true;
};

}  // namespace

std::vector<std::byte> WriteRecordHead(const PrefixRecord& record, std::uint64_t payload_bytes) {
  const std::uint64_t counts[] = {static_cast<std::uint64_t>(record.length), record.tenant.size(), record.ancestors.size()};
  const std::size_t head_bytes = sizeof counts + 8 * record.ancestors.size() + 4 * record.tokens.size() + record.tenant.size();
  std::vector<std::byte> out;
  out.reserve(head_bytes + payload_bytes);
  out.resize(head_bytes);
  std::byte* end = out.data();
  const auto append = [&](const auto& piece) {
    const auto bytes = std::as_bytes(std::span(piece));
    end = std::copy(bytes.begin(), bytes.end(), end);
  };
  append(counts), append(record.ancestors), append(record.tokens), append(record.tenant);
  return out;
}

std::optional<PrefixRecord> ReadRecord(std::span<const std::byte> content) {
  Front front(content);
  const std::uint64_t length = front.Number(), tenant_bytes = front.Number(), ancestors = front.Number();
  if (!front.good() || length == 0 || length > INT64_MAX) return std::nullopt;
  PrefixRecord record{.length = static_cast<std::int64_t>(length)};
  record.ancestors = front.Numbers<std::int64_t>(ancestors);
  std::int64_t last = 0;
  for (const std::int64_t ancestor : record.ancestors) {
    if (ancestor <= last || ancestor >= record.length) return std::nullopt;
    last = ancestor;
  }
  record.tokens = front.Numbers<std::int32_t>(static_cast<std::uint64_t>(record.length - last));
  const auto tenant = front.Take(tenant_bytes, 1);
  if (!front.good()) return std::nullopt;
  record.tenant = {reinterpret_cast<const char*>(tenant.data()), tenant.size()};
  record.payload = front.rest();
  return record;
}

}  // namespace baleen::kvcache
