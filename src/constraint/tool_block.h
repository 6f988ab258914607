#pragma once

#include <span>

#include "constraint/compiler.h"
#include "constraint/expression.h"
#include "diagnostics/result.h"

namespace baleen::constraint {

/// The block of tool calls of §11.5, from "\n\n<｜DSML｜tool_calls" to its closing tag. Rules go into `book`.
/// Errors: no tool; a tool_choice that names none of them; a name that cannot stand in a tag, or twice; what is wrong in a schema.
Result<Expression> ToolBlock(std::span<const ToolGrammar> tools, const ToolChoice& choice, RuleBook& book);

}  // namespace baleen::constraint
