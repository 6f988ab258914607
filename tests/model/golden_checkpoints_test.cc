// Every golden checkpoint against the logits that two independent implementations agree on.

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include <nlohmann/json.hpp>

#include "golden.h"
#include "hardware/file.h"

namespace baleen::golden {
namespace {

using model::Arithmetic;

struct Case {
  std::string name;
  hardware::Isa isa;
};

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.name + "_" + std::string(hardware::IsaName(info.param.isa));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const hardware::Isa isa : Isas()) {
    for (const char* name : {"flash", "pro", "base-fp8", "odd", "long", "positions", "short", "hf-names", "dspark", "official-csa"}) cases.push_back({name, isa});
  }
  return cases;
}

nlohmann::json Facts(const std::string& name) { return nlohmann::json::parse(*hardware::ReadFile(CaseFolder(name) / "case.json", 1 << 20)); }

class GoldenCheckpoint : public testing::TestWithParam<Case> {};

TEST_P(GoldenCheckpoint, ExactArithmeticIsWithinTolerance) {
  const auto [name, isa] = GetParam();
  const std::vector<std::int32_t> tokens = ReadTokens(CaseFolder(name) / "tokens.json");
  const auto reference = ReadReference(CaseFolder(name) / "reference.safetensors");
  const double tolerance = Facts(name)["tolerance_exact"];
  Runner runner(CaseFolder(name), isa, 2, Arithmetic::kExact, static_cast<std::int64_t>(tokens.size()), static_cast<std::int64_t>(tokens.size()));
  const Outcome run = runner.Feed(tokens, {});
  EXPECT_LE(LargestDifference(run.logits, reference.at("logits").values), tolerance);
  EXPECT_LE(LargestDifference(run.stream_mean_abs, reference.at("stream_mean_abs").values), tolerance);
  EXPECT_LE(LargestDifference(run.stream_probe, reference.at("stream_probe").values), 10 * tolerance);
  const bool mtp = runner.model().drafter() == checkpoint::DrafterKind::kMtp;
  ASSERT_EQ(mtp, reference.contains("mtp_logits"));
  if (mtp) {
    EXPECT_LE(LargestDifference(run.mtp_logits, reference.at("mtp_logits").values), tolerance);
  }
  std::printf("  %-13s %-9s logits differ by at most %.2e (tolerance %.0e), streams by %.2e\n", name.c_str(), std::string(hardware::IsaName(isa)).c_str(),
              LargestDifference(run.logits, reference.at("logits").values), tolerance, LargestDifference(run.stream_mean_abs, reference.at("stream_mean_abs").values));
}

/// Mean over rows of KL(reference ‖ ours) and the share of rows with the same largest logit.
struct Agreement {
  double kl = 0, top1 = 0;
};

Agreement Compare(const std::vector<float>& ours, const Reference& reference) {
  const auto rows = static_cast<std::size_t>(reference.shape[0]), vocab = static_cast<std::size_t>(reference.shape[1]);
  Agreement total;
  for (std::size_t r = 0; r < rows; ++r) {
    const float *p = reference.values.data() + r * vocab, *q = ours.data() + r * vocab;
    double p_sum = 0, q_sum = 0;
    for (std::size_t i = 0; i < vocab; ++i) p_sum += std::exp(static_cast<double>(p[i])), q_sum += std::exp(static_cast<double>(q[i]));
    for (std::size_t i = 0; i < vocab; ++i) total.kl += std::exp(static_cast<double>(p[i])) / p_sum * ((p[i] - std::log(p_sum)) - (q[i] - std::log(q_sum)));
    total.top1 += std::max_element(p, p + vocab) - p == std::max_element(q, q + vocab) - q ? 1 : 0;
  }
  return {total.kl / static_cast<double>(rows), total.top1 / static_cast<double>(rows)};
}

TEST_P(GoldenCheckpoint, OfficialArithmeticIsWithinItsBounds) {
  const auto [name, isa] = GetParam();
  const nlohmann::json facts = Facts(name);
  const std::vector<std::int32_t> tokens = ReadTokens(CaseFolder(name) / "tokens.json");
  const auto reference = ReadReference(CaseFolder(name) / "reference.safetensors");
  Runner runner(CaseFolder(name), isa, 2, Arithmetic::kOfficial, static_cast<std::int64_t>(tokens.size()), static_cast<std::int64_t>(tokens.size()));
  const Outcome run = runner.Feed(tokens, {});
  for (const float logit : run.logits) ASSERT_TRUE(std::isfinite(logit));
  if (!facts.contains("official")) return;
  const Agreement logits = Compare(run.logits, reference.at("logits_official"));
  EXPECT_LE(logits.kl, facts["official"]["kl_max"].get<double>());
  EXPECT_GE(logits.top1, facts["official"]["top1_min"].get<double>());
  const Agreement drafts = Compare(run.mtp_logits, reference.at("mtp_logits_official"));
  std::printf("  %-13s %-9s official: KL %.5f (at most %.5f), top-1 %.3f (at least %.3f); drafts KL %.5f, top-1 %.3f\n", name.c_str(),
              std::string(hardware::IsaName(isa)).c_str(), logits.kl, facts["official"]["kl_max"].get<double>(), logits.top1,
              facts["official"]["top1_min"].get<double>(), drafts.kl, drafts.top1);
}

INSTANTIATE_TEST_SUITE_P(All, GoldenCheckpoint, testing::ValuesIn(AllCases()), CaseName);

/// Official arithmetic differs from exact by its quantised activations; fast by other ones for some weights and none for the rest. A route or an index
/// that falls the other way moves a single checkpoint, so all of them together are compared.
TEST(GoldenCheckpoints, FastArithmeticIsNoFurtherFromExactThanOfficial) {
  std::map<hardware::Isa, std::pair<double, double>> distances;  // official, fast: KL divergences added
  for (const auto& [name, isa] : AllCases()) {
    const std::vector<std::int32_t> tokens = ReadTokens(CaseFolder(name) / "tokens.json");
    const auto reference = ReadReference(CaseFolder(name) / "reference.safetensors");
    const auto distance = [&, folder = CaseFolder(name), set = isa](Arithmetic arithmetic) {
      Runner runner(folder, set, 2, arithmetic, static_cast<std::int64_t>(tokens.size()), static_cast<std::int64_t>(tokens.size()));
      return Compare(runner.Feed(tokens, {}).logits, reference.at("logits")).kl;
    };
    const double official = distance(Arithmetic::kOfficial), fast = distance(Arithmetic::kFast);
    std::printf("  %-13s %-9s from exact: official KL %.5f, fast KL %.5f\n", name.c_str(), std::string(hardware::IsaName(isa)).c_str(), official, fast);
    distances[isa].first += official;
    distances[isa].second += fast;
  }
  for (const auto& [isa, kl] : distances) EXPECT_LE(kl.second, kl.first) << hardware::IsaName(isa);
}

}  // namespace
}  // namespace baleen::golden
