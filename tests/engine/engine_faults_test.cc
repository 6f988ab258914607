// What goes wrong with one request, or with memory, is that request's own affair.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <nlohmann/json.hpp>

#include "checkpoint/temporary_folder.h"
#include "engine/fixture.h"

#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // the pair below is one allocator

namespace {

thread_local long allocations_until_failure = -1;  // -1: none fails

}  // namespace

// Every allocation of this program comes through here, so that a test can make the n-th one fail.
void* operator new(std::size_t bytes) {
  if (allocations_until_failure >= 0 && allocations_until_failure-- == 0) throw std::bad_alloc();
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace baleen::engine {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::int32_t kPoisoned = 777;

/// The bundled model with an embedding that is not a number for one token.
void CopyWithPoison(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(Plankton())) {
    if (entry.is_regular_file()) fs::copy_file(entry.path(), folder / entry.path().filename());
  }
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    std::uint64_t header_bytes = 0;
    file.read(reinterpret_cast<char*>(&header_bytes), 8);
    std::string header(header_bytes, ' ');
    file.read(header.data(), static_cast<std::streamsize>(header_bytes));
    const auto json = nlohmann::json::parse(header);
    if (!json.contains("embed.weight")) continue;
    ASSERT_EQ(json["embed.weight"]["dtype"], "BF16");
    const auto width = json["embed.weight"]["shape"][1].get<std::uint64_t>(), begin = json["embed.weight"]["data_offsets"][0].get<std::uint64_t>();
    file.seekp(static_cast<std::streamoff>(8 + header_bytes + begin + kPoisoned * width * 2));
    const std::uint16_t not_a_number = 0x7fc0;
    file.write(reinterpret_cast<const char*>(&not_a_number), 2);
    return;
  }
  FAIL() << "no embed.weight";
}

TEST(EngineFaults, LogitsThatAreNoNumbersFailTheirRequestAlone) {
  const checkpoint::TemporaryFolder folder;
  CopyWithPoison(folder.path());
  for (const std::int64_t drafts : {0, 2}) {
    Options options;
    options.draft_tokens = drafts;
    Machine sound = Start(options), machine = Start(options, 2, hardware::BestIsa(), folder.path());
    const std::vector<std::vector<std::int32_t>> prompts = {Ids(20, 1), Ids(300, 2), Ids(7, 3)};
    std::vector<std::vector<std::int32_t>> all = prompts;
    for (auto& prompt : all) std::replace(prompt.begin(), prompt.end(), kPoisoned, kPoisoned + 1);
    std::vector<std::vector<std::int32_t>> with_poison = all;
    with_poison.insert(with_poison.begin() + 1, {5, 9, kPoisoned});
    with_poison.push_back(Ids(200, 4));
    with_poison.back().back() = kPoisoned;
    const std::vector<Answer> expected = AnswersTo(sound, all, 20, {.temperature = 0});
    const std::vector<Answer> found = AnswersTo(machine, with_poison, 20, {.temperature = 0});
    for (const std::size_t poisoned : {1u, 4u}) {
      EXPECT_EQ(found[poisoned].ending.finish, Finish::kFailed) << poisoned;
      ASSERT_TRUE(found[poisoned].ending.error.has_value());
      EXPECT_THAT(found[poisoned].ending.error->message, HasSubstr("not a finite number"));
      EXPECT_TRUE(found[poisoned].tokens.empty());
    }
    EXPECT_TRUE(found[0].SameAs(expected[0]));
    EXPECT_TRUE(found[2].SameAs(expected[1]));
    EXPECT_TRUE(found[3].SameAs(expected[2]));
    machine.engine->Shutdown();
    EXPECT_EQ(machine.engine->statistics().used_blocks, 0);
  }
}

/// Runs two requests, the n-th allocation of the engine's thread failing. false: fewer than n were made.
bool RunWithFailure(long n, const std::vector<Answer>& expected) {
  Machine machine = Start({});
  std::vector<Answer> answers(2);
  EXPECT_TRUE(machine.engine->Submit(Asking(Ids(140, 1), 5, answers[0])).has_value());
  EXPECT_TRUE(machine.engine->Submit(Asking(Ids(9, 2), 5, answers[1])).has_value());
  allocations_until_failure = n;
  for (int step = 0; step < 200; ++step) {
    if (!machine.engine->Step()) break;
  }
  const bool failed = allocations_until_failure < 0;
  allocations_until_failure = -1;
  machine.Drain();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].ends, 1) << "allocation " << n;
    if (answers[i].ending.finish != Finish::kFailed) {
      EXPECT_TRUE(answers[i].SameAs(expected[i])) << "allocation " << n;
    }
  }
  Answer after;
  EXPECT_TRUE(machine.engine->Submit(Asking(Ids(9, 2), 5, after)).has_value());
  machine.Drain();
  EXPECT_TRUE(after.SameAs(expected[1])) << "the engine goes on after allocation " << n;
  machine.engine->Shutdown();
  EXPECT_EQ(machine.engine->statistics().used_blocks, 0) << "allocation " << n;
  return failed;
}

TEST(EngineFaults, AnAllocationThatFailsEndsOneRequestAtMost) {
  Machine machine = Start({});
  const std::vector<Answer> expected = {AnswersTo(machine, {Ids(140, 1)}, 5, {.temperature = 0}).front(), AnswersTo(machine, {Ids(9, 2)}, 5, {.temperature = 0}).front()};
  long n = 0;
  while (n < 2000 && RunWithFailure(n, expected) && !testing::Test::HasFailure()) ++n;
  EXPECT_GT(n, 20) << "allocations of two requests";
  EXPECT_LT(n, 2000);
}

}  // namespace
}  // namespace baleen::engine
