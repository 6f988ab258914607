#include "server/openapi.h"

#include <algorithm>
#include <span>

#include "server/web_files.h"
#include "text/json_python.h"

namespace baleen::server {

std::span<const WebFile> OpenApiFiles();  // laid into the program at the build

namespace {

constexpr std::string_view kKeys = R"([{"bearer": []}, {"x-api-key": []}])", kKeysOrNone = R"([{}, {"bearer": []}, {"x-api-key": []}])";

std::string_view Part(std::string_view name) {
  const std::span<const WebFile> files = OpenApiFiles();
  return std::find_if(files.begin(), files.end(), [&](const WebFile& file) { return file.path == name; })->bytes;
}

// The quoted word in the document becomes JSON that is known only while the program runs.
void Replace(std::string& document, std::string_view quoted_word, std::string_view json) {
  for (std::size_t at = document.find(quoted_word); at != std::string::npos; at = document.find(quoted_word, at + json.size())) {
    document.replace(at, quoted_word.size(), json);
  }
}

}  // namespace

std::string OpenApiDocument(std::string_view model, std::int64_t vocab_size, bool needs_key) {
  std::string document(Part("/document.json"));
  std::string schemas(Part("/requests.json"));
  schemas.resize(schemas.rfind('}'));
  schemas += ", ";
  schemas += Part("/answers.json").substr(1);
  Replace(document, R"("{schemas}")", schemas);
  Replace(document, R"("{responses}")", Part("/responses.json"));
  Replace(document, R"("{paths}")", Part("/paths.json"));
  Replace(document, R"("{security}")", needs_key ? kKeys : kKeysOrNone);
  Replace(document, R"("{last_id}")", std::to_string(vocab_size - 1));
  Replace(document, R"("{model}")", text::QuoteJson(model));
  return document;
}

}  // namespace baleen::server
