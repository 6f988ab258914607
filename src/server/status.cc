#include "server/status.h"

#include <optional>
#include <string_view>

#include <boost/url/parse_query.hpp>
#include <nlohmann/json.hpp>

#include "ledger/calendar.h"
#include "ledger/usage_json.h"
#include "server/dialect.h"

namespace baleen::server {
namespace {

using Json = nlohmann::ordered_json;

std::string Text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

const Client& ClientOf(const HttpRequest& request) {
  static const Client kNobody;
  const auto* client = std::any_cast<Client>(&request.identity);
  return client == nullptr ? kNobody : *client;
}

Json PercentilesJson(const Percentiles& times) { return {{"p50", times.p50}, {"p90", times.p90}, {"p99", times.p99}, {"count", times.count}}; }

ledger::UsageFilter FilterFor(const Client& client) {
  ledger::UsageFilter filter;
  if (client.key) filter.key = client.name;
  return filter;
}

Json UsageByKey(Service& service, const Client& client) {
  if (service.ledger == nullptr) return nullptr;
  const Result<ledger::UsageReport> report = service.ledger->Usage(FilterFor(client));
  if (!report) return nullptr;
  Json rows = Json::array();
  for (const auto& [key, totals] : report->by_key) {
    rows.push_back({{"key", key},
                    {"requests", totals.requests},
                    {"prompt_tokens", totals.prompt_tokens},
                    {"hit_tokens", totals.hit_tokens},
                    {"completion_tokens", totals.completion_tokens},
                    {"cost_usd", ledger::ToDollars(totals.cost)}});
  }
  return rows;
}

Json MemoryJson(const Service& service) {
  Json rows = Json::array();
  for (const auto& [what, bytes] : service.facts.memory) rows.push_back({{"what", what}, {"bytes", bytes}});
  return rows;
}

Json RequestsJson(const Service& service, const engine::Statistics& now) {
  return {{"running", now.running}, {"waiting", now.waiting}, {"submitted", now.submitted}, {"ended", now.ended},
          {"failed", now.failed},   {"cancelled", now.cancelled}, {"expired", now.expired}, {"refused", service.metrics.refused()}};
}

completion::Checked<ledger::UsageFilter> ReadFilter(const HttpRequest& request) {
  ledger::UsageFilter filter = FilterFor(ClientOf(request));
  const auto query = boost::urls::parse_query(request.query);
  if (!query) return completion::Refuse(400, "query", "the query: expected name=value&…, found something else; correct the address", "invalid_value");
  for (const auto& parameter : boost::urls::params_encoded_view(*query)) {
    const std::string name = parameter.key.decode(), value = parameter.value.decode();
    if (name == "model") {
      filter.model = value;
    } else if (name == "since" || name == "until") {
      const std::optional<std::int64_t> time = ledger::ParseTime(value);
      if (!time) {
        return completion::Refuse(
            400, name,
            name + ": expected a day as 2026-11-27, a time as 2026-11-27T08:30:00Z or unix seconds, found \"" + diagnostics::Quoted(value) + "\"; correct it",
            "invalid_value");
      }
      (name == "since" ? filter.since : filter.until) = time;
    } else {
      return completion::Refuse(400, diagnostics::Quoted(name), "the query: expected since, until or model, found \"" + diagnostics::Quoted(name) + "\"; leave it out", "invalid_value");
    }
  }
  return filter;
}

}  // namespace

Gauges GaugesOf(const Service& service) {
  return {.engine = service.engine->statistics(),
          .open_requests = service.open_requests,
          .connections = service.connections ? service.connections() : 0,
          .healthy = service.Trouble().empty(),
          .idle_seconds = std::chrono::duration<double>(service.engine_thread->Idle()).count(),
          .memory = service.facts.memory};
}

HttpResponse StatusOf(Service& service, const HttpRequest& request) {
  const engine::Statistics now = service.engine->statistics();
  const double uptime = std::chrono::duration<double>(std::chrono::steady_clock::now() - service.started).count();
  const std::int64_t read = now.prefill_tokens + now.cached_tokens;
  Json json = {
      {"model",
       {{"id", service.model.name}, {"folder_name", service.facts.folder_name}, {"context", service.model.context}, {"vocabulary", service.model.vocab_size},
        {"drafts", service.facts.drafts}, {"isa", service.facts.isa}, {"threads", service.facts.threads}}},
      {"uptime_s", uptime},
      {"requests", RequestsJson(service, now)},
      {"tokens", {{"prefill", now.prefill_tokens}, {"decode", now.decode_tokens}, {"cached", now.cached_tokens}}},
      {"latency",
       {{"first_token_s", PercentilesJson(service.metrics.FirstToken())}, {"inter_token_s", PercentilesJson(service.metrics.BetweenTokens())},
        {"queue_s", PercentilesJson(service.metrics.Queue())}}},
      {"cache",
       {{"blocks", now.blocks}, {"used_blocks", now.used_blocks}, {"cached_blocks", now.cached_blocks},
        {"hit_share", read == 0 ? 0.0 : static_cast<double>(now.cached_tokens) / static_cast<double>(read)}}},
      {"drafts", {{"drafted", now.drafted_at}, {"accepted", now.accepted_at}}},
      {"memory", MemoryJson(service)},
      {"usage_by_key", UsageByKey(service, ClientOf(request))},
  };
  return {200, Text(json)};
}

HttpResponse UsageOf(Service& service, const HttpRequest& request) {
  if (service.ledger == nullptr) {
    return ErrorResponse(completion::Refuse(404, "", "usage: expected a ledger, found none; start the server with --ledger FILE", "no_ledger"), false, {});
  }
  const completion::Checked<ledger::UsageFilter> filter = ReadFilter(request);
  if (!filter) return ErrorResponse(filter.error(), false, {});
  const Result<ledger::UsageReport> report = service.ledger->Usage(*filter);
  if (!report) return ErrorResponse(completion::Refuse(500, "", "usage: the ledger cannot be read now; try again later", "failed"), false, {});
  Json json = {{"object", "usage"}};
  json.update(ledger::JsonOf(*report));
  return {200, Text(json)};
}

HttpResponse BalanceOf(const Service& service, const HttpRequest& request) {
  const Client& client = ClientOf(request);
  Json infos = Json::array();
  bool available = true;
  if (service.ledger != nullptr && client.key) {
    const std::optional<ledger::Balance> balance = service.ledger->BalanceOf(*client.key);
    if (const auto left = balance ? balance->MoneyLeft() : std::nullopt) {
      available = *left > 0;
      const std::string text = ledger::WriteDollars(*left);
      infos.push_back({{"currency", "USD"}, {"total_balance", text}, {"granted_balance", text}, {"topped_up_balance", "0.00"}});
    }
  }
  return {200, Text({{"is_available", available}, {"balance_infos", infos}})};
}

}  // namespace baleen::server
