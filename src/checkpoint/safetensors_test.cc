#include "checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>

#include "checkpoint/writer.h"

namespace baleen::checkpoint {
namespace {

using testing::HasSubstr;

/// A file of this header and so many zero data bytes.
std::string File(const std::string& json, std::size_t data_bytes, std::optional<std::uint64_t> length = std::nullopt) {
  const std::uint64_t stated = length.value_or(json.size());
  std::string file(8, '\0');
  std::memcpy(file.data(), &stated, 8);
  return file + json + std::string(data_bytes, '\0');
}

Result<SafetensorsHeader> Parse(const std::string& file) { return ParseSafetensors(std::as_bytes(std::span(file))); }

struct Case {
  const char* what;
  std::string file;
  const char* says;
};

const Case kMalformed[] = {
    {"empty file", "", "at least 8 bytes"},
    {"seven bytes", "1234567", "at least 8 bytes"},
    {"header length 0", File("", 0), "begins with '{'"},
    {"header length past the file", File("{}", 0, 3), "truncated"},
    {"header length 2^63", File("{}", 0, std::uint64_t{1} << 63), "at most 100000000 bytes"},
    {"header length 2^64-1", File("{}", 0, ~std::uint64_t{0}), "at most 100000000 bytes"},
    {"header just over the limit", File("{}", 0, 100'000'001), "at most 100000000 bytes"},
    {"not JSON", File("hello", 0), "begins with '{'"},
    {"an array", File("[]", 0), "begins with '{'"},
    {"leading space", File(" {}", 0), "begins with '{'"},
    {"unterminated", File("{", 0), "unexpected JSON"},
    {"unterminated string", File("{\"a", 0), "unexpected JSON"},
    {"trailing comma", File(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},})", 1), "unexpected JSON"},
    {"text after the object", File("{} {}", 0), "expected nothing more"},
    {"NUL padding", File(std::string("{}\0\0", 4), 0), "expected nothing more"},
    {"control character in a name", File("{\"a\nb\":{}}", 0), "control character"},
    {"invalid UTF-8 in a name", File("{\"\xC3(\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1), "UTF-8"},
    {"lone surrogate", File(R"({"\ud800":{}})", 0), "surrogate"},
    {"tensor is a number", File(R"({"a":1})", 0), "tensor 'a': unexpected JSON: expected '{'"},
    {"tensor is empty", File(R"({"a":{}})", 0), "unexpected JSON"},
    {"no dtype", File(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1), "found fewer"},
    {"no shape", File(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1), "found fewer"},
    {"no offsets", File(R"({"a":{"dtype":"U8","shape":[1]}})", 1), "found fewer"},
    {"dtype twice", File(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1), "twice"},
    {"unknown key", File(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", 1), "found 'x'"},
    {"unknown dtype", File(R"({"a":{"dtype":"F7","shape":[1],"data_offsets":[0,1]}})", 1), "found 'F7'"},
    {"dtype is a number", File(R"({"a":{"dtype":7,"shape":[1],"data_offsets":[0,1]}})", 1), "a string"},
    {"negative extent", File(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1), "a whole number"},
    {"fraction extent", File(R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", 1), "a whole number"},
    {"exponent extent", File(R"({"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}})", 1), "a whole number"},
    {"extent of text", File(R"({"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}})", 1), "a whole number"},
    {"extent 2^63", File(R"({"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1]}})", 1), "below 2^63"},
    {"extent past 2^64", File(R"({"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,1]}})", 1), "below 2^64"},
    {"leading zero", File(R"({"a":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}})", 1), "leading zeros"},
    {"product overflow", File(R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,1]}})", 1), "2^64 elements"},
    {"bits overflow", File(R"({"a":{"dtype":"F64","shape":[4294967296,1073741824],"data_offsets":[0,1]}})", 1), "2^63 bits"},
    {"half a byte", File(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}})", 1), "whole bytes"},
    {"seventeen dimensions", File(R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})", 1), "at most 16 dimensions"},
    {"one offset", File(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", 1), "expected ','"},
    {"three offsets", File(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", 1), "expected ']'"},
    {"negative offset", File(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}})", 1), "a whole number"},
    {"end before begin", File(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1), "an end after its begin"},
    {"past the file", File(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 1), "past the file"},
    {"far past the file", File(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551614,18446744073709551615]}})", 1), "past the file"},
    {"too few bytes for the shape", File(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4), "expected 8 bytes"},
    {"too many bytes for the shape", File(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,4]}})", 4), "expected 2 bytes"},
    {"hole at the front", File(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2), "hole"},
    {"bytes left over", File(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 2), "the file holds 2"},
    {"overlap", File(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", 3), "overlaps"},
    {"same bytes twice", File(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1), "overlaps"},
    {"hole between", File(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})", 3), "hole"},
    {"name twice", File(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2), "appears twice"},
    {"name twice, once escaped", File(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
        2), "twice"},
    {"empty name", File(R"({"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1), "empty name"},
    {"metadata twice", File(R"({"__metadata__":{},"__metadata__":{}})", 0), "__metadata__ twice"},
    {"metadata of numbers", File(R"({"__metadata__":{"a":1}})", 0), "a string"},
    {"deep nesting", File("{\"a\":" + std::string(200000, '['), 0), "expected '{'"},
};

TEST(SafetensorsTest, MalformedFilesAreRefusedWithAReason) {
  for (const Case& c : kMalformed) {
    const auto parsed = Parse(c.file);
    ASSERT_FALSE(parsed) << c.what;
    EXPECT_THAT(parsed.error().message, HasSubstr(c.says)) << c.what;
  }
}

TEST(SafetensorsTest, OddButValidFilesAreRead) {
  EXPECT_TRUE(Parse(File("{}", 0)));
  EXPECT_TRUE(Parse(File("{}      ", 0)));
  EXPECT_TRUE(Parse(File(R"({"__metadata__":{"format":"pt"}})", 0)));
  EXPECT_TRUE(Parse(File("{ \"a\" : { \"shape\" : [ ] ,\t\"data_offsets\":[0 , 4],\n\"dtype\":\"F32\" } }", 4)));
  EXPECT_TRUE(Parse(File(R"({"z":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1)));
  EXPECT_TRUE(Parse(File(R"({"z":{"dtype":"F32","shape":[9223372036854775807,0],"data_offsets":[1,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
      1)));
  const auto fp4 = Parse(File(R"({"w":{"dtype":"F4","shape":[2,6],"data_offsets":[0,6]}})", 6));
  ASSERT_TRUE(fp4);
  EXPECT_EQ(fp4->tensors[0].shape, (std::vector<std::int64_t>{2, 6}));
}

TEST(SafetensorsTest, MillionTensorsAreRead) {
  std::string json = "{";
  for (int i = 0; i < 1'000'000; ++i) json += (i == 0 ? "\"" : ",\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  const auto parsed = Parse(File(json + "}", 0));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->tensors.size(), 1'000'000u);
}

RC_GTEST_PROP(SafetensorsTest, EveryCutOfAFileIsRefused, ()) {
  const std::string whole = File(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[2,8]}})", 8);
  const auto length = *rc::gen::inRange<std::size_t>(0, whole.size());
  RC_ASSERT(!Parse(whole.substr(0, length)));
}

RC_GTEST_PROP(SafetensorsTest, LaidOutTensorsAreReadBack, ()) {
  const auto extents = *rc::gen::container<std::vector<std::uint8_t>>(rc::gen::inRange<std::uint8_t>(0, 5));
  std::vector<StoredTensor> tensors;
  for (std::size_t i = 0; i < extents.size(); ++i) tensors.push_back({"t\"\\" + std::to_string(i), tensor::DType::kBF16, {extents[i], 3}});
  const auto header = LayOut(tensors);
  RC_ASSERT(header.has_value());
  RC_ASSERT(header->size() % 8 == 0u);
  const auto parsed = Parse(*header + std::string(tensors.empty() ? 0 : tensors.back().end - header->size(), '\0'));
  RC_ASSERT(parsed.has_value());
  for (const StoredTensor& wanted : tensors) {
    const auto found = std::find_if(parsed->tensors.begin(), parsed->tensors.end(), [&](const StoredTensor& t) { return t.name == wanted.name; });
    RC_ASSERT(found != parsed->tensors.end());
    RC_ASSERT(found->begin == wanted.begin && found->end == wanted.end && found->shape == wanted.shape);
  }
}

}  // namespace
}  // namespace baleen::checkpoint
