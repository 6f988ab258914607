#include "completion/model_names.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace baleen::completion {
namespace {

TEST(FindModel, KnowsServedIdsAndClaude) {
  const std::vector<std::string> served = {"plankton", "deepseek-flash", "deepseek-v4-pro"};
  EXPECT_EQ(*FindModel("deepseek-flash", served, ModelNames::kServedIds), "deepseek-flash");
  EXPECT_EQ(*FindModel("plankton", served, ModelNames::kClaudeToo), "plankton");
  EXPECT_EQ(*FindModel("claude-opus-4-7", served, ModelNames::kClaudeToo), "deepseek-v4-pro");
  EXPECT_EQ(*FindModel("claude-haiku-4-5", served, ModelNames::kClaudeToo), "deepseek-flash");
  EXPECT_EQ(*FindModel("claude-haiku-4-5", std::vector<std::string>{"plankton"}, ModelNames::kClaudeToo), "plankton");
}

TEST(FindModel, RefusesOthers) {
  const std::vector<std::string> served = {"plankton"};
  for (const char* name : {"gpt-9", "Plankton", "plankton ", "claude-opus-4-7"}) {
    const auto model = FindModel(name, served, ModelNames::kServedIds);
    ASSERT_FALSE(model) << name;
    EXPECT_EQ(model.error().status, 404);
    EXPECT_EQ(model.error().param, "model");
    EXPECT_EQ(model.error().code, "model_not_found");
  }
  EXPECT_EQ(FindModel("claude", served, ModelNames::kClaudeToo).error().status, 404);
  EXPECT_EQ(FindModel("", served, ModelNames::kClaudeToo).error().status, 400);
}

}  // namespace
}  // namespace baleen::completion
