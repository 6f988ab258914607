#include "server/web_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>

namespace baleen::server {
namespace {

TEST(WebFiles, HoldTheSourcesByteForByte) {
  for (const char* path : {"/index.html", "/app/main.js", "/style/theme.css", "/favicon.svg"}) {
    std::ifstream source(std::string(BALEEN_SOURCE_DIR "/src/server/web") + path, std::ios::binary);
    const std::string expected((std::istreambuf_iterator<char>(source)), {});
    const WebFile* file = FindWebFile(path);
    ASSERT_NE(file, nullptr) << path;
    ASSERT_FALSE(expected.empty()) << path;
    EXPECT_EQ(file->bytes, expected) << path;
  }
}

TEST(WebFiles, AreFoundByTheirPathOnly) {
  ASSERT_NE(FindWebFile("/"), nullptr);
  EXPECT_EQ(FindWebFile("/"), FindWebFile("/index.html"));
  for (const char* path : {"", "index.html", "/app", "/app/", "/app/../index.html", "/missing.js", "//index.html"}) {
    EXPECT_EQ(FindWebFile(path), nullptr) << path;
  }
}

TEST(WebFiles, AreDescribedSoThatABrowserTakesThem) {
  std::set<std::string_view> paths;
  for (const WebFile& file : WebFiles()) {
    EXPECT_TRUE(paths.insert(file.path).second) << file.path;
    EXPECT_FALSE(file.bytes.empty()) << file.path;
    EXPECT_THAT(file.etag, testing::MatchesRegex("\"[0-9a-f]{32}\"")) << file.path;
    if (file.gzip_bytes.empty()) continue;
    EXPECT_LT(file.gzip_bytes.size(), file.bytes.size()) << file.path;
    EXPECT_EQ(file.gzip_bytes.substr(0, 3), "\x1f\x8b\x08") << file.path;
  }
  EXPECT_EQ(FindWebFile("/lib/marked.js")->content_type, "text/javascript; charset=utf-8");
  EXPECT_EQ(FindWebFile("/lib/fonts/KaTeX_Main-Regular.woff2")->content_type, "font/woff2");
  EXPECT_FALSE(FindWebFile("/lib/highlight.js")->gzip_bytes.empty());
}

TEST(WebFiles, ThePolicyAllowsNothingInline) {
  std::string_view policy;
  for (const WebHeader& header : WebHeaders()) {
    if (header.name == "Content-Security-Policy") policy = header.value;
  }
  EXPECT_THAT(policy, testing::HasSubstr("default-src 'none'; script-src 'self'; style-src 'self';"));
  EXPECT_THAT(policy, testing::Not(testing::HasSubstr("unsafe")));
  EXPECT_THAT(FindWebFile("/")->bytes, testing::Not(testing::HasSubstr("http://")));
  EXPECT_THAT(FindWebFile("/")->bytes, testing::Not(testing::HasSubstr("https://")));
}

}  // namespace
}  // namespace baleen::server
