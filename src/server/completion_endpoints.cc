#include "server/completion_endpoints.h"

#include <array>
#include <utility>

#include "completion/anthropic_request.h"
#include "completion/anthropic_response.h"
#include "completion/fields.h"
#include "completion/model_names.h"
#include "completion/openai_request.h"
#include "completion/openai_stream.h"
#include "completion/responses_request.h"
#include "completion/responses_response.h"
#include "server/answering.h"
#include "server/on_worker.h"
#include "server/replay.h"

namespace baleen::server {
namespace {

using boost::asio::awaitable;
using completion::Checked;
using completion::Completion;
using completion::CompletionRequest;
using completion::ResponseNames;
using completion::ServedModel;
using text::JsonValue;

Checked<ReadBody> WithOpenAiWriter(Checked<CompletionRequest> request) {
  if (!request) return request.error();
  return ReadBody{*std::move(request), [](const Completion& of, const ServedModel& model, const ResponseNames& names) { return completion::MakeOpenAiWriter(of.request(), model, names); }};
}

const Dialect kChat{.read = [](const JsonValue& body, std::int64_t vocab) { return WithOpenAiWriter(completion::ReadOpenAiChat(body, vocab, {.prefix = false})); },
                    .id_prefix = "chatcmpl-"};
const Dialect kBetaChat{.read = [](const JsonValue& body, std::int64_t vocab) { return WithOpenAiWriter(completion::ReadOpenAiChat(body, vocab, {.prefix = true})); },
                        .id_prefix = "chatcmpl-"};
const Dialect kText{.read = [](const JsonValue& body, std::int64_t vocab) { return WithOpenAiWriter(completion::ReadOpenAiText(body, vocab)); }, .id_prefix = "cmpl-"};

const Dialect kResponses{.read = [](const JsonValue& body, std::int64_t) -> Checked<ReadBody> {
                           Checked<completion::ResponsesRequest> request = completion::ReadResponses(body);
                           if (!request) return request.error();
                           const auto kept = std::make_shared<completion::ResponsesRequest>(*std::move(request));
                           CompletionRequest completion = kept->completion;
                           return ReadBody{std::move(completion), [kept](const Completion&, const ServedModel& model, const ResponseNames& names) {
                                             return completion::MakeResponsesWriter(*kept, model, names);
                                           }};
                         },
                         .id_prefix = "resp_"};

const Dialect kMessages{.read = [](const JsonValue& body, std::int64_t) -> Checked<ReadBody> {
                          Checked<CompletionRequest> request = completion::ReadAnthropic(body);
                          if (!request) return request.error();
                          return ReadBody{*std::move(request), [](const Completion& of, const ServedModel& model, const ResponseNames& names) {
                                            return completion::MakeAnthropicWriter(of.request(), model, names);
                                          }};
                        },
                        .id_prefix = "msg_",
                        .messages = true};

void AddDialect(Service& service, Router& router, const Dialect& dialect, std::initializer_list<const char*> paths) {
  for (const char* path : paths) {
    router.Add("POST", path, Access::kKey,
               [&service, &dialect, route = std::string(path)](Exchange& exchange) { return AnswerCompletion(service, dialect, route, exchange); });
  }
}

HttpResponse Ok(std::string body) { return {200, std::move(body)}; }

Checked<std::string> CountTokens(Service& service, const std::string& body, const Client& client) {
  TRY_ASSIGN(const JsonValue json, completion::ParseBody(body));
  TRY_ASSIGN(CompletionRequest request, completion::ReadAnthropic(json, completion::AnthropicRoute::kCountTokens));
  const std::array<std::string, 1> served{service.model.name};
  TRY(completion::FindModel(request.model, served, completion::ModelNames::kClaudeToo));
  request.tenant = TenantOf(client, request.tenant);
  if (service.replay != nullptr) Replay(request, *service.replay);
  TRY_ASSIGN(const completion::Prompt prompt, completion::BuildPrompt(service.model, request));
  return "{\"input_tokens\": " + std::to_string(prompt.ids.size()) + "}";
}

Checked<std::string> Tokenize(Service& service, const std::string& body) {
  TRY_ASSIGN(const JsonValue json, completion::ParseBody(body));
  TRY_ASSIGN(const completion::Fields fields, completion::Fields::Of(&json, "the request"));
  const JsonValue* prompt = json.Find("prompt");
  if (prompt == nullptr || prompt->AsString() == nullptr) return completion::WrongTypeAt("prompt", "a string", prompt);
  std::string ids;
  std::size_t count = 0;
  for (const std::int32_t id : service.model.tokenizer->Encode(*prompt->AsString())) {
    ids += (count++ > 0 ? ", " : "") + std::to_string(id);
  }
  return "{\"tokens\": [" + ids + "], \"count\": " + std::to_string(count) + "}";
}

// A route that only reads and encodes a body.
void AddEncoding(Service& service, Router& router, const char* path, bool messages, std::function<Checked<std::string>(const std::string& body, const Client&)> work) {
  router.Add("POST", path, Access::kKey, [&service, route = std::string(path), messages, work = std::move(work)](Exchange& exchange) -> awaitable<void> {
    const HttpRequest& request = exchange.request();
    const auto* client = std::any_cast<Client>(&request.identity);
    const std::string name = "req_" + DrawName();
    const auto encoding = [&] {
      try {
        const Checked<std::string> done = work(request.body, client == nullptr ? Client() : *client);
        return done ? Ok(*done) : ErrorResponse(done.error(), messages, name);
      } catch (const std::bad_alloc&) {
        return ErrorResponse(completion::Refuse(503, "", "the server has no memory for this request now; try again later, or send less", "overloaded"), messages, name);
      }
    };
    HttpResponse response = co_await OnWorker(service.WorkerFor(request.body), encoding);
    if (messages && response.status == 200) response.headers.emplace_back("request-id", name);
    service.metrics.CountRequest(route, response.status);
    co_await exchange.Respond(std::move(response));
  });
}

}  // namespace

void AddCompletionRoutes(Service& service, Router& router) {
  AddDialect(service, router, kChat, {"/v1/chat/completions", "/chat/completions"});
  AddDialect(service, router, kBetaChat, {"/beta/chat/completions", "/beta/v1/chat/completions"});
  AddDialect(service, router, kText, {"/v1/completions", "/completions", "/beta/completions", "/beta/v1/completions"});
  AddDialect(service, router, kResponses, {"/v1/responses", "/responses"});
  AddDialect(service, router, kMessages, {"/v1/messages", "/messages", "/anthropic/v1/messages"});
  for (const char* path : {"/v1/messages/count_tokens", "/messages/count_tokens", "/anthropic/v1/messages/count_tokens"}) {
    AddEncoding(service, router, path, true, [&service](const std::string& body, const Client& client) { return CountTokens(service, body, client); });
  }
  for (const char* path : {"/tokenize", "/v1/tokenize"}) {
    AddEncoding(service, router, path, false, [&service](const std::string& body, const Client&) { return Tokenize(service, body); });
  }
}

}  // namespace baleen::server
