#include "checkpoint/config_reader.h"

#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

namespace baleen::checkpoint {
namespace {

using diagnostics::InvalidInput;
using diagnostics::Quoted;
using nlohmann::json;

constexpr std::size_t kLimitBytes = 4u << 20;
constexpr std::size_t kLimitDepth = 16;

/// A value for a message: scalars as written, containers by kind (their text could be long).
std::string ValueText(const json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list of " + std::to_string(value.size());
  if (value.is_string()) return "'" + Quoted(value.get_ref<const std::string&>()) + "'";
  return value.dump();
}

std::string NumberText(double number) { return json(number).dump(); }

/// Watches a parse for what nlohmann accepts and this program does not.
class Watch {
 public:
  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    const auto level = static_cast<std::size_t>(depth);
    if (level > kLimitDepth) too_deep = true;
    if (event == json::parse_event_t::object_start) keys_.resize(std::max(keys_.size(), level + 2));
    if (event == json::parse_event_t::object_start) keys_[level + 1].clear();
    if (event == json::parse_event_t::key && level < keys_.size() && !keys_[level].insert(parsed.get<std::string>()).second && duplicate.empty()) {
      duplicate = parsed.get<std::string>();
    }
    return !too_deep;
  }
  bool too_deep = false;
  std::string duplicate;

 private:
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

Result<json> ParseConfigObject(std::string_view text) {
  if (text.size() > kLimitBytes) return InvalidInput("expected at most " + std::to_string(kLimitBytes) + " bytes, found " + std::to_string(text.size()));
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {  // where the parser would end without a word
    return InvalidInput("not valid JSON: found a NUL byte at byte " + std::to_string(nul));
  }
  Watch watch;
  json parsed;
  try {
    parsed = json::parse(text, [&](int depth, json::parse_event_t event, json& value) { return watch(depth, event, value); });
  } catch (const json::exception& error) {
    if (!watch.too_deep) return InvalidInput("not valid JSON: " + Quoted(error.what(), 200));
  }
  if (watch.too_deep) return InvalidInput("expected at most " + std::to_string(kLimitDepth) + " nested objects and lists, found more");
  if (!watch.duplicate.empty()) return InvalidInput("the key '" + Quoted(watch.duplicate) + "' appears twice");
  if (!parsed.is_object()) return InvalidInput("expected a JSON object, found " + ValueText(parsed));
  return parsed;
}

const json* ConfigReader::Find(std::string_view key) const {
  if (key.empty()) return nullptr;
  const auto it = object_.find(key);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

bool ConfigReader::Has(std::string_view key) const { return Find(key) != nullptr; }

void ConfigReader::Fail(diagnostics::Error error) {
  if (failed_) return;
  failed_ = true;
  error_ = std::move(error);
}

void ConfigReader::Wrong(std::string_view key, std::string_view expected) {
  const json* value = Find(key);
  Fail(InvalidInput(std::string(key) + ": expected " + std::string(expected) + ", found " + (value == nullptr ? "no such key" : ValueText(*value))));
}

std::int64_t ConfigReader::OneInteger(std::string_view key, const json& value, std::int64_t low, std::int64_t high) {
  const bool fits = value.is_number_integer() && !(value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX);
  const std::int64_t number = fits ? value.get<std::int64_t>() : 0;
  if (fits && number >= low && number <= high) return number;
  Fail(InvalidInput(std::string(key) + ": expected a whole number from " + std::to_string(low) + " to " + std::to_string(high) + ", found " +
      ValueText(value)));
  return low;
}

std::int64_t ConfigReader::Integer(std::string_view key, std::int64_t low, std::int64_t high) {
  const json* value = Find(key);
  if (value != nullptr) return OneInteger(key, *value, low, high);
  Fail(InvalidInput("expected the key '" + std::string(key) + "' (a whole number from " + std::to_string(low) + " to " + std::to_string(high) +
      "), found none"));
  return low;
}

std::int64_t ConfigReader::IntegerOr(std::string_view key, std::int64_t absent, std::int64_t low, std::int64_t high) {
  return Has(key) ? Integer(key, low, high) : absent;
}

double ConfigReader::Number(std::string_view key, double low, double high) {
  const json* value = Find(key);
  if (value != nullptr && value->is_number()) {
    const double number = value->get<double>();
    if (std::isfinite(number) && number >= low && number <= high) return number;
  }
  Wrong(key, "a number from " + NumberText(low) + " to " + NumberText(high));
  return low;
}

double ConfigReader::NumberOr(std::string_view key, double absent, double low, double high) { return Has(key) ? Number(key, low, high) : absent; }

std::vector<std::int64_t> ConfigReader::Integers(std::string_view key, std::int64_t low, std::int64_t high, std::size_t longest) {
  std::vector<std::int64_t> out;
  const json* value = Find(key);
  if (value == nullptr || !value->is_array() || value->size() > longest) {
    Wrong(key, "a list of at most " + std::to_string(longest) + " whole numbers");
    return out;
  }
  for (const json& item : *value) out.push_back(OneInteger(key, item, low, high));
  return out;
}

std::vector<std::string> ConfigReader::Strings(std::string_view key, std::size_t longest) {
  std::vector<std::string> out;
  const json* value = Find(key);
  bool right = value != nullptr && value->is_array() && value->size() <= longest;
  if (right) {
    for (const json& item : *value) {
      right = right && item.is_string();
      if (right) out.push_back(item.get<std::string>());
    }
  }
  if (!right) Wrong(key, "a list of at most " + std::to_string(longest) + " names");
  return out;
}

void ConfigReader::OnlyText(std::string_view key, std::string_view supported) {
  const json* value = Find(key);
  if (value == nullptr || (value->is_string() && value->get_ref<const std::string&>() == supported)) return;
  Fail(diagnostics::Unsupported(std::string(key) + ": only '" + std::string(supported) + "' is supported, found " + ValueText(*value)));
}

void ConfigReader::OnlyBool(std::string_view key, bool supported) {
  const json* value = Find(key);
  if (value == nullptr || (value->is_boolean() && value->get<bool>() == supported)) return;
  Fail(diagnostics::Unsupported(std::string(key) + ": only " + (supported ? "true" : "false") + " is supported, found " + ValueText(*value)));
}

void ConfigReader::OnlyInteger(std::string_view key, std::int64_t supported) {
  const json* value = Find(key);
  if (value == nullptr || (value->is_number_integer() && *value == supported)) return;
  Fail(diagnostics::Unsupported(std::string(key) + ": only " + std::to_string(supported) + " is supported, found " + ValueText(*value)));
}

Status ConfigReader::Outcome() const {
  if (failed_) return error_;
  return {};
}

}  // namespace baleen::checkpoint
