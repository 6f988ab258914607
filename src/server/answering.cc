#include "server/answering.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include "completion/fields.h"
#include "completion/model_names.h"
#include "diagnostics/log.h"
#include "server/delta_queue.h"
#include "server/on_worker.h"
#include "server/replay.h"
#include "server/wake.h"

namespace baleen::server {
namespace {

using boost::asio::awaitable;
using completion::Checked;
using completion::Completion;
using completion::CompletionRequest;
using completion::Delta;
using completion::RequestError;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kEventStream = "text/event-stream; charset=utf-8", kJson = "application/json";

/// Counts a request as open for as long as it lives.
class OpenRequest {
 public:
  explicit OpenRequest(Service& service) : service_(&service) { ++service_->open_requests; }
  ~OpenRequest() { --service_->open_requests; }
  OpenRequest(const OpenRequest&) = delete;
  OpenRequest& operator=(const OpenRequest&) = delete;

 private:
  Service* service_;
};

/// Measures the answers of a completion as their Deltas come, in the engine's thread.
class TokenClock {
 public:
  TokenClock(Metrics& metrics, std::int64_t choices) : metrics_(&metrics), last_(static_cast<std::size_t>(choices)) {}

  void See(const Delta& delta) {
    Clock::time_point& last = last_[static_cast<std::size_t>(delta.choice)];
    const Clock::time_point now = Clock::now();
    if (last != Clock::time_point() && !delta.ended) metrics_->ObserveBetweenTokens(now - last);
    last = now;
  }

 private:
  Metrics* metrics_;
  std::vector<Clock::time_point> last_;
};

/// What a worker made of a body.
struct Started {
  std::unique_ptr<Completion> completion;
  Replayed replayed;
};

// g++ 12 destroys some temporaries of a co_await twice: what is passed to a coroutine here has a name.
class Answering {
 public:
  Answering(Service& service, const Dialect& dialect, std::string route, Exchange& exchange)
      : service_(service), dialect_(dialect), route_(std::move(route)), exchange_(exchange), wake_(service.io),
        queue_(std::make_shared<DeltaQueue>(wake_.Notifier())), name_(DrawName()),
        names_{.id = std::string(dialect.id_prefix) + name_, .created = std::time(nullptr), .fingerprint = service.Fingerprint(), .request_id = "req_" + name_} {
    if (const auto* client = std::any_cast<Client>(&exchange.request().identity)) client_ = *client;
  }

  awaitable<void> Run();

 private:
  std::optional<RequestError> Overload();
  std::optional<RequestError> TakePermit();
  Checked<ReadBody> Read(std::string body) const;
  Checked<Started> Start(CompletionRequest request);
  void SetHeaders(const Replayed& replayed);
  awaitable<void> Refuse(const RequestError& error);
  awaitable<void> Follow(Completion& completion);
  awaitable<void> WriteDeltas(const Completion& completion, const std::vector<Delta>& deltas);
  awaitable<void> KeepAlive();
  awaitable<void> Finish(const Completion& completion);
  awaitable<void> Record(const Completion& completion, int status);
  awaitable<void> Send(std::string bytes);
  void Measure(const Completion& completion);

  Service& service_;
  const Dialect& dialect_;
  const std::string route_;
  Exchange& exchange_;
  Client client_;
  Wake wake_;
  std::shared_ptr<DeltaQueue> queue_;
  const std::string name_;
  const completion::ResponseNames names_;
  Headers headers_;
  ledger::Permit permit_;
  std::unique_ptr<completion::ResponseWriter> writer_;
  bool begun_ = false;      // the head of the response is out
  bool streams_ = false;    // the client wants events
  std::int64_t ended_ = 0;  // choices
  Clock::time_point written_ = Clock::now();
};

std::optional<RequestError> Answering::Overload() {
  if (service_.open_requests < service_.limits.requests) return std::nullopt;
  service_.metrics.CountRefused("capacity");
  return completion::Refuse(503, "", "the server: at most " + std::to_string(service_.limits.requests) + " requests run or wait at once, and so many do; try again in a few seconds",
                            "overloaded");
}

std::optional<RequestError> Answering::TakePermit() {
  if (service_.ledger == nullptr || !client_.key) return std::nullopt;
  auto permit = service_.ledger->Begin(*client_.key);
  if (permit) {
    permit_ = *std::move(permit);
    return std::nullopt;
  }
  const ledger::Refusal& refusal = permit.error();
  const bool money = refusal.kind == ledger::Refusal::Kind::kMoney;
  service_.metrics.CountRefused("quota");
  if (refusal.retry_after_seconds > 0) headers_.emplace_back("retry-after", std::to_string(std::min<std::int64_t>(refusal.retry_after_seconds, 60)));
  if (refusal.kind == ledger::Refusal::Kind::kUnknownKey) return completion::Refuse(401, "", refusal.message, "invalid_api_key");
  return completion::Refuse(money ? 402 : 429, "", refusal.message, money ? "insufficient_balance" : "rate_limit_exceeded");
}

Checked<ReadBody> Answering::Read(std::string body) const try {
  TRY_ASSIGN(const text::JsonValue json, completion::ParseBody(body));
  TRY_ASSIGN(ReadBody read, dialect_.read(json, service_.model.vocab_size));
  CompletionRequest& request = read.request;
  const std::array<std::string, 1> served{service_.model.name};
  TRY(completion::FindModel(request.model, served, dialect_.messages ? completion::ModelNames::kClaudeToo : completion::ModelNames::kServedIds));
  request.tenant = TenantOf(client_, request.tenant);
  request.deadlines = service_.limits.deadlines;
  return read;
} catch (const std::bad_alloc&) {
  return completion::Refuse(503, "", "the server has no memory for this request now; try again later, or send less", "overloaded");
}

Checked<Started> Answering::Start(CompletionRequest request) try {
  Started started;
  if (service_.replay != nullptr && request.kind == CompletionRequest::Kind::kChat) started.replayed = Replay(request, *service_.replay);
  const auto clock = std::make_shared<TokenClock>(service_.metrics, request.n);
  const auto on_delta = [queue = queue_, clock](Delta delta) {
    clock->See(delta);
    queue->Push(std::move(delta));
  };
  TRY_ASSIGN(started.completion, Completion::Start(service_.calls, service_.model, std::move(request), DrawSeed(), on_delta));
  return started;
} catch (const std::bad_alloc&) {
  return completion::Refuse(503, "", "the server has no memory for this request now; try again later, or send less", "overloaded");
}

void Answering::SetHeaders(const Replayed& replayed) {
  service_.metrics.CountReplayed(replayed.turns, replayed.reasonings);
  headers_.emplace_back(dialect_.messages ? "request-id" : "x-request-id", "req_" + name_);
  if (replayed.turns > 0) headers_.emplace_back("x-baleen-replayed-turns", std::to_string(replayed.turns));
  if (replayed.reasonings > 0) headers_.emplace_back("x-baleen-restored-reasoning", std::to_string(replayed.reasonings));
  if (streams_) headers_.emplace_back("cache-control", "no-cache");
}

awaitable<void> Answering::Refuse(const RequestError& error) {
  HttpResponse response = ErrorResponse(error, dialect_.messages, "req_" + name_);
  service_.metrics.CountRequest(route_, response.status);
  for (auto& header : headers_) {
    const bool there = std::any_of(response.headers.begin(), response.headers.end(), [&](const auto& other) { return SameIgnoringCase(other.first, header.first); });
    if (!there) response.headers.push_back(header);
  }
  co_await exchange_.Respond(std::move(response));
}

awaitable<void> Answering::Send(std::string bytes) {
  if (exchange_.gone() || bytes.empty()) co_return;
  if (!begun_) {
    begun_ = true;
    std::string type(streams_ ? kEventStream : kJson);
    Headers headers = headers_;
    co_await exchange_.BeginStream(200, std::move(type), std::move(headers));
  }
  co_await exchange_.Write(std::move(bytes));
  written_ = Clock::now();
}

awaitable<void> Answering::WriteDeltas(const Completion& completion, const std::vector<Delta>& deltas) {
  std::string bytes;
  for (const Delta& delta : deltas) {
    ended_ += delta.ended;
    if (streams_) bytes += writer_->Write(completion, delta);
  }
  co_await Send(std::move(bytes));
}

// A client that gets its answer at once gets line ends in front of it: JSON may begin with them.
awaitable<void> Answering::KeepAlive() {
  if (Clock::now() - written_ < service_.limits.keep_alive) co_return;
  std::string sign = streams_ ? writer_->KeepAlive() : std::string("\n");
  co_await Send(std::move(sign));
}

awaitable<void> Answering::Follow(Completion& completion) {
  while (ended_ < completion.request().n) {
    co_await wake_.WaitUntil(written_ + service_.limits.keep_alive);
    if (exchange_.gone()) completion.Cancel();
    const std::vector<Delta> deltas = queue_->Take();
    co_await WriteDeltas(completion, deltas);
    co_await KeepAlive();
    if (exchange_.gone()) written_ = Clock::now();
  }
}

void Answering::Measure(const Completion& completion) {
  using Seconds = Metrics::Seconds;
  for (const auto& answer : completion.answers()) {
    if (!answer->ended() || !answer->good()) continue;
    const engine::Usage& usage = answer->ending().usage;
    service_.metrics.ObserveQueue(Seconds(usage.queue_seconds));
    service_.metrics.ObserveFirstToken(Seconds(usage.first_token_seconds));
    service_.metrics.ObserveTotal(Seconds(usage.total_seconds));
  }
}

awaitable<void> Answering::Record(const Completion& completion, int status) {
  Measure(completion);
  if (service_.ledger == nullptr) co_return;
  const completion::CompletionUsage usage = completion.Usage();
  ledger::UsageRecord record{.request_id = names_.id, .key = client_.key, .model = service_.model.name, .route = route_, .time = names_.created};
  record.prompt_tokens = usage.prompt_tokens;
  record.hit_tokens = usage.cached_tokens;
  record.miss_tokens = usage.prompt_tokens - usage.cached_tokens;
  record.completion_tokens = usage.completion_tokens;
  record.reasoning_tokens = usage.reasoning_tokens;
  record.choices = completion.request().n;
  record.status = status;
  const auto& first = *completion.answers().front();
  record.finish = status != 200 ? "failed" : std::string(first.FinishReason());
  record.queue_seconds = first.ending().usage.queue_seconds;
  record.first_token_seconds = first.ending().usage.first_token_seconds;
  record.total_seconds = first.ending().usage.total_seconds;
  const auto rates = service_.prices == nullptr || status >= 500 ? std::nullopt : service_.prices->RatesAt(record.model, record.time);
  if (rates) record.cost = rates->CostOf(record.hit_tokens, record.miss_tokens, record.completion_tokens);
  Wake recorded(service_.io);
  const auto written = std::make_shared<Status>();
  service_.ledger->Record(std::move(record), [written, notify = recorded.Notifier()](Status outcome) {
    *written = std::move(outcome);
    notify();
  });
  while (!co_await recorded.WaitFor(std::chrono::hours(1))) {
  }
  if (!*written) {
    service_.metrics.CountLedgerFailure();
    diagnostics::Warn("the ledger: a request could not be recorded: " + written->error().message);
  }
}

awaitable<void> Answering::Finish(const Completion& completion) {
  const bool left = exchange_.gone();
  const auto& failure = completion.failure();
  const int status = left ? 499 : failure ? failure->status : 200;
  if (status == 200 && service_.replay != nullptr) {
    for (std::size_t i = 0; i < completion.answers().size(); ++i) {
      const completion::Answer& answer = *completion.answers()[i];
      std::vector<std::string> ids;
      for (std::size_t call = 0; call < answer.reply().tool_calls.size(); ++call) {
        ids.push_back(completion::CallId(names_.id, static_cast<std::int64_t>(i), static_cast<std::int64_t>(call)));
      }
      KeepForReplay(completion.request(), answer, ids, *service_.replay);
    }
  }
  co_await Record(completion, status);
  if (left) {
    service_.metrics.CountRequest(route_, status);
    co_return;
  }
  if (failure && !begun_) {
    co_await Refuse(*failure);
    co_return;
  }
  service_.metrics.CountRequest(route_, status);
  if (!begun_ && !streams_) {
    HttpResponse response(200, writer_->Body(completion));
    response.headers = headers_;
    co_await exchange_.Respond(std::move(response));
    co_return;
  }
  std::string last;
  if (streams_) {
    last = failure ? writer_->Fail(*failure) : writer_->End(completion);
  } else {
    last = failure ? ErrorResponse(*failure, dialect_.messages, "req_" + name_).body : writer_->Body(completion);
  }
  co_await Send(std::move(last));
  co_await exchange_.EndStream();
}

awaitable<void> Answering::Run() {
  if (const auto error = Overload()) {
    co_await Refuse(*error);
    co_return;
  }
  const OpenRequest open(service_);
  if (const auto error = TakePermit()) {
    co_await Refuse(*error);
    co_return;
  }
  std::string body = std::move(exchange_.request().body);
  boost::asio::thread_pool& pool = service_.WorkerFor(body);
  const auto reading = [&] { return Read(std::move(body)); };
  Checked<ReadBody> read = co_await OnWorker(pool, reading);
  if (!read) {
    co_await Refuse(read.error());
    co_return;
  }
  streams_ = read->request.stream;
  exchange_.OnGone(wake_.Notifier());
  const auto starting = [&] { return Start(std::move(read->request)); };
  Checked<Started> started = co_await OnWorker(pool, starting);
  if (!started) {
    co_await Refuse(started.error());
    co_return;
  }
  SetHeaders(started->replayed);
  Completion& completion = *started->completion;
  writer_ = read->make_writer(completion, service_.model, names_);
  if (streams_) {
    std::string first = writer_->Begin();
    co_await Send(std::move(first));
  }
  co_await Follow(completion);
  co_await Finish(completion);
}

}  // namespace

awaitable<void> AnswerCompletion(Service& service, const Dialect& dialect, std::string route, Exchange& exchange) {
  Answering answering(service, dialect, std::move(route), exchange);
  co_await answering.Run();
}

}  // namespace baleen::server
