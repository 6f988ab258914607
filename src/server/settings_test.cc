#include "server/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "server/binding.h"
#include "server/target.h"

namespace baleen::server {
namespace {

using testing::HasSubstr;
using testing::Not;

std::function<std::optional<std::string>(const std::string&)> Environment(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

std::string Message(const SettingTexts& flags, std::map<std::string, std::string> variables = {}) {
  const Result<ServerSettings> settings = ReadSettings(flags, Environment(std::move(variables)));
  return settings ? "fine" : settings.error().message;
}

TEST(Settings, LaterSourcesWin) {
  const std::string path = testing::TempDir() + "settings_test.json";
  std::ofstream(path) << R"({"port": 1, "host": "::1", "idle-time": 1.5, "max-body-bytes": 2048})";
  const Result<ServerSettings> settings = ReadSettings({{"port", "3"}}, Environment({{"BALEEN_CONFIG", path}, {"BALEEN_PORT", "2"}, {"BALEEN_MAX_BODY_BYTES", "4096"}}));
  ASSERT_TRUE(settings.has_value()) << settings.error().message;
  EXPECT_EQ(settings->port, 3);
  EXPECT_EQ(settings->host, "::1");
  EXPECT_EQ(settings->limits.idle_time.count(), 1500);
  EXPECT_EQ(settings->limits.body_bytes, 4096u);
  EXPECT_EQ(settings->limits.connections, 4096);
  std::remove(path.c_str());
}

TEST(Settings, NameTheirSource) {
  EXPECT_THAT(Message({{"port", "65536"}}), HasSubstr("--port: expected a whole number from 0 to 65535, found '65536'"));
  EXPECT_THAT(Message({}, {{"BALEEN_MAX_CONNECTIONS", "0"}}), HasSubstr("BALEEN_MAX_CONNECTIONS: expected"));
  ServerSettings settings;
  EXPECT_THAT(ApplyConfig(R"({"port": "x"})", "server.json", settings).error().message, HasSubstr("server.json: \"port\": expected"));
  EXPECT_THAT(ApplyConfig(R"({"porf": 1})", "server.json", settings).error().message, HasSubstr("server.json: \"porf\""));
  EXPECT_THAT(ApplyConfig(R"({"port": 1, "port": 2})", "server.json", settings).error().message, HasSubstr("server.json"));
  EXPECT_THAT(ApplyConfig(R"({"port": [1]})", "server.json", settings).error().message, HasSubstr("found an array"));
  EXPECT_THAT(ApplyConfig("[]", "server.json", settings).error().message, HasSubstr("expected an object"));
  EXPECT_THAT(ApplyConfig("{", "server.json", settings).error().message, HasSubstr("expected JSON"));
  EXPECT_THAT(Message({{"config", "/nonexistent/x.json"}}), HasSubstr("/nonexistent/x.json: expected a file that can be read, found: No such file"));
  EXPECT_THAT(Message({{"config", BALEEN_SOURCE_DIR}}), HasSubstr("found: Is a directory"));
  EXPECT_THAT(Message({{"tls-cert", "a.pem"}}), HasSubstr("tls-key"));
  EXPECT_EQ(Message({{"port", "65535"}, {"max-connections", "1"}, {"tls-cert", "a"}, {"tls-key", "b"}}), "fine");
}

TEST(Settings, HaveRanges) {
  for (const char* text : {"", " 1", "1 ", "-1", "1e3", "0x10", "99999999999999999999"}) {
    EXPECT_NE(Message({{"port", text}}), "fine") << text;
  }
  for (const char* text : {"0", "nan", "inf", "-1", "86401", "1s"}) EXPECT_NE(Message({{"write-time", text}}), "fine") << text;
  EXPECT_EQ(Message({{"write-time", "0.5"}}), "fine");
}

TEST(Settings, NeverShowTheKey) {
  const std::string secret = "sk-very secret";
  EXPECT_THAT(Message({{"api-key", secret}}), Not(HasSubstr("secret")));
  EXPECT_THAT(Message({}, {{"BALEEN_API_KEY", secret}}), HasSubstr("BALEEN_API_KEY: expected"));
  EXPECT_THAT(Message({}, {{"BALEEN_API_KEY", secret}}), Not(HasSubstr("secret")));
  ServerSettings settings;
  EXPECT_THAT(ApplyConfig(R"({"api-key": "sk-very secret"})", "c", settings).error().message, Not(HasSubstr("secret")));
  EXPECT_THAT(ApplyConfig(R"({"api-key": ["secret"]})", "c", settings).error().message, Not(HasSubstr("secret")));
}

TEST(Settings, HaveTimesOfARequest) {
  const Result<ServerSettings> usual = ReadSettings({}, Environment({}));
  EXPECT_EQ(usual->deadlines.queue, std::chrono::minutes(10));
  EXPECT_FALSE(usual->deadlines.first_token.has_value() || usual->deadlines.total.has_value());
  const Result<ServerSettings> settings = ReadSettings({{"queue-time", "1"}, {"first-token-time", "2"}, {"answer-time", "0.5"}}, Environment({{"BALEEN_STALL_TIME", "7"}}));
  ASSERT_TRUE(settings.has_value()) << settings.error().message;
  EXPECT_EQ(settings->deadlines.queue, std::chrono::seconds(1));
  EXPECT_EQ(settings->deadlines.first_token, std::chrono::seconds(2));
  EXPECT_EQ(settings->deadlines.total, std::chrono::milliseconds(500));
  EXPECT_EQ(settings->stall_time, std::chrono::seconds(7));
}

TEST(Settings, HandOnWhatIsTheEngines) {
  const Result<ServerSettings> settings = ReadSettings({}, Environment({{"BALEEN_KV_MEMORY", "8GiB"}, {"BALEEN_DRAFT", "off"}}));
  ASSERT_TRUE(settings.has_value()) << settings.error().message;
  EXPECT_EQ(settings->engine.size(), 2u);
  EXPECT_EQ(settings->engine.at("kv-memory").text, "8GiB");
  EXPECT_EQ(settings->engine.at("draft").source, "BALEEN_DRAFT");
}

TEST(Settings, CoverEveryName) {
  for (const SettingName& name : SettingNames()) {
    const bool is_text = name.value == "DIR" || name.value == "FILE" || name.value == "KEY" || name.value == "ADDRESS";
    ServerSettings settings;
    const std::string value = is_text ? "\"x\"" : "1048576";
    const Status applied = ApplyConfig("{\"" + std::string(name.name) + "\": " + value + "}", "c", settings);
    const bool fits = name.value != "PORT" && name.value != "SECONDS" && name.value != "COUNT";
    EXPECT_EQ(applied.has_value(), fits) << name.name;
  }
}

// Promise 1 of the server.
TEST(Binding, OtherMachinesNeedAKey) {
  for (const char* host : {"127.0.0.1", "127.8.9.10", "::1", "[::1]", "localhost", "LocalHost"}) EXPECT_TRUE(CheckBinding(host, false).has_value()) << host;
  for (const char* host : {"0.0.0.0", "::", "192.168.0.1", "example.org", "127.0.0.1.example.org", "localhost.", "", "::ffff:10.0.0.1"}) {
    EXPECT_FALSE(CheckBinding(host, false).has_value()) << host;
    EXPECT_TRUE(CheckBinding(host, true).has_value()) << host;
  }
  EXPECT_THAT(CheckBinding("0.0.0.0", false).error().message, HasSubstr("--api-key"));
}

TEST(Target, IsTakenApart) {
  const Result<Target> target = ReadTarget("https://Example.org:80/a%2Fb?c=%00#");
  EXPECT_FALSE(target.has_value());
  const Result<Target> absolute = ReadTarget("HTTP://h:1?x");
  ASSERT_TRUE(absolute.has_value());
  EXPECT_EQ(absolute->authority, "h:1");
  EXPECT_EQ(absolute->path, "/");
  EXPECT_EQ(absolute->query, "x");
  EXPECT_EQ(ReadTarget("/%41/..a/b..?/../")->path, "/A/..a/b..");
  for (const char* wrong : {"", "a", "http://", "http:///a", "http://u@h/", "/%", "/%g0", "/a/..", "/./b", "/%2e%2e/", "/\x7f", "ftp://h/"}) {
    EXPECT_FALSE(ReadTarget(wrong).has_value()) << wrong;
  }
}

}  // namespace
}  // namespace baleen::server
