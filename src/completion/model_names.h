#pragma once

#include <span>
#include <string>
#include <string_view>

#include "completion/request_error.h"

namespace baleen::completion {

/// Which names beside the served ids are understood.
enum class ModelNames {
  kServedIds,  // the OpenAI dialects
  kClaudeToo,  // Messages: claude-opus… is the first served id with "pro" in it, any other claude-… the first with "flash"; else the first
};

/// The served id that a request's `model` means. served: not empty.
/// Errors: 400 where it is absent (""), 404 model_not_found where it is not served; both name `model`.
Checked<std::string> FindModel(std::string_view model, std::span<const std::string> served, ModelNames names);

}  // namespace baleen::completion
