#include "apps/token_file.h"

#include <nlohmann/json.hpp>

#include "hardware/file.h"

namespace baleen::apps {
namespace {

constexpr std::uint64_t kLimitBytes = std::uint64_t{1} << 28;

/// Collects whole numbers of one flat array; everything else ends the parse.
struct IdReader : nlohmann::json_sax<nlohmann::json> {
  std::vector<std::int32_t> ids;
  std::string fault;
  std::int64_t vocab = 0;
  int depth = 0;
  bool done = false;

  bool Fail(const std::string& what) {
    if (fault.empty()) fault = what;
    return false;
  }
  bool Other(const char* what) { return Fail(depth == 0 ? std::string("expected a JSON array of token ids, found ") + what
                                                        : "entry " + std::to_string(ids.size()) + ": expected a whole number, found " + what); }
  bool Id(std::uint64_t value, bool negative) {
    if (depth != 1) return Other("a number");
    if (negative || value >= static_cast<std::uint64_t>(vocab)) {
      return Fail("entry " + std::to_string(ids.size()) + ": expected an id from 0 to " + std::to_string(vocab - 1) + ", found " + (negative ? "a negative one" : std::to_string(value)));
    }
    ids.push_back(static_cast<std::int32_t>(value));
    return true;
  }
  bool null() override { return Other("null"); }
  bool boolean(bool) override { return Other("true or false"); }
  bool number_integer(number_integer_t value) override { return Id(static_cast<std::uint64_t>(value), value < 0); }
  bool number_unsigned(number_unsigned_t value) override { return Id(value, false); }
  bool number_float(number_float_t, const string_t&) override { return Other("a fraction or a number beyond 64 bits"); }
  bool string(string_t&) override { return Other("a string"); }
  bool binary(binary_t&) override { return Other("bytes"); }
  bool start_object(std::size_t) override { return Other("an object"); }
  bool key(string_t&) override { return Other("a key"); }
  bool end_object() override { return Other("an object"); }
  bool start_array(std::size_t) override { return ++depth == 1 ? true : Other("an array"); }
  bool end_array() override { return done = true; }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::detail::exception&) override { return Fail("not JSON at byte " + std::to_string(at)); }
};

}  // namespace

Result<std::vector<std::int32_t>> ReadTokenFile(const std::string& path, std::int64_t vocab_size) {
  TRY_ASSIGN(const std::string text, hardware::ReadFile(path, kLimitBytes));
  IdReader reader;
  reader.vocab = vocab_size;
  if (const std::size_t nul = text.find('\0'); nul != std::string::npos) {  // where the parser would end without a word
    return diagnostics::InvalidInput(diagnostics::Quoted(path, 300) + ": expected a JSON array of token ids, found a NUL byte at byte " + std::to_string(nul));
  }
  const bool parsed = nlohmann::json::sax_parse(text, &reader);
  if (!parsed || !reader.done) {
    return diagnostics::InvalidInput(diagnostics::Quoted(path, 300) + ": " + (reader.fault.empty() ? "expected a JSON array of token ids" : reader.fault));
  }
  if (reader.ids.empty()) return diagnostics::InvalidInput(diagnostics::Quoted(path, 300) + ": expected at least one token id, found an empty array");
  return std::move(reader.ids);
}

}  // namespace baleen::apps
