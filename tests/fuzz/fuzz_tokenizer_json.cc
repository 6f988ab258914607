// A tokenizer.json, and behind a zero byte a tokenizer_config.json: whatever is read must encode and decode without loss.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "diagnostics/check.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baleen;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = input.find('\0');
  const std::string_view json = input.substr(0, zero);
  const std::string_view config = zero == std::string_view::npos ? std::string_view() : input.substr(zero + 1);
  const Result<text::Tokenizer> tokenizer = text::ParseTokenizer(json, config);
  if (!tokenizer) {
    CHECK(!tokenizer.error().message.empty());
    return 0;
  }
  const std::string sample = std::string(input.substr(0, 4096)) + "<think> a  b\n\n12345中文é\xFF<｜User｜>";
  for (const std::vector<std::int32_t>& ids : {tokenizer->Encode(sample), tokenizer->EncodePlain(sample)}) {
    CHECK(tokenizer->CheckIds(ids).has_value());
    CHECK(tokenizer->Decode(ids) == sample);
    text::Detokenizer stream(*tokenizer);
    std::string streamed;
    for (const std::int32_t id : ids) streamed += stream.Push(id);
    CHECK(streamed + stream.Finish() == text::ReplaceInvalidUtf8(sample));
  }
  return 0;
}
