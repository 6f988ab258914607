#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "completion/request_error.h"
#include "text/json_python.h"

namespace baleen::completion {

/// Objects and arrays inside each other; deeper ones are refused.
inline constexpr int kMostDepth = 64;

/// Reads the JSON text of a request, which need not be JSON nor UTF-8. Of a key that stands twice the last value counts.
/// Errors: say where; an object or array deeper than kMostDepth.
Checked<text::JsonValue> ParseBody(std::string_view json);

/// The members of one object, read with their types and ranges. null counts as absent everywhere.
/// Errors: 400 for another type or a missing field, 422 for a value out of range; they name the field with the path in front.
class Fields {
 public:
  /// path: what stands in front of the names, as in "tools[0].function"; empty at the top.
  Fields(const text::JsonValue& object, std::string path) : object_(&object), path_(std::move(path)) {}

  /// An object's fields. Errors: `value` is something else, or absent (null).
  static Checked<Fields> Of(const text::JsonValue* value, std::string path);

  /// The member, or null where it is absent or null.
  const text::JsonValue* Find(std::string_view key) const;
  std::string Path(std::string_view key) const;
  const std::string& path() const noexcept { return path_; }

  Checked<std::optional<bool>> Boolean(std::string_view key) const;
  /// 3.0 is whole too.
  Checked<std::optional<std::int64_t>> Whole(std::string_view key, std::int64_t least, std::int64_t most) const;
  /// Finite.
  Checked<std::optional<double>> Number(std::string_view key, double least, double most) const;
  /// At most so many characters (code points).
  Checked<std::optional<std::string>> Text(std::string_view key, std::size_t most_characters) const;
  /// −2^63 … 2^64 − 1; negative ones are taken modulo 2^64.
  Checked<std::optional<std::uint64_t>> Bits64(std::string_view key) const;

  /// "temperature: expected EXPECTED, found a string; …" with status 400.
  RequestError WrongType(std::string_view key, std::string_view expected) const;
  /// "n: expected EXPECTED, found 17; …" with status 422.
  RequestError WrongValue(std::string_view key, std::string_view expected) const;

 private:
  const text::JsonValue* object_;
  std::string path_;
};

/// Whether JSON Schema takes it for an integer: 3.0 is one too.
bool IsWhole(const text::JsonValue& value);
/// Its value, if it fits.
std::optional<std::int64_t> WholeOf(const text::JsonValue& value);

/// Errors: 422, the text has more characters (code points).
Checked<void> CheckLength(std::string_view text, const std::string& path, std::size_t most_characters);

/// "PATH: expected EXPECTED, found an integer; correct the request".
RequestError WrongTypeAt(const std::string& path, std::string_view expected, const text::JsonValue* found);
/// "PATH: expected EXPECTED, found 17; correct the request".
RequestError WrongValueAt(const std::string& path, std::string_view expected, const text::JsonValue& found);

}  // namespace baleen::completion
