// Drafts change no answer: whatever is drafted, accepted or taken back, the logits and the drafts that follow are those of plain decoding.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "golden.h"

namespace baleen::golden {
namespace {

using model::Arithmetic;

enum class Drafts {
  kUnused,    // proposed and thrown away: plain decoding
  kProposed,  // as the drafter proposes them
  kMixed,     // right and wrong ones as chance has it, and some right ones taken back
};

/// What is known of one conversation, by the length of its sequence.
struct Record {
  std::vector<std::int32_t> tokens;
  std::map<std::int64_t, std::vector<float>> logits;          // behind so many tokens
  std::map<std::int64_t, std::vector<std::int32_t>> drafts;
  std::map<std::int64_t, std::vector<float>> confidence;
  std::int64_t accepted = 0;
};

struct Manner {
  Drafts drafts = Drafts::kUnused;
  std::int64_t chunk = 64;
  const std::vector<Record>* answers = nullptr;  // kMixed: where right tokens come from
};

/// Greedy conversations side by side in one model, the way an engine runs them.
class Conversations {
 public:
  Conversations(model::Transformer& model, const std::vector<std::vector<std::int32_t>>& prompts, std::int64_t goal, const Manner& manner)
      : model_(model), manner_(manner), goal_(goal), drafts_(prompts.size()), records_(prompts.size()) {
    for (std::size_t c = 0; c < prompts.size(); ++c) {
      records_[c].tokens = prompts[c];
      sequences_.push_back(*kvcache::Sequence::Create(model.cache_layout(), goal + model.limits().draft_tokens));
    }
  }

  std::vector<Record> Run() {
    while (Step()) {}
    return std::move(records_);
  }

 private:
  bool Running(std::size_t c) const { return static_cast<std::int64_t>(records_[c].tokens.size()) < goal_; }

  bool Step() {
    std::vector<std::int32_t> tokens, wanted;
    std::vector<model::Segment> segments;
    std::vector<std::size_t> owner;
    for (std::size_t c = 0; c < records_.size(); ++c) {
      if (!Running(c)) continue;
      const auto& known = records_[c].tokens;
      const auto begin = known.begin() + sequences_[c].length();
      const std::int64_t rows = std::min(manner_.chunk, known.end() - begin);
      tokens.insert(tokens.end(), begin, begin + rows);
      if (begin + rows == known.end()) {
        if (rows > 1) drafts_[c].clear();
        tokens.insert(tokens.end(), drafts_[c].begin(), drafts_[c].end());
        for (std::size_t i = tokens.size() - drafts_[c].size() - 1; i < tokens.size(); ++i) wanted.push_back(static_cast<std::int32_t>(i));
        segments.push_back({&sequences_[c], rows + static_cast<std::int64_t>(drafts_[c].size())});
      } else {
        segments.push_back({&sequences_[c], rows});
      }
      owner.push_back(c);
    }
    if (segments.empty()) return false;
    model_.Forward({tokens, segments, wanted, {}});
    std::int64_t row = 0;
    for (std::size_t s = 0; s < segments.size(); ++s) Compare(owner[s], row);
    Propose(owner);
    return true;
  }

  /// Greedy verification of the rows behind all known tokens.
  void Compare(std::size_t c, std::int64_t& row) {
    Record& record = records_[c];
    const auto drafted = static_cast<std::int64_t>(drafts_[c].size()), fed = sequences_[c].length();
    const auto known = static_cast<std::int64_t>(record.tokens.size());
    if (fed < known) return;
    std::int64_t kept = known;
    for (std::int64_t i = 0; i <= drafted; ++i) {
      const auto logits = model_.Logits(row + i);
      record.logits[kept].assign(logits.begin(), logits.end());
      const auto choice = static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
      record.tokens.push_back(choice);
      const bool right = i < drafted && drafts_[c][static_cast<std::size_t>(i)] == choice;
      if (!right || (manner_.drafts == Drafts::kMixed && random_() % 8 == 0)) break;
      ++kept, ++record.accepted;
    }
    row += drafted + 1;
    sequences_[c].Rollback(kept);
  }

  void Propose(const std::vector<std::size_t>& owner) {
    const auto most = static_cast<std::size_t>(model_.limits().draft_tokens);
    std::vector<model::Proposal> proposals;
    std::vector<std::vector<std::int32_t>> tokens(owner.size(), std::vector<std::int32_t>(most));
    std::vector<std::vector<float>> confidence(owner.size(), std::vector<float>(most));
    for (std::size_t s = 0; s < owner.size(); ++s) {
      const std::size_t c = owner[s];
      const std::int64_t length = sequences_[c].length(), known = static_cast<std::int64_t>(records_[c].tokens.size());
      proposals.push_back({&sequences_[c], static_cast<std::int64_t>(s), records_[c].tokens[static_cast<std::size_t>(length)],
                           length + 1 == known ? model_.limits().draft_tokens : 0, tokens[s], confidence[s]});
    }
    model_.Propose(proposals);
    for (std::size_t s = 0; s < owner.size(); ++s) {
      const std::size_t c = owner[s];
      drafts_[c].clear();
      if (proposals[s].wanted == 0) continue;
      const auto count = static_cast<std::ptrdiff_t>(proposals[s].proposed);
      records_[c].drafts[sequences_[c].length()].assign(tokens[s].begin(), tokens[s].begin() + count);
      records_[c].confidence[sequences_[c].length()].assign(confidence[s].begin(), confidence[s].begin() + count);
      if (manner_.drafts == Drafts::kProposed) drafts_[c].assign(tokens[s].begin(), tokens[s].begin() + count);
      if (manner_.drafts == Drafts::kMixed) Invent(c);
    }
  }

  void Invent(std::size_t c) {
    const auto& answer = (*manner_.answers)[c].tokens;
    const auto count = static_cast<std::size_t>(random_() % (static_cast<std::uint32_t>(model_.limits().draft_tokens) + 1));
    for (std::size_t at = records_[c].tokens.size(); drafts_[c].size() < count; ++at) {
      const bool right = at < answer.size() && random_() % 4 != 0;
      drafts_[c].push_back(right ? answer[at] : static_cast<std::int32_t>(random_() % static_cast<std::uint32_t>(model_.config().vocab_size)));
    }
  }

  model::Transformer& model_;
  Manner manner_;
  std::int64_t goal_;
  std::vector<std::vector<std::int32_t>> drafts_;
  std::vector<Record> records_;
  std::vector<kvcache::Sequence> sequences_;
  std::mt19937 random_{17};
};

struct Case {
  std::string name;
  hardware::Isa isa;
  Arithmetic arithmetic;
};

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  return info.param.name + "_" + std::string(hardware::IsaName(info.param.isa)) + (info.param.arithmetic == Arithmetic::kExact ? "_exact" : "_official");
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const hardware::Isa isa : Isas()) {
    for (const char* name : {"flash", "dspark", "plankton"}) {
      if (isa == hardware::Isa::kReference && std::string(name) == "plankton") continue;  // minutes
      for (const Arithmetic arithmetic : {Arithmetic::kExact, Arithmetic::kOfficial}) cases.push_back({name, isa, arithmetic});
    }
  }
  return cases;
}

class DraftedDecoding : public testing::TestWithParam<Case> {
 protected:
  bool plankton() const { return GetParam().name == "plankton"; }
  std::int64_t goal() const { return plankton() ? 150 : GetParam().isa == hardware::Isa::kReference ? 44 : 64; }

  Runner Load(int threads) const {
    const auto folder = plankton() ? std::filesystem::path(BALEEN_SOURCE_DIR) / "models/plankton" : CaseFolder(GetParam().name);
    const std::int64_t most = GetParam().name == "dspark" ? 5 : 3;
    return Runner(folder, GetParam().isa, threads, GetParam().arithmetic,
                  {.rows = 128, .context = goal() + most, .logit_rows = 3 * (most + 1), .segments = 3, .draft_tokens = most, .least_confidence = 0.1f});
  }

  std::vector<std::vector<std::int32_t>> Prompts() const {
    const std::vector<std::int32_t> tokens = ReadTokens(CaseFolder(plankton() ? "long" : GetParam().name) / "tokens.json");
    const auto length = plankton() ? 90 : 21;
    return {{tokens.begin(), tokens.begin() + length}, {tokens.rbegin(), tokens.rbegin() + length / 2}, {tokens.front()}};
  }
};

void ExpectSame(const std::vector<Record>& plain, const std::vector<Record>& drafted, std::int64_t goal, const std::string& what) {
  for (std::size_t c = 0; c < plain.size(); ++c) {
    SCOPED_TRACE(what + ", conversation " + std::to_string(c));
    for (std::int64_t i = 0; i < goal; ++i) ASSERT_EQ(drafted[c].tokens[static_cast<std::size_t>(i)], plain[c].tokens[static_cast<std::size_t>(i)]) << "token " << i;
    for (const auto& [length, logits] : plain[c].logits) {
      ASSERT_TRUE(drafted[c].logits.contains(length));
      EXPECT_EQ(drafted[c].logits.at(length), logits) << "behind " << length << " tokens";
    }
    for (const auto& [length, drafts] : drafted[c].drafts) {
      if (!plain[c].drafts.contains(length)) continue;  // beyond the goal
      EXPECT_EQ(drafts, plain[c].drafts.at(length)) << "behind " << length << " tokens";
      EXPECT_EQ(drafted[c].confidence.at(length), plain[c].confidence.at(length)) << "behind " << length << " tokens";
    }
  }
}

TEST_P(DraftedDecoding, GivesTheBitsOfPlainDecoding) {
  Runner runner = Load(2), one_thread = Load(1);
  const auto prompts = Prompts();
  std::vector<Record> plain;
  for (const auto& prompt : prompts) plain.push_back(Conversations(runner.model(), {prompt}, goal(), {}).Run().front());
  for (std::size_t c = 0; c < prompts.size(); ++c) {
    ExpectSame({plain[c]}, Conversations(runner.model(), {prompts[c]}, goal(), {Drafts::kProposed, 1}).Run(), goal(), "alone, prompt token by token");
  }
  const auto run = [&](Runner& with, const Manner& manner, const char* what) {
    const auto records = Conversations(with.model(), prompts, goal(), manner).Run();
    ExpectSame(plain, records, goal(), what);
    return records;
  };
  const auto proposed = run(runner, {Drafts::kProposed, 5}, "together, chunks of 5");
  run(one_thread, {Drafts::kProposed, 7}, "together, one thread");
  run(runner, {Drafts::kUnused, 3}, "together, drafts thrown away");
  const auto mixed = run(runner, {Drafts::kMixed, 4, &plain}, "together, right and wrong drafts");
  for (const Record& record : mixed) EXPECT_GT(record.accepted, 0);
  std::int64_t accepted = 0, steps = 0;
  for (const Record& record : proposed) accepted += record.accepted, steps += static_cast<std::int64_t>(record.drafts.size());
  std::printf("  %lld of %lld tokens came from drafts\n", static_cast<long long>(accepted), static_cast<long long>(accepted + steps));
  if (plankton()) {
    EXPECT_GT(accepted, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(All, DraftedDecoding, testing::ValuesIn(AllCases()), CaseName);

}  // namespace
}  // namespace baleen::golden
