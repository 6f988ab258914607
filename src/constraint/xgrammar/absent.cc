#include "constraint/automaton.h"

namespace baleen::constraint {

namespace {

class AbsentMaker final : public AutomatonMaker {
 public:
  Result<std::shared_ptr<const Automaton>> Make(const std::string&) override {
    return diagnostics::Unsupported(
        "expected a build with xgrammar for schemas, grammars and forced tool calls, found one without; run tools/fetch_xgrammar.sh and build "
        "again");
  }
};

}  // namespace

std::unique_ptr<AutomatonMaker> OpenAutomatonMaker(std::vector<std::string>, std::vector<std::int32_t>) { return std::make_unique<AbsentMaker>(); }

}  // namespace baleen::constraint
