#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "diagnostics/result.h"

namespace baleen::checkpoint {

/// Parses a configuration file: an object of bounded size and depth without duplicate keys.
Result<nlohmann::json> ParseConfigObject(std::string_view text);

/// Takes checked values out of a configuration object. The first fault is kept and everything later returns defaults, so that a
/// reader states its keys one per line and asks once at the end.
class ConfigReader {
 public:
  /// `hub_keys` chooses between the two names of every key: Hugging Face's or the inference file's (§1.1).
  ConfigReader(const nlohmann::json& object, bool hub_keys) : object_(object), hub_keys_(hub_keys) {}

  /// The key in use of the pair; an empty name means that this kind of file has no such key.
  std::string_view Name(std::string_view hub, std::string_view inference) const { return hub_keys_ ? hub : inference; }
  bool hub_keys() const { return hub_keys_; }
  bool Has(std::string_view key) const;  // present and not null
  const nlohmann::json* Find(std::string_view key) const;

  std::int64_t Integer(std::string_view key, std::int64_t low, std::int64_t high);
  std::int64_t IntegerOr(std::string_view key, std::int64_t absent, std::int64_t low, std::int64_t high);
  double Number(std::string_view key, double low, double high);
  double NumberOr(std::string_view key, double absent, double low, double high);
  std::vector<std::int64_t> Integers(std::string_view key, std::int64_t low, std::int64_t high, std::size_t longest);
  std::vector<std::string> Strings(std::string_view key, std::size_t longest);

  /// Present values must equal the only one this program supports.
  void OnlyText(std::string_view key, std::string_view supported);
  void OnlyBool(std::string_view key, bool supported);
  void OnlyInteger(std::string_view key, std::int64_t supported);

  void Fail(diagnostics::Error error);
  void Wrong(std::string_view key, std::string_view expected);  // "key: expected …, found <the value>"
  bool ok() const { return !failed_; }
  Status Outcome() const;

 private:
  std::int64_t OneInteger(std::string_view key, const nlohmann::json& value, std::int64_t low, std::int64_t high);

  const nlohmann::json& object_;
  bool hub_keys_;
  bool failed_ = false;
  diagnostics::Error error_;
};

}  // namespace baleen::checkpoint
