// baleen keys: the keys of a ledger, which a server that runs sees within seconds.

#include <charconv>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/commands.h"
#include "ledger/calendar.h"
#include "ledger/ledger.h"

namespace baleen::apps {
namespace {

using diagnostics::InvalidInput;
using ledger::KeyFacts;
using ledger::Ledger;
using ledger::Quotas;
using nlohmann::ordered_json;

struct KeysFlags {
  std::string ledger, name;
  std::optional<std::string> max_concurrent, tokens_per_day, tokens_total, money_per_month, money_total;  // a number, or "none"
  bool json = false;
};

Status ReadCount(const char* flag, const std::optional<std::string>& text, std::optional<std::int64_t>& quota) {
  if (!text) return {};
  quota.reset();
  if (*text == "none") return {};
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (code != std::errc() || end != text->data() + text->size() || value < 0) {
    return InvalidInput(std::string(flag) + ": expected a whole number from 0 to 9223372036854775807, or none, found '" + diagnostics::Quoted(*text) + "'");
  }
  quota = value;
  return {};
}

Status ReadMoney(const char* flag, const std::optional<std::string>& text, std::optional<ledger::PicoDollars>& quota) {
  if (!text) return {};
  quota.reset();
  if (*text == "none") return {};
  const Result<ledger::PicoDollars> amount = ledger::ParseDollars(*text);
  if (!amount) return InvalidInput(std::string(flag) + ": " + amount.error().message + "; none takes the quota away");
  quota = *amount;
  return {};
}

/// The quotas with the flags that are given in their places.
Result<Quotas> Changed(Quotas quotas, const KeysFlags& flags) {
  TRY(ReadCount("--max-concurrent", flags.max_concurrent, quotas.concurrent_requests));
  TRY(ReadCount("--tokens-per-day", flags.tokens_per_day, quotas.tokens_per_day));
  TRY(ReadCount("--tokens-total", flags.tokens_total, quotas.tokens_total));
  TRY(ReadMoney("--money-per-month", flags.money_per_month, quotas.money_per_month));
  TRY(ReadMoney("--money-total", flags.money_total, quotas.money_total));
  return quotas;
}

Status Create(const KeysFlags& flags) {
  TRY_ASSIGN(const Quotas quotas, Changed({}, flags));
  TRY(ledger::CheckKeyName(flags.name));  // before a file is made
  TRY_ASSIGN(const std::unique_ptr<Ledger> ledger, Ledger::Open(flags.ledger, {.create = true}));
  TRY_ASSIGN(const std::string secret, ledger->CreateKey(flags.name, quotas));
  const Status written = WriteStandardOutput(secret + "\n");
  if (written) return {};
  TRY(ledger->Revoke(flags.name));
  return diagnostics::ResourceError(written.error().message + "; the key, which nobody has seen, is revoked: create it again");
}

Status Revoke(const KeysFlags& flags) {
  TRY_ASSIGN(const std::unique_ptr<Ledger> ledger, Ledger::Open(flags.ledger, {}));
  return ledger->Revoke(flags.name);
}

Status ChangeQuotas(const KeysFlags& flags) {
  if (!flags.max_concurrent && !flags.tokens_per_day && !flags.tokens_total && !flags.money_per_month && !flags.money_total) {
    return InvalidInput(
        "keys quota: expected at least one of --max-concurrent, --tokens-per-day, --tokens-total, --money-per-month and --money-total, found none");
  }
  TRY(ledger::CheckKeyName(flags.name));
  TRY_ASSIGN(const std::unique_ptr<Ledger> ledger, Ledger::Open(flags.ledger, {}));
  TRY_ASSIGN(const std::vector<KeyFacts> keys, ledger->Keys());
  Quotas quotas;
  for (const KeyFacts& key : keys) {
    if (key.name == flags.name && !key.revoked) quotas = key.quotas;
  }
  TRY_ASSIGN(quotas, Changed(quotas, flags));
  return ledger->SetQuotas(flags.name, quotas);
}

ordered_json MoneyOrNull(const std::optional<ledger::PicoDollars>& money) { return money ? ordered_json(ledger::ToDollars(*money)) : ordered_json(); }
ordered_json CountOrNull(const std::optional<std::int64_t>& count) { return count ? ordered_json(*count) : ordered_json(); }

ordered_json JsonOf(const KeyFacts& key, const ledger::Balance& balance) {
  const Quotas& quotas = key.quotas;
  return {{"name", key.name},
          {"created", ledger::WriteTime(key.created)},
          {"revoked", key.revoked ? ordered_json(ledger::WriteTime(*key.revoked)) : ordered_json()},
          {"quotas",
           {{"max_concurrent", CountOrNull(quotas.concurrent_requests)},
            {"tokens_per_day", CountOrNull(quotas.tokens_per_day)},
            {"tokens_total", CountOrNull(quotas.tokens_total)},
            {"money_per_month_usd", MoneyOrNull(quotas.money_per_month)},
            {"money_total_usd", MoneyOrNull(quotas.money_total)}}},
          {"used",
           {{"tokens_today", balance.tokens_today},
            {"tokens_total", balance.tokens_total},
            {"money_this_month_usd", ledger::ToDollars(balance.money_this_month)},
            {"money_total_usd", ledger::ToDollars(balance.money_total)}}}};
}

std::string Of(const std::string& used, const std::string& quota) { return quota.empty() ? used : used + "/" + quota; }

std::string LineOf(const KeyFacts& key, const ledger::Balance& balance) {
  const auto count = [](const std::optional<std::int64_t>& quota) { return quota ? std::to_string(*quota) : std::string(); };
  const auto money = [](const std::optional<ledger::PicoDollars>& quota) { return quota ? ledger::WriteDollars(*quota) : std::string(); };
  const Quotas& quotas = key.quotas;
  char line[600];
  std::snprintf(line, sizeof line, "%-24s %-20s %-20s %-9s %-19s %-19s %-19s %s\n", key.name.c_str(), ledger::WriteTime(key.created).c_str(),
                key.revoked ? ledger::WriteTime(*key.revoked).c_str() : "-", quotas.concurrent_requests ? count(quotas.concurrent_requests).c_str() : "-",
                Of(std::to_string(balance.tokens_today), count(quotas.tokens_per_day)).c_str(),
                Of(std::to_string(balance.tokens_total), count(quotas.tokens_total)).c_str(),
                Of(ledger::WriteDollars(balance.money_this_month), money(quotas.money_per_month)).c_str(),
                Of(ledger::WriteDollars(balance.money_total), money(quotas.money_total)).c_str());
  return line;
}

Status List(const KeysFlags& flags) {
  TRY_ASSIGN(const std::unique_ptr<Ledger> ledger, Ledger::Open(flags.ledger, {}));
  TRY_ASSIGN(const std::vector<KeyFacts> keys, ledger->Keys());
  char head[300];
  std::snprintf(head, sizeof head, "%-24s %-20s %-20s %-9s %-19s %-19s %-19s %s\n", "NAME", "CREATED", "REVOKED", "AT ONCE", "TOKENS TODAY", "TOKENS",
                "USD THIS MONTH", "USD");
  std::string text = head;
  ordered_json list = ordered_json::array();
  for (const KeyFacts& key : keys) {
    const ledger::Balance balance = ledger->BalanceOf(key.id).value_or(ledger::Balance{});
    text += LineOf(key, balance);
    list.push_back(JsonOf(key, balance));
  }
  return WriteStandardOutput(flags.json ? ordered_json{{"keys", list}}.dump(1) + "\n" : text);
}

void AddLedger(CLI::App& command, KeysFlags& flags) { command.add_option("--ledger", flags.ledger, "The ledger's file")->envname("BALEEN_LEDGER")->required(); }

void AddQuotas(CLI::App& command, KeysFlags& flags) {
  command.add_option("--max-concurrent", flags.max_concurrent, "Requests that may run at the same time, or none");
  command.add_option("--tokens-per-day", flags.tokens_per_day, "Tokens of prompts and answers in a day (UTC), or none");
  command.add_option("--tokens-total", flags.tokens_total, "Tokens of prompts and answers ever, or none");
  command.add_option("--money-per-month", flags.money_per_month, "USD in a month (UTC), or none");
  command.add_option("--money-total", flags.money_total, "USD ever, or none");
}

}  // namespace

void AddKeysCommand(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<KeysFlags>();
  CLI::App* keys = app.add_subcommand("keys", "Make, list and revoke the keys of a ledger, and set what each may use.");
  keys->require_subcommand(1);
  const auto add = [&](const char* name, const char* what, Status (*work)(const KeysFlags&), bool named) {
    CLI::App* command = keys->add_subcommand(name, what);
    if (named) command->add_option("name", flags->name, "1 to 64 letters, digits, '.', '_' and '-'")->required();
    AddLedger(*command, *flags);
    command->callback([flags, work, &exit_code] { Run(exit_code, [&] { return work(*flags); }); });
    return command;
  };
  AddQuotas(*add("create", "Make a key and print it, this once; makes the ledger if it is not there", Create, true), *flags);
  add("revoke", "End a key; a running server refuses it within 3 s, and its name is free again", Revoke, true);
  AddQuotas(*add("quota", "Set the quotas that are given and leave the others", ChangeQuotas, true), *flags);
  add("list", "Keys, their quotas and what they used; never a secret", List, false)->add_flag("--json", flags->json, "Print one JSON object");
  keys->footer(
      "Examples:\n  baleen keys create alice --ledger lab.db --max-concurrent 4 --tokens-per-day 2000000\n  baleen keys quota alice --ledger lab.db "
      "--money-per-month 25.50 --tokens-per-day "
      "none\n  baleen keys list --ledger lab.db\n  baleen keys revoke alice --ledger lab.db");
}

}  // namespace baleen::apps
