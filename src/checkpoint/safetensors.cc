#include "checkpoint/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "checkpoint/json_cursor.h"

namespace baleen::checkpoint {
namespace {

using diagnostics::InvalidInput;
using diagnostics::Quoted;

constexpr std::size_t kMaxRank = 16;

diagnostics::Error TensorFault(const std::string& name, const std::string& what) {
  return InvalidInput("tensor '" + Quoted(name) + "': " + what);
}

Result<std::vector<std::int64_t>> ParseShape(JsonCursor& json) {
  std::vector<std::int64_t> shape;
  TRY(json.Expect('['));
  if (json.Take(']')) return shape;
  do {
    TRY_ASSIGN(const std::uint64_t extent, json.Unsigned());
    if (extent > INT64_MAX) return json.Fault("an extent below 2^63 before here");
    if (shape.size() == kMaxRank) return json.Fault("at most 16 dimensions");
    shape.push_back(static_cast<std::int64_t>(extent));
  } while (json.Take(','));
  TRY(json.Expect(']'));
  return shape;
}

/// The object of one tensor; byte ranges are still relative to the end of the header.
Result<StoredTensor> ParseEntry(JsonCursor& json, std::string name) {
  StoredTensor out;
  out.name = std::move(name);
  bool has_dtype = false, has_shape = false, has_range = false;
  TRY(json.Expect('{'));
  do {
    TRY_ASSIGN(const std::string key, json.String());
    TRY(json.Expect(':'));
    bool* seen = key == "dtype" ? &has_dtype : key == "shape" ? &has_shape : key == "data_offsets" ? &has_range : nullptr;
    if (seen == nullptr || *seen) {
      return TensorFault(out.name, "expected the keys dtype, shape and data_offsets once each, found '" + Quoted(key) + "'" + (seen ? " twice" : ""));
    }
    *seen = true;
    if (seen == &has_dtype) {
      TRY_ASSIGN(const std::string dtype, json.String());
      const auto known = tensor::DTypeFromName(dtype);
      if (!known) return TensorFault(out.name, "expected a known dtype such as BF16 or F8_E4M3, found '" + Quoted(dtype) + "'");
      out.dtype = *known;
    } else if (seen == &has_shape) {
      TRY_ASSIGN(out.shape, ParseShape(json));
    } else {
      TRY(json.Expect('['));
      TRY_ASSIGN(out.begin, json.Unsigned());
      TRY(json.Expect(','));
      TRY_ASSIGN(out.end, json.Unsigned());
      TRY(json.Expect(']'));
    }
  } while (json.Take(','));
  TRY(json.Expect('}'));
  if (!has_dtype || !has_shape || !has_range) return TensorFault(out.name, "expected the keys dtype, shape and data_offsets, found fewer");
  return out;
}

/// ParseEntry, whose faults of JSON know a place but no name.
Result<StoredTensor> ParseTensor(JsonCursor& json, const std::string& name) {
  auto entry = ParseEntry(json, name);
  if (entry || entry.error().message.starts_with("tensor '")) return entry;
  return TensorFault(name, entry.error().message);
}

Status ParseMetadata(JsonCursor& json, std::map<std::string, std::string>& metadata) {
  TRY(json.Expect('{'));
  if (json.Take('}')) return {};
  do {
    TRY_ASSIGN(std::string key, json.String());
    TRY(json.Expect(':'));
    TRY_ASSIGN(std::string value, json.String());
    if (!metadata.emplace(key, std::move(value)).second) return InvalidInput("the key '" + Quoted(key) + "' appears twice");
  } while (json.Take(','));
  return json.Expect('}');
}

Result<SafetensorsHeader> ParseHeaderText(std::string_view text) {
  SafetensorsHeader header;
  if (!text.starts_with('{')) return InvalidInput("expected a JSON header that begins with '{', found something else; is this a safetensors file?");
  JsonCursor json(text);
  TRY(json.Expect('{'));
  bool has_metadata = false;
  if (!json.Take('}')) {
    do {
      TRY_ASSIGN(std::string name, json.String());
      TRY(json.Expect(':'));
      if (name == "__metadata__") {
        if (has_metadata) return InvalidInput("the header holds __metadata__ twice");
        has_metadata = true;
        Status status = ParseMetadata(json, header.metadata);
        if (!status) {
          status.error().message = "__metadata__ (an object of strings): " + status.error().message;
          return status.error();
        }
      } else {
        TRY_ASSIGN(StoredTensor stored, ParseTensor(json, name));
        header.tensors.push_back(std::move(stored));
      }
    } while (json.Take(','));
    TRY(json.Expect('}'));
  }
  TRY(json.End());
  return header;
}

Status CheckNames(std::vector<StoredTensor>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const StoredTensor& a, const StoredTensor& b) { return a.name < b.name; });
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].name.empty()) return InvalidInput("a tensor has an empty name");
    if (i > 0 && tensors[i].name == tensors[i - 1].name) return TensorFault(tensors[i].name, "the name appears twice in the header");
  }
  return {};
}

/// Every range fits its shape; together they cover the data bytes exactly once. Ranges become absolute.
Status CheckRanges(std::vector<StoredTensor>& tensors, std::uint64_t data_begin, std::uint64_t data_bytes) {
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(tensors[a].begin, tensors[a].end) < std::pair(tensors[b].begin, tensors[b].end);
  });
  std::uint64_t covered = 0;
  for (const std::size_t index : order) {
    StoredTensor& t = tensors[index];
    const std::string range = "[" + std::to_string(t.begin) + ", " + std::to_string(t.end) + ")";
    if (t.end < t.begin) return TensorFault(t.name, "expected an end after its begin, found the byte range " + range);
    if (t.end > data_bytes) {
      return TensorFault(t.name, "the byte range " + range + " ends past the file, which holds " + std::to_string(data_bytes) +
                                     " data bytes; the file is truncated or its header is wrong");
    }
    auto bytes = TensorBytes(t.dtype, t.shape);
    if (!bytes) return TensorFault(t.name, bytes.error().message);
    if (*bytes != t.end - t.begin) {
      return TensorFault(t.name, "expected " + std::to_string(*bytes) + " bytes for " + std::string(tensor::DTypeName(t.dtype)) + " " +
                                     tensor::ShapeText(t.shape) + ", found the byte range " + range);
    }
    if (t.begin < covered) return TensorFault(t.name, "the byte range " + range + " overlaps another tensor's, which ends at " + std::to_string(covered));
    if (t.begin > covered) return TensorFault(t.name, "the byte range " + range + " leaves a hole after byte " + std::to_string(covered));
    covered = t.end;
    t.begin += data_begin;
    t.end += data_begin;
  }
  if (covered != data_bytes) {
    return InvalidInput("the tensors cover " + std::to_string(covered) + " bytes, the file holds " + std::to_string(data_bytes) + " after its header");
  }
  return {};
}

}  // namespace

Result<std::uint64_t> TensorBytes(tensor::DType dtype, std::span<const std::int64_t> shape) {
  std::uint64_t elements = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0) return InvalidInput("expected extents >= 0, found the shape " + tensor::ShapeText(shape));
    if (extent == 0) return 0;
    if (__builtin_mul_overflow(elements, static_cast<std::uint64_t>(extent), &elements)) {
      return InvalidInput("the shape " + tensor::ShapeText(shape) + " counts more than 2^64 elements");
    }
  }
  std::uint64_t bits = 0;
  if (__builtin_mul_overflow(elements, static_cast<std::uint64_t>(tensor::DTypeBits(dtype)), &bits) || bits > INT64_MAX) {
    return InvalidInput("the shape " + tensor::ShapeText(shape) + " counts more than 2^63 bits");
  }
  if (bits % 8 != 0) return InvalidInput("the shape " + tensor::ShapeText(shape) + " of 4-bit codes does not fill whole bytes");
  return bits / 8;
}

Result<SafetensorsHeader> ParseSafetensors(std::span<const std::byte> file) {
  static_assert(std::endian::native == std::endian::little, "safetensors is little-endian and is read where it lies");
  if (file.size() < 8) return InvalidInput("expected a safetensors file of at least 8 bytes, found " + std::to_string(file.size()));
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  if (length > kHeaderLimitBytes) {
    return InvalidInput("expected a header of at most " + std::to_string(kHeaderLimitBytes) + " bytes, found a length of " + std::to_string(length) +
                        " (the file begins with '" + Quoted({reinterpret_cast<const char*>(file.data()), std::min<std::size_t>(file.size(), 20)}) +
                        "'); is this a safetensors file?");
  }
  if (length > file.size() - 8) {
    return InvalidInput("the header has " + std::to_string(length) + " bytes, the file only " + std::to_string(file.size()) + "; the file is truncated");
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + 8, length);
  TRY_ASSIGN(SafetensorsHeader header, ParseHeaderText(text));
  TRY(CheckNames(header.tensors));
  TRY(CheckRanges(header.tensors, 8 + length, file.size() - 8 - length));
  return header;
}

}  // namespace baleen::checkpoint
