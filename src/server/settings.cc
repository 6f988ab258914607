#include "server/settings.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "text/json_python.h"

namespace baleen::server {
namespace {

using std::chrono::milliseconds;
using text::JsonValue;

constexpr std::size_t kConfigBytes = 1 << 20;

constexpr SettingName kNames[] = {
    {"model", "DIR", "the folder of the model (the bundled one)"},
    {"host", "ADDRESS", "the address to listen on (127.0.0.1); another than loopback needs a key"},
    {"port", "PORT", "the port to listen on, 0 picks one (8080)"},
    {"api-key", "KEY", "the key that clients must send; better in the environment than in a flag"},
    {"ledger", "FILE", "keys and usage, see baleen keys (none)"},
    {"cache-dir", "DIR", "where prompts stay cached on disk (none)"},
    {"max-requests", "COUNT", "requests running and waiting (256)"},
    {"tls-cert", "FILE", "certificate chain, PEM (none: plain HTTP)"},
    {"tls-key", "FILE", "key of the certificate, PEM"},
    {"drain-time", "SECONDS", "what runs may take that long after SIGTERM (30)"},
    {"max-connections", "COUNT", "connections at once (4096)"},
    {"max-header-bytes", "BYTES", "of a request's header (16384)"},
    {"max-body-bytes", "BYTES", "of a request's body (50331648)"},
    {"max-bodies-bytes", "BYTES", "of all bodies being received (536870912)"},
    {"header-time", "SECONDS", "for a request's header and the TLS handshake (10)"},
    {"body-time", "SECONDS", "for a request's body (120)"},
    {"write-time", "SECONDS", "for a client to take what is written (30)"},
    {"idle-time", "SECONDS", "between the requests of a connection (60)"},
    {"queue-time", "SECONDS", "a request may wait for its first step that long (600)"},
    {"first-token-time", "SECONDS", "and for its first token (no limit)"},
    {"answer-time", "SECONDS", "and for its whole answer (no limit)"},
    {"keep-alive-time", "SECONDS", "of silence before a waiting client gets a sign of life (5)"},
    {"stall-time", "SECONDS", "without a sign of the engine before /health says so (60)"},
    {"parallel", "", ""},
    {"context", "", ""},
    {"step-rows", "", ""},
    {"kv-memory", "", ""},
    {"cache-bytes", "", ""},
    {"draft", "", ""},
    {"tenant-quota", "", ""},
    {"arithmetic", "", ""},
    {"threads", "", ""},
    {"encoding", "", ""},
    {"prices", "", ""},
};

// One value and where it comes from.
struct Given {
  std::string_view name;
  const std::string& text;
  std::string source;  // as in GivenText
};

diagnostics::Error Wrong(const Given& given, const std::string& expected) {
  const bool secret = given.name == "api-key";
  return diagnostics::InvalidInput(given.source + ": expected " + expected + ", found " + (secret ? "something else" : "'" + diagnostics::Quoted(given.text) + "'") +
                                   "; correct it");
}

Result<std::int64_t> Whole(const Given& given, std::int64_t least, std::int64_t most) {
  std::int64_t value = 0;
  const char* end = given.text.data() + given.text.size();
  const auto [stop, fault] = std::from_chars(given.text.data(), end, value);
  if (fault != std::errc() || stop != end || value < least || value > most) {
    return Wrong(given, "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return value;
}

Status Bytes(const Given& given, std::int64_t least, std::int64_t most, std::size_t& to) {
  TRY_ASSIGN(const std::int64_t value, Whole(given, least, most));
  to = static_cast<std::size_t>(value);
  return {};
}

// 0.01 to 86,400 seconds.
Status Seconds(const Given& given, milliseconds& to) {
  double value = 0;
  const char* end = given.text.data() + given.text.size();
  const auto [stop, fault] = std::from_chars(given.text.data(), end, value);
  if (fault != std::errc() || stop != end || !(value >= 0.01 && value <= 86400)) return Wrong(given, "seconds from 0.01 to 86400");
  to = milliseconds(static_cast<std::int64_t>(std::llround(value * 1000)));
  return {};
}

Status Deadline(const Given& given, std::optional<engine::Clock::duration>& to) {
  milliseconds time{};
  TRY(Seconds(given, time));
  to = time;
  return {};
}

// No empty text, no NUL, no line end; for the key only what an HTTP field can carry.
Status Text(const Given& given, std::string& to) {
  const bool key = given.name == "api-key";
  const bool fits = !given.text.empty() && given.text.size() <= 4096 && std::ranges::none_of(given.text, [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F || (key && (byte == ' ' || byte >= 0x80));
  });
  if (!fits) return Wrong(given, key ? "1 to 4096 printable ASCII characters without a blank" : "1 to 4096 bytes without a control character");
  to = given.text;
  return {};
}

Status ApplyLimit(const Given& given, ServerLimits& limits) {
  const std::string_view name = given.name;
  if (name == "max-connections") {
    TRY_ASSIGN(limits.connections, Whole(given, 1, 1'000'000));
    return {};
  }
  if (name == "max-header-bytes") return Bytes(given, 1024, 1 << 20, limits.header_bytes);
  if (name == "max-body-bytes") return Bytes(given, 1024, std::int64_t{1} << 32, limits.body_bytes);
  if (name == "max-bodies-bytes") return Bytes(given, 1 << 20, std::int64_t{1} << 40, limits.all_bodies_bytes);
  if (name == "header-time") return Seconds(given, limits.header_time);
  if (name == "body-time") return Seconds(given, limits.body_time);
  if (name == "write-time") return Seconds(given, limits.write_time);
  return Seconds(given, limits.idle_time);
}

// Nothing if it is another setting.
std::optional<Status> ApplyTime(const Given& given, ServerSettings& settings) {
  const std::string_view name = given.name;
  if (name == "drain-time") return Seconds(given, settings.drain_time);
  if (name == "keep-alive-time") return Seconds(given, settings.keep_alive_time);
  if (name == "stall-time") return Seconds(given, settings.stall_time);
  if (name == "queue-time") return Deadline(given, settings.deadlines.queue);
  if (name == "first-token-time") return Deadline(given, settings.deadlines.first_token);
  if (name == "answer-time") return Deadline(given, settings.deadlines.total);
  return std::nullopt;
}

// `known` is one of kNames, and the name of `given`.
Status Apply(const SettingName& known, const Given& given, ServerSettings& settings) {
  const std::string_view name = given.name;
  if (known.value.empty()) {
    std::string text;
    TRY(Text(given, text));
    settings.engine[std::string(name)] = {std::move(text), given.source};
    return {};
  }
  if (std::optional<Status> applied = ApplyTime(given, settings)) return *std::move(applied);
  if (name == "model") return Text(given, settings.model);
  if (name == "host") return Text(given, settings.host);
  if (name == "api-key") return Text(given, settings.api_key);
  if (name == "ledger") return Text(given, settings.ledger);
  if (name == "cache-dir") return Text(given, settings.cache_dir);
  if (name == "tls-cert") return Text(given, settings.tls_certificate);
  if (name == "tls-key") return Text(given, settings.tls_key);
  if (name == "max-requests") {
    TRY_ASSIGN(settings.max_requests, Whole(given, 1, 1'000'000));
    return {};
  }
  if (name == "port") {
    TRY_ASSIGN(const std::int64_t port, Whole(given, 0, 65535));
    settings.port = static_cast<std::uint16_t>(port);
    return {};
  }
  return ApplyLimit(given, settings.limits);
}

std::string EnvironmentName(std::string_view name) {
  std::string out = "BALEEN_";
  for (const char c : name) out += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

Result<std::string> ReadConfigFile(const std::string& path) {
  const auto expected = [&] {
    return "the config file " + diagnostics::Quoted(path, 200) + ": expected a file that can be read, found: " + std::strerror(errno) + "; correct --config";
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) return errno == ENOENT ? diagnostics::NotFound(expected()) : diagnostics::ResourceError(expected());
  std::string text(kConfigBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return diagnostics::ResourceError(expected());
  return text;
}

// The text of a string or number; nothing for what no setting can be.
std::optional<std::string> TextOf(const JsonValue& value) {
  if (const std::string* text = value.AsString()) return *text;
  if (const auto* whole = std::get_if<text::JsonInteger>(&value.value)) return whole->digits;
  if (const double* real = std::get_if<double>(&value.value)) return text::WritePythonFloat(*real);
  return std::nullopt;
}

Status CheckTls(const ServerSettings& settings) {
  if (settings.tls_certificate.empty() == settings.tls_key.empty()) return {};
  return diagnostics::InvalidInput("tls-cert and tls-key: expected both or neither, found one; give the other one as well");
}

}  // namespace

std::span<const SettingName> SettingNames() { return kNames; }

Status ApplyConfig(std::string_view json, std::string_view name, ServerSettings& settings) {
  const std::string file = diagnostics::Quoted(name, 200);
  if (json.size() > kConfigBytes) return diagnostics::InvalidInput(file + ": expected at most 1 MiB, found more; give the config file of the server");
  const Result<JsonValue> value = text::ParseJson(json, text::RepeatedKeys::kRefused);
  if (!value) return diagnostics::InvalidInput(file + ": expected JSON: " + value.error().message + "; correct it");
  const text::JsonObject* members = value->AsObject();
  if (members == nullptr) return diagnostics::InvalidInput(file + ": expected an object as in {\"port\": 8080}, found " + std::string(value->Kind()) + "; correct it");
  for (const auto& [key, member] : *members) {
    const auto* known = std::ranges::find(kNames, std::string_view(key), &SettingName::name);
    const std::string source = file + ": \"" + diagnostics::Quoted(key) + "\"";
    if (known == std::end(kNames)) return diagnostics::InvalidInput(source + ": expected the name of a setting as in baleen serve --help, found another; remove it");
    const std::optional<std::string> text = TextOf(member);
    if (!text) return diagnostics::InvalidInput(source + ": expected a string or a number, found " + std::string(member.Kind()) + "; correct it");
    TRY(Apply(*known, {known->name, *text, source}, settings));
  }
  return {};
}

Result<ServerSettings> ReadSettings(const SettingTexts& flags, const std::function<std::optional<std::string>(const std::string&)>& environment) {
  ServerSettings settings;
  const auto config_flag = flags.find("config");
  const std::optional<std::string> config = config_flag != flags.end() ? std::optional(config_flag->second) : environment("BALEEN_CONFIG");
  if (config) {
    TRY_ASSIGN(const std::string json, ReadConfigFile(*config));
    TRY(ApplyConfig(json, *config, settings));
  }
  for (const SettingName& setting : kNames) {
    const std::string variable = EnvironmentName(setting.name);
    if (const std::optional<std::string> text = environment(variable)) TRY(Apply(setting, {setting.name, *text, variable}, settings));
  }
  for (const auto& [name, text] : flags) {
    if (name == "config") continue;
    const auto* known = std::ranges::find(kNames, std::string_view(name), &SettingName::name);
    if (known == std::end(kNames)) return diagnostics::InvalidInput("--" + diagnostics::Quoted(name) + ": expected a flag of baleen serve; see --help");
    TRY(Apply(*known, {known->name, text, "--" + name}, settings));
  }
  TRY(CheckTls(settings));
  return settings;
}

}  // namespace baleen::server
