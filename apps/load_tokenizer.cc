#include "apps/load_tokenizer.h"

#include <string>
#include <system_error>

#include "hardware/file.h"

namespace baleen::apps {

Result<text::Tokenizer> LoadTokenizer(const std::filesystem::path& folder) {
  constexpr std::uint64_t kMostFileBytes = std::uint64_t{256} << 20;
  TRY_ASSIGN(const std::string json, hardware::ReadFile(folder / "tokenizer.json", kMostFileBytes));
  std::string config;
  std::error_code ignored;
  if (std::filesystem::exists(folder / "tokenizer_config.json", ignored)) {
    TRY_ASSIGN(config, hardware::ReadFile(folder / "tokenizer_config.json", kMostFileBytes));
    if (config.empty()) config = " ";  // an empty file is damaged, not absent
  }
  Result<text::Tokenizer> tokenizer = text::ParseTokenizer(json, config);
  if (!tokenizer) tokenizer.error().message = diagnostics::Quoted(folder.string(), 300) + "/" + tokenizer.error().message;
  return tokenizer;
}

}  // namespace baleen::apps
