// baleen usage: what was asked of a server, summed from its ledger.

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/commands.h"
#include "ledger/calendar.h"
#include "ledger/ledger.h"
#include "ledger/usage_json.h"

namespace baleen::apps {
namespace {

using ledger::UsageTotals;

struct UsageFlags {
  std::string ledger, by = "key";
  std::optional<std::string> since, until, key, model;
  bool json = false;
};

Status ReadTime(const char* flag, const std::optional<std::string>& text, std::optional<std::int64_t>& time) {
  if (!text) return {};
  time = ledger::ParseTime(*text);
  if (time) return {};
  return diagnostics::InvalidInput(std::string(flag) + ": expected a day as 2026-11-27, a time as 2026-11-27T08:30:00Z or unix seconds, found '" +
                                   diagnostics::Quoted(*text) + "'");
}

std::string LineOf(const std::string& name, const UsageTotals& totals) {
  char line[400];
  std::snprintf(line, sizeof line, "%10lld %8lld %14lld %14lld %14lld %14lld %14s", static_cast<long long>(totals.requests),
                static_cast<long long>(totals.failed), static_cast<long long>(totals.hit_tokens), static_cast<long long>(totals.miss_tokens),
                static_cast<long long>(totals.completion_tokens), static_cast<long long>(totals.reasoning_tokens), ledger::WriteDollars(totals.cost).c_str());
  std::string padded = diagnostics::Quoted(name, 200);
  padded.resize(std::max<std::size_t>(padded.size(), 24), ' ');
  return padded + line + "\n";
}

Status Report(const UsageFlags& flags) {
  ledger::UsageFilter filter;
  TRY(ReadTime("--since", flags.since, filter.since));
  TRY(ReadTime("--until", flags.until, filter.until));
  filter.key = flags.key;
  filter.model = flags.model;
  TRY_ASSIGN(const std::unique_ptr<ledger::Ledger> file, ledger::Ledger::Open(flags.ledger, {}));
  TRY_ASSIGN(const ledger::UsageReport report, file->Usage(filter));
  if (flags.json) {
    return WriteStandardOutput(ledger::JsonOf(report).dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  }
  char head[300];
  std::snprintf(head, sizeof head, "%-24s%10s %8s %14s %14s %14s %14s %14s\n", flags.by.c_str(), "requests", "failed", "prompt hit", "prompt miss",
                "completion", "reasoning", "USD");
  std::string text = head;
  for (const auto& [name, totals] : flags.by == "key" ? report.by_key : flags.by == "model" ? report.by_model : report.by_day) text += LineOf(name, totals);
  return WriteStandardOutput(text + LineOf("total", report.total));
}

}  // namespace

void AddUsageCommand(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<UsageFlags>();
  CLI::App* command = app.add_subcommand("usage", "Requests, tokens and money of a ledger, by key, model or day.");
  command->add_option("--ledger", flags->ledger, "The ledger's file")->envname("BALEEN_LEDGER")->required();
  command->add_option("--by", flags->by, "What the lines of the table stand for; --json has all three")
      ->check(CLI::IsMember({"key", "model", "day"}))
      ->capture_default_str();
  command->add_option("--since", flags->since, "From this day or time on (UTC): 2026-11-27, 2026-11-27T08:30:00Z or unix seconds");
  command->add_option("--until", flags->until, "Up to, but not including, this day or time");
  command->add_option("--key", flags->key, "Only of the keys with this name; (none): of requests without a key");
  command->add_option("--model", flags->model, "Only of this model");
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->footer(
      "Examples:\n  baleen usage --ledger lab.db\n  baleen usage --ledger lab.db --by day --since 2026-11-01 --key alice\n  baleen usage --ledger lab.db "
      "--json");
  command->callback([flags, &exit_code] { Run(exit_code, [&] { return Report(*flags); }); });
}

}  // namespace baleen::apps
