#include "server/plain_endpoints.h"

#include <chrono>
#include <functional>
#include <utility>

#include <nlohmann/json.hpp>

#include "ledger/calendar.h"
#include "server/access.h"
#include "server/dialect.h"
#include "server/on_worker.h"
#include "server/openapi.h"
#include "server/status.h"
#include "server/web_files.h"

namespace baleen::server {
namespace {

using boost::asio::awaitable;
using Json = nlohmann::ordered_json;

// A text of JSON whatever bytes a name holds.
std::string Text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Endpoint Plain(Service& service, std::string route, std::function<HttpResponse(const HttpRequest&)> answer) {
  return [&service, route = std::move(route), answer = std::move(answer)](Exchange& exchange) -> awaitable<void> {
    HttpResponse response = answer(exchange.request());
    service.metrics.CountRequest(route, response.status);
    co_await exchange.Respond(std::move(response));
  };
}

// The same, for answers that read the ledger's file.
Endpoint OnLedger(Service& service, std::string route, std::function<HttpResponse(const HttpRequest&)> answer) {
  return [&service, route = std::move(route), answer = std::move(answer)](Exchange& exchange) -> awaitable<void> {
    const auto reading = [&] { return answer(exchange.request()); };
    HttpResponse response = co_await OnWorker(service.workers, reading);
    service.metrics.CountRequest(route, response.status);
    co_await exchange.Respond(std::move(response));
  };
}

HttpResponse Health(const Service& service) {
  const std::string trouble = service.Trouble();
  return {trouble.empty() ? 200 : 503, Text({{"status", trouble.empty() ? "ok" : "unwell"}, {"engine", trouble.empty() ? "alive" : trouble}})};
}

// While the server drains, no request comes this far.
HttpResponse Ready(const Service& service) {
  const std::string trouble = service.Trouble();
  if (trouble.empty()) return {200, Text({{"status", "ready"}, {"model", service.model.name}})};
  return {503, Text({{"status", "unwell"}, {"engine", trouble}})};
}

Json ModelJson(const Service& service) {
  return {{"id", service.model.name}, {"object", "model"}, {"created", service.facts.created}, {"owned_by", "baleen"},
          {"type", "model"}, {"display_name", service.model.name}, {"created_at", ledger::WriteTime(service.facts.created)}, {"context_length", service.model.context}};
}

HttpResponse Models(const Service& service) {
  const std::string& id = service.model.name;
  return {200, Text({{"object", "list"}, {"data", Json::array({ModelJson(service)})}, {"has_more", false}, {"first_id", id}, {"last_id", id}})};
}

HttpResponse OneModel(const Service& service, const HttpRequest& request) {
  const std::size_t at = request.path.find("/models/") + std::string_view("/models/").size();
  if (request.path.substr(at) == service.model.name) return {200, Text(ModelJson(service))};
  return ErrorResponse(completion::Refuse(404, "model", "model: expected \"" + service.model.name + "\", found \"" + diagnostics::Quoted(request.path.substr(at)) + "\"; see /v1/models",
                                          "model_not_found"), false, {});
}

bool Holds(const std::string* field, std::string_view word) { return field != nullptr && field->find(word) != std::string::npos; }

HttpResponse OfPage(const WebFile& file, const HttpRequest& request) {
  const bool known = Holds(request.Find("if-none-match"), file.etag);
  const bool gzip = !file.gzip_bytes.empty() && Holds(request.Find("accept-encoding"), "gzip");
  HttpResponse response(known ? 304 : 200, known ? std::string() : std::string(gzip ? file.gzip_bytes : file.bytes), known ? std::string() : std::string(file.content_type));
  response.headers.emplace_back("etag", std::string(file.etag));
  for (const WebHeader& header : WebHeaders()) response.headers.emplace_back(std::string(header.name), std::string(header.value));
  if (gzip && !known) response.headers.emplace_back("content-encoding", "gzip");
  return response;
}

}  // namespace

void AddPlainRoutes(Service& service, Router& router) {
  using Request = HttpRequest;
  const auto open = [&](const char* path, std::function<HttpResponse(const Request&)> answer) { router.Add("GET", path, Access::kOpen, Plain(service, path, std::move(answer))); };
  const auto keyed = [&](const char* path, std::function<HttpResponse(const Request&)> answer) { router.Add("GET", path, Access::kKey, Plain(service, path, std::move(answer))); };
  open("/health", [&](const Request&) { return Health(service); });
  open("/ready", [&](const Request&) { return Ready(service); });
  keyed("/metrics", [&](const Request&) { return HttpResponse(200, service.metrics.Text(GaugesOf(service)), "text/plain; version=0.0.4; charset=utf-8"); });
  keyed("/openapi.json", [&](const Request&) {
    return HttpResponse(200, OpenApiDocument(service.model.name, service.model.vocab_size, NeedsKey(service)));
  });
  for (const char* path : {"/v1/models", "/models", "/anthropic/v1/models"}) keyed(path, [&](const Request&) { return Models(service); });
  for (const char* path : {"/v1/models/*", "/models/*"}) keyed(path, [&](const Request& request) { return OneModel(service, request); });
  router.Add("GET", "/v1/usage", Access::kKey, OnLedger(service, "/v1/usage", [&](const Request& request) { return UsageOf(service, request); }));
  keyed("/user/balance", [&](const Request& request) { return BalanceOf(service, request); });
  router.Add("GET", "/v1/status", Access::kKey, OnLedger(service, "/v1/status", [&](const Request& request) { return StatusOf(service, request); }));
  for (const WebFile& file : WebFiles()) open(std::string(file.path).c_str(), [&file](const Request& request) { return OfPage(file, request); });
  open("/", [page = FindWebFile("/")](const Request& request) { return OfPage(*page, request); });
}

}  // namespace baleen::server
