#pragma once

#include <string>
#include <string_view>

namespace baleen::checkpoint {

/// The official name (§9.3) of a tensor that a file calls `stored`: official names themselves, Hugging Face transformers names (§9.5)
/// and the forms the vendor's own converter accepts (§9.4). Names that no rule knows come back without a leading "model.".
/// Stacked experts keep their stacking: "layers.i.ffn.experts.w13.weight" / ".scale" (gate_up_proj) and "layers.i.ffn.experts.w2.weight" / ".scale".
std::string OfficialName(std::string_view stored);

}  // namespace baleen::checkpoint
