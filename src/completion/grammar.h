#pragma once

#include <memory>
#include <optional>

#include "completion/prompt.h"
#include "engine/constraint.h"

namespace baleen::completion {

/// The form that a request's answers are held to. Tools that are required, named, strict or to be called one at a time come first, then the
/// response format; nothing where neither is asked for.
/// Errors: name tools, tool_choice or response_format: what cannot be compiled, or not within the limits, or not by this build.
Checked<std::optional<constraint::Grammar>> ChooseGrammar(const ServedModel& model, const CompletionRequest& request);

/// The state of one answer; reasoning is free.
std::unique_ptr<engine::Constraint> StartGrammar(const ServedModel& model, const constraint::Grammar& grammar, AnswerForm form);

}  // namespace baleen::completion
