#include "completion/model_names.h"

#include <algorithm>

namespace baleen::completion {

Checked<std::string> FindModel(std::string_view model, std::span<const std::string> served, ModelNames names) {
  if (model.empty()) return Refuse(400, "model", "model: expected the id of a model, found nothing; take one of /v1/models", "missing_field");
  if (std::find(served.begin(), served.end(), model) != served.end()) return std::string(model);
  if (names == ModelNames::kClaudeToo && model.starts_with("claude-")) {
    const std::string_view kind = model.starts_with("claude-opus") ? "pro" : "flash";
    const auto like = std::find_if(served.begin(), served.end(), [&](const std::string& id) { return id.find(kind) != std::string::npos; });
    return like == served.end() ? served.front() : *like;
  }
  return Refuse(404, "model", "model: expected a model that is served here, found \"" + diagnostics::Quoted(model) + "\"; take one of /v1/models", "model_not_found");
}

}  // namespace baleen::completion
