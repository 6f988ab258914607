#include "checkpoint/shards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "checkpoint/temporary_folder.h"
#include "checkpoint/writer.h"

namespace baleen::checkpoint {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(ShardIndexTest, BrokenIndexesAreRefused) {
  const std::pair<std::string, const char*> files[] = {
      {"", "expected '{'"}, {"[]", "expected '{'"}, {"{}", "weight_map"}, {R"({"weight_map":{}})", "at least one tensor"},
      {R"({"weight_map":[]})", "expected '{'"},
      {R"({"weight_map":{"a":1}})", "a string"}, {R"({"weight_map":{"a":null}})", "a string"}, {R"({"weight_map":{"a":""}})", "inside the checkpoint folder"},
      {R"({"weight_map":{"a":"../x.safetensors"}})", "inside the checkpoint folder"}, {R"({"weight_map":{"a":"x/../../y"}})", "inside the checkpoint folder"},
      {R"({"weight_map":{"a":"/etc/passwd"}})", "inside the checkpoint folder"}, {R"({"weight_map":{"a":"x\u0000y"}})", "inside the checkpoint folder"},
      {R"({"weight_map":{"a":"folder/"}})", "inside the checkpoint folder"}, {R"({"weight_map":{"a":".."}})", "inside the checkpoint folder"},
      {R"({"weight_map":{"a":"x","a":"y"}})", "listed twice"}, {R"({"weight_map":{"a":"x"},"weight_map":{"b":"x"}})", "appears twice"},
      {R"({"weight_map":{"a":"x"}} 1)", "nothing more"}, {R"({"weight_map":{"a":"x"},})", "a string"}, {R"({"weight_map":{"a":"x"},"y":nil})", "a JSON value"},
      {"{\"y\":" + std::string(100000, '['), "fewer nested"}, {R"({"metadata":{},"metadata":{},"weight_map":{"a":"x"}})", "appears twice"},
  };
  for (const auto& [text, says] : files) {
    const auto index = ParseShardIndex(text);
    ASSERT_FALSE(index) << text.substr(0, 60);
    EXPECT_THAT(index.error().message, HasSubstr(says)) << text.substr(0, 60);
  }
}

TEST(ShardIndexTest, UnusualButHarmlessIndexesAreRead) {
  for (const char* text : {R"({"weight_map":{"a":"x"}})", R"({"weight_map":{"a":"sub/x"}})", R"({"metadata":null,"weight_map":{"a":"x"}})",
                           R"({"metadata":{"total_size":1.5e9,"y":[{"z":-1}]},"weight_map":{"a":"x"},"more":[true,false,null,"t"]})"}) {
    const auto index = ParseShardIndex(text);
    ASSERT_TRUE(index) << text << index.error().message;
    EXPECT_FALSE(index->total_bytes);
  }
  EXPECT_EQ(ParseShardIndex(R"({"metadata":{"total_size":7},"weight_map":{"a":"x"}})")->total_bytes, 7u);
}

class ShardFolder : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<NamedTensor> tensors = {Tensor("a"), Tensor("b"), Tensor("c")};
    ASSERT_TRUE(WriteShards(dir(), tensors, 4));
  }
  NamedTensor Tensor(const std::string& name) const { return {name, {tensor::DType::kU8, {4}, std::as_bytes(std::span(bytes_))}}; }
  const fs::path& dir() const { return folder_.path(); }
  fs::path File(int number) const { return dir() / ShardFileName(static_cast<std::size_t>(number), 3); }
  void Index(const std::string& map) const { std::ofstream(dir() / "model.safetensors.index.json") << R"({"weight_map":{)" << map << "}}"; }
  std::string Message() const {
    const auto opened = OpenShards(dir());
    return opened ? "" : opened.error().message;
  }

  TemporaryFolder folder_;
  const std::string bytes_ = "1234";
};

TEST_F(ShardFolder, AllThreeShardsOpen) {
  const auto opened = OpenShards(dir());
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->shards.size(), 3u);
  EXPECT_THAT(opened->odd, ElementsAre());
}

TEST_F(ShardFolder, MissingShardIsNamed) {
  fs::remove(File(2));
  EXPECT_THAT(Message(), HasSubstr("model-00002-of-00003.safetensors"));
}

TEST_F(ShardFolder, TruncatedShardIsNamed) {
  fs::resize_file(File(3), fs::file_size(File(3)) - 1);
  EXPECT_THAT(Message(), HasSubstr("model-00003-of-00003.safetensors"));
  fs::resize_file(File(3), 0);
  EXPECT_THAT(Message(), HasSubstr("at least 8 bytes"));
}

TEST_F(ShardFolder, ShardMayBeALinkButNotAFolderOrALoop) {
  TemporaryFolder elsewhere;
  fs::rename(File(2), elsewhere.path() / "blob");
  fs::create_symlink(elsewhere.path() / "blob", File(2));
  EXPECT_EQ(Message(), "");
  fs::remove(File(2));
  fs::create_symlink(File(2).filename(), File(2));
  EXPECT_NE(Message(), "");
  fs::remove(File(2));
  fs::create_directory(File(2));
  EXPECT_THAT(Message(), HasSubstr("regular file"));
}

TEST_F(ShardFolder, IndexAndFilesMustAgree) {
  const std::string first = '"' + ShardFileName(1, 3) + '"', second = '"' + ShardFileName(2, 3) + '"', third = '"' + ShardFileName(3, 3) + '"';
  Index("\"a\":" + first + ",\"b\":" + second + ",\"c\":" + third + ",\"d\":" + third);
  EXPECT_THAT(Message(), HasSubstr("'d'"));
  Index("\"a\":" + second + ",\"b\":" + second + ",\"c\":" + third);
  EXPECT_THAT(Message(), HasSubstr("'a'"));
  Index("\"a\":" + first + ",\"b\":" + second);
  EXPECT_EQ(Message(), "");
  ASSERT_TRUE(WriteSafetensors(File(2), {Tensor("b"), Tensor("a")}));
  EXPECT_THAT(Message(), HasSubstr("in two files"));
  ASSERT_TRUE(WriteSafetensors(File(2), {Tensor("b"), Tensor("x")}));
  EXPECT_THAT(OpenShards(dir())->odd, ElementsAre("x"));
}

TEST_F(ShardFolder, WrongTotalIsOddOnly) {
  std::ofstream(dir() / "model.safetensors.index.json") << R"({"metadata":{"total_size":9},"weight_map":{"a":")" << ShardFileName(1, 3) << "\"}}";
  const auto opened = OpenShards(dir());
  ASSERT_TRUE(opened);
  EXPECT_THAT(opened->odd, ElementsAre(HasSubstr("total_size is 9")));
}

TEST_F(ShardFolder, SingleFileStandsInForAnIndexWithoutShards) {
  ASSERT_TRUE(WriteSafetensors(dir() / "model.safetensors", {Tensor("whole")}));
  EXPECT_EQ(OpenShards(dir())->shards.size(), 3u);
  fs::remove(File(1));
  const auto opened = OpenShards(dir());
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->shards[0].header.tensors[0].name, "whole");
}

TEST_F(ShardFolder, WriterRefusesWhatCannotBeRead) {
  EXPECT_FALSE(WriteSafetensors(dir() / "x", {Tensor("a"), Tensor("a")}));
  NamedTensor wrong = Tensor("a");
  wrong.view.shape = {5};
  EXPECT_FALSE(WriteSafetensors(dir() / "x", {wrong}));
  EXPECT_FALSE(fs::exists(dir() / "x"));
  EXPECT_FALSE(WriteSafetensors(dir() / "no such folder" / "x", {Tensor("a")}));
}

}  // namespace
}  // namespace baleen::checkpoint
