#include <dlpack/dlpack.h>
#include <xgrammar/compiler.h>
#include <xgrammar/matcher.h>

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

#include "constraint/automaton.h"

// What xgrammar calls where it would print or end; cmake/Xgrammar.cmake gives these names.
namespace xgrammar {

[[noreturn]] void RaiseFatal(const std::string&, int, const std::string& message) { throw std::runtime_error(message); }
void DropMessage(const std::string&, int, int, const std::string&) {}

}  // namespace xgrammar

namespace baleen::constraint {

namespace {

class XgrammarWalk final : public Walk {
 public:
  explicit XgrammarWalk(const xgrammar::CompiledGrammar& grammar) : matcher_(grammar) {}

  void Allowed(std::span<std::uint32_t> allowed) override {
    if (matcher_.IsTerminated()) {
      std::ranges::fill(allowed, 0U);
      return;
    }
    std::int64_t shape = static_cast<std::int64_t>(allowed.size());
    DLTensor mask{.data = allowed.data(), .device = {kDLCPU, 0}, .ndim = 1, .dtype = xgrammar::GetBitmaskDLType(), .shape = &shape};
    matcher_.FillNextTokenBitmask(&mask);
  }

  bool Accept(std::int32_t token) override { return !matcher_.IsTerminated() && matcher_.AcceptToken(token); }
  bool AcceptText(const std::string& text) override { return matcher_.AcceptString(text); }

 private:
  xgrammar::GrammarMatcher matcher_;
};

class XgrammarAutomaton final : public Automaton {
 public:
  explicit XgrammarAutomaton(xgrammar::CompiledGrammar grammar) : grammar_(std::move(grammar)) {}
  std::unique_ptr<Walk> Start() const override { return std::make_unique<XgrammarWalk>(grammar_); }
  std::size_t Bytes() const override { return grammar_.MemorySizeBytes(); }

 private:
  xgrammar::CompiledGrammar grammar_;
};

class XgrammarMaker final : public AutomatonMaker {
 public:
  XgrammarMaker(const std::vector<std::string>& token_bytes, const std::vector<std::int32_t>& end_ids)
      : compiler_(xgrammar::TokenizerInfo(token_bytes, xgrammar::VocabType::RAW, static_cast<int>(token_bytes.size()), end_ids), /*max_threads=*/1,
                  /*cache_enabled=*/false) {}

  Result<std::shared_ptr<const Automaton>> Make(const std::string& ebnf) override {
    // xgrammar reports bad grammars, and its own broken promises, by exceptions.
    try {
      return std::make_shared<XgrammarAutomaton>(compiler_.CompileGrammar(ebnf));
    } catch (const std::bad_alloc&) {
      return diagnostics::ResourceError("expected the grammar to fit into memory; make it smaller");
    } catch (const std::exception& error) {
      return diagnostics::InvalidInput(diagnostics::Quoted(error.what(), 400));
    }
  }

 private:
  xgrammar::GrammarCompiler compiler_;
};

}  // namespace

std::unique_ptr<AutomatonMaker> OpenAutomatonMaker(std::vector<std::string> token_bytes, std::vector<std::int32_t> end_ids) {
  return std::make_unique<XgrammarMaker>(token_bytes, end_ids);
}

}  // namespace baleen::constraint
