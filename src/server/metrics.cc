#include "server/metrics.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace baleen::server {
namespace {

// 100 µs to 1,000 s, each a quarter above the one before.
prometheus::Histogram::BucketBoundaries Buckets() {
  prometheus::Histogram::BucketBoundaries bounds;
  for (double bound = 1e-4; bound < 1e3; bound *= 1.25) bounds.push_back(bound);
  return bounds;
}

Percentiles PercentilesOf(const prometheus::Histogram& histogram) {
  const prometheus::ClientMetric::Histogram held = histogram.Collect().histogram;
  const auto at = [&](double share) {
    double below = 0;
    for (const prometheus::ClientMetric::Bucket& bucket : held.bucket) {
      if (bucket.cumulative_count >= share * static_cast<double>(held.sample_count)) return std::isinf(bucket.upper_bound) ? below : bucket.upper_bound;
      below = bucket.upper_bound;
    }
    return below;
  };
  if (held.sample_count == 0) return {};
  return {.p50 = at(0.5), .p90 = at(0.9), .p99 = at(0.99), .count = held.sample_count};
}

}  // namespace

struct Metrics::Parts {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests = prometheus::BuildCounter().Name("baleen_requests_total").Help("Requests answered, by route and status.").Register(registry);
  prometheus::Family<prometheus::Counter>& refusals = prometheus::BuildCounter().Name("baleen_refused_total").Help("Requests refused before they began, by reason.").Register(registry);
  prometheus::Counter& replayed = Counter("baleen_replayed_turns_total", "Turns of assistants that were rendered from the very tokens that were sampled.");
  prometheus::Counter& restored = Counter("baleen_restored_reasoning_total", "Turns whose reasoning a client left out and that got it back.");
  prometheus::Counter& ledger_failures = Counter("baleen_ledger_failures_total", "Requests whose record could not be written to the ledger.");
  prometheus::Histogram& queue = Histogram("baleen_queue_seconds", "From the submission of a choice to its first step.");
  prometheus::Histogram& first_token = Histogram("baleen_first_token_seconds", "From the submission of a choice to its first token.");
  prometheus::Histogram& between = Histogram("baleen_inter_token_seconds", "Between two tokens of a choice.");
  prometheus::Histogram& total = Histogram("baleen_request_seconds", "From the submission of a choice to its end.");
  prometheus::Gauge& running = Gauge("baleen_requests_running", "Choices that the engine computes.");
  prometheus::Gauge& waiting = Gauge("baleen_requests_waiting", "Choices that wait for the engine.");
  prometheus::Gauge& open = Gauge("baleen_requests_open", "Requests that the server accepted and that have not ended.");
  prometheus::Gauge& connections = Gauge("baleen_connections", "Open connections.");
  prometheus::Gauge& healthy = Gauge("baleen_engine_healthy", "1 while the engine gives signs of life.");
  prometheus::Family<prometheus::Gauge>& blocks = prometheus::BuildGauge().Name("baleen_kv_blocks").Help("Blocks of attention memory: all, those in the prefix cache, and those of sequences alone.").Register(registry);
  prometheus::Family<prometheus::Gauge>& memory = prometheus::BuildGauge().Name("baleen_memory_bytes").Help("Planned memory, by use.").Register(registry);
  prometheus::Family<prometheus::Counter>& choices = prometheus::BuildCounter().Name("baleen_choices_total").Help("Choices, by how they went.").Register(registry);
  prometheus::Family<prometheus::Counter>& tokens = prometheus::BuildCounter().Name("baleen_tokens_total").Help("Tokens, by what was done with them.").Register(registry);
  prometheus::Family<prometheus::Counter>& drafts =
      prometheus::BuildCounter().Name("baleen_draft_tokens_total").Help("Drafted tokens by place in the draft, and those of them that were accepted.").Register(registry);
  prometheus::Counter& steps = Counter("baleen_engine_steps_total", "Steps of the engine.");
  prometheus::Counter& idle = Counter("baleen_engine_idle_seconds_total", "How long the engine had nothing to do.");
  std::atomic<std::int64_t> refused = 0;

  prometheus::Counter& Counter(const std::string& name, const std::string& help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
  }
  prometheus::Gauge& Gauge(const std::string& name, const std::string& help) { return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({}); }
  prometheus::Histogram& Histogram(const std::string& name, const std::string& help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, Buckets());
  }

  // What the engine counts is taken over as it stands.
  static void Take(prometheus::Counter& counter, double value) {
    const double more = value - counter.Value();
    if (more > 0) counter.Increment(more);
  }
  static void Take(prometheus::Counter& counter, std::int64_t value) { Take(counter, static_cast<double>(value)); }
  void TakeEngine(const engine::Statistics& engine);
};

void Metrics::Parts::TakeEngine(const engine::Statistics& engine) {
  running.Set(static_cast<double>(engine.running));
  waiting.Set(static_cast<double>(engine.waiting));
  blocks.Add({{"use", "all"}}).Set(static_cast<double>(engine.blocks));
  blocks.Add({{"use", "sequences"}}).Set(static_cast<double>(std::max<std::int64_t>(0, engine.used_blocks - engine.cached_blocks)));
  blocks.Add({{"use", "cache"}}).Set(static_cast<double>(engine.cached_blocks));
  Take(steps, engine.steps);
  const std::pair<const char*, std::int64_t> ways[] = {{"submitted", engine.submitted}, {"ended", engine.ended},     {"failed", engine.failed},
                                                       {"cancelled", engine.cancelled}, {"expired", engine.expired}, {"preempted", engine.preempted}};
  for (const auto& [way, count] : ways) Take(choices.Add({{"way", way}}), count);
  const std::pair<const char*, std::int64_t> kinds[] = {{"prefill", engine.prefill_tokens}, {"decode", engine.decode_tokens}, {"cached", engine.cached_tokens}};
  for (const auto& [kind, count] : kinds) Take(tokens.Add({{"kind", kind}}), count);
  for (std::size_t place = 0; place < engine.drafted_at.size(); ++place) {
    if (engine.drafted_at[place] == 0) continue;
    Take(drafts.Add({{"place", std::to_string(place)}, {"what", "drafted"}}), engine.drafted_at[place]);
    Take(drafts.Add({{"place", std::to_string(place)}, {"what", "accepted"}}), engine.accepted_at[place]);
  }
}

Metrics::Metrics() : parts_(std::make_unique<Parts>()) {}
Metrics::~Metrics() = default;

void Metrics::CountRequest(const std::string& route, int status) { parts_->requests.Add({{"route", route}, {"status", std::to_string(status)}}).Increment(); }

void Metrics::CountRefused(const std::string& why) {
  parts_->refusals.Add({{"why", why}}).Increment();
  ++parts_->refused;
}

void Metrics::CountReplayed(std::int64_t turns, std::int64_t reasonings) {
  parts_->replayed.Increment(static_cast<double>(turns));
  parts_->restored.Increment(static_cast<double>(reasonings));
}

void Metrics::CountLedgerFailure() { parts_->ledger_failures.Increment(); }

void Metrics::ObserveQueue(Seconds time) { parts_->queue.Observe(time.count()); }
void Metrics::ObserveFirstToken(Seconds time) { parts_->first_token.Observe(time.count()); }
void Metrics::ObserveBetweenTokens(Seconds time) { parts_->between.Observe(time.count()); }
void Metrics::ObserveTotal(Seconds time) { parts_->total.Observe(time.count()); }

std::int64_t Metrics::refused() const { return parts_->refused; }
Percentiles Metrics::Queue() const { return PercentilesOf(parts_->queue); }
Percentiles Metrics::FirstToken() const { return PercentilesOf(parts_->first_token); }
Percentiles Metrics::BetweenTokens() const { return PercentilesOf(parts_->between); }

std::string Metrics::Text(const Gauges& gauges) {
  parts_->TakeEngine(gauges.engine);
  parts_->open.Set(static_cast<double>(gauges.open_requests));
  parts_->connections.Set(static_cast<double>(gauges.connections));
  parts_->healthy.Set(gauges.healthy ? 1 : 0);
  Parts::Take(parts_->idle, gauges.idle_seconds);
  for (const auto& [use, bytes] : gauges.memory) parts_->memory.Add({{"use", use}}).Set(static_cast<double>(bytes));
  return prometheus::TextSerializer().Serialize(parts_->registry.Collect());
}

}  // namespace baleen::server
