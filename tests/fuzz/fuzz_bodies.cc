// Bodies of all dialects: each reader takes or refuses whatever comes; a refusal is the client's and names its field first.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "completion/anthropic_request.h"
#include "completion/fields.h"
#include "completion/openai_request.h"
#include "completion/responses_request.h"

namespace {

using namespace baleen;

template <typename T>
void Check(const completion::Checked<T>& read) {
  if (read) return;
  const completion::RequestError& error = read.error();
  if ((error.status != 400 && error.status != 422) || !error.message.starts_with(error.param)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto body = completion::ParseBody(std::string_view(reinterpret_cast<const char*>(data), size));
  Check(body);
  if (!body) return 0;
  Check(completion::ReadOpenAiChat(*body, 2048));
  Check(completion::ReadOpenAiText(*body, 2048));
  Check(completion::ReadAnthropic(*body, completion::AnthropicRoute::kCountTokens));
  const auto responses = completion::ReadResponses(*body);
  Check(responses);
  if (responses && !text::ParseJson("{" + responses->echo + "\"end\": 0}")) std::abort();  // what is echoed is JSON
  return 0;
}
