#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "diagnostics/result.h"
#include "engine/request.h"
#include "server/binding.h"
#include "server/limits.h"

namespace baleen::server {

/// A value as it was given, and where: "--port", "BALEEN_PORT" or `server.json: "port"`.
struct GivenText {
  std::string text, source;
};

/// Everything `baleen serve` can be told.
struct ServerSettings {
  std::string model;    // folder; empty: the bundled one
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;
  std::string api_key;  // never shown
  std::string ledger;   // file; empty: none
  std::string cache_dir;  // empty: no cache on disk
  std::int64_t max_requests = 0;  // running and queued; 0: as ServiceLimits says
  std::string tls_certificate;
  std::string tls_key;
  std::chrono::milliseconds drain_time{30'000};
  std::chrono::milliseconds keep_alive_time{5'000};
  std::chrono::milliseconds stall_time{60'000};
  engine::Deadlines deadlines{.queue = std::chrono::minutes(10), .first_token = {}, .total = {}};
  ServerLimits limits;
  std::map<std::string, GivenText, std::less<>> engine;  // settings of the engine and the model, by name; the program reads and checks them

  Binding ToBinding() const { return {host, port, tls_certificate, tls_key}; }
};

/// A name as in the flag: "cache-dir". Value as given; what JSON has as a number or true arrives as its text.
using SettingTexts = std::map<std::string, std::string, std::less<>>;

/// The names of all settings, without "config": flags are "--" + name, environment variables "BALEEN_" + name in capitals with '_' for '-'.
/// help: one line for --help, with the default.
struct SettingName {
  std::string_view name;
  std::string_view value;  // "DIR", "SECONDS", …; empty: one of ServerSettings::engine
  std::string_view help;
};
std::span<const SettingName> SettingNames();

/// Reads the settings: the config file (named by the flag or the environment), then the environment, then the flags; a later source wins.
/// flags: those that were given. environment: looks up one variable; std::getenv in the program.
/// Errors: a value that cannot be read or is out of range, with its source (FILE: "port", BALEEN_PORT or --port) and never the key itself;
/// a config file that is missing, no JSON object, over 1 MiB, or has an unknown or repeated key.
Result<ServerSettings> ReadSettings(const SettingTexts& flags, const std::function<std::optional<std::string>(const std::string&)>& environment);

/// Applies the text of one config file. name: for messages. For ReadSettings and the fuzzer.
Status ApplyConfig(std::string_view json, std::string_view name, ServerSettings& settings);

}  // namespace baleen::server
