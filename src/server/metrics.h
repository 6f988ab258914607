#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"

namespace baleen::server {

/// Percentiles of durations, in seconds, read off a histogram: exact to the width of its buckets, about a quarter.
struct Percentiles {
  double p50 = 0, p90 = 0, p99 = 0;
  std::uint64_t count = 0;
};

/// How things are, read when somebody asks.
struct Gauges {
  engine::Statistics engine;
  std::int64_t open_requests = 0;  // accepted by the server and not ended
  std::int64_t connections = 0;
  bool healthy = true;
  double idle_seconds = 0;  // the engine's thread had nothing to do
  std::vector<std::pair<std::string, std::uint64_t>> memory;  // what it is for, bytes
};

/// The numbers of /metrics and /v1/status. Nothing of a request's text is in them. Safe to use from several threads.
class Metrics {
 public:
  using Seconds = std::chrono::duration<double>;

  Metrics();
  ~Metrics();

  /// A request was answered. route: as in the table of routes, never as a client wrote it.
  void CountRequest(const std::string& route, int status);
  void CountRefused(const std::string& why);  // too many requests, quota, draining
  void CountReplayed(std::int64_t turns, std::int64_t reasonings);
  void CountLedgerFailure();

  void ObserveQueue(Seconds time);
  void ObserveFirstToken(Seconds time);
  void ObserveBetweenTokens(Seconds time);
  void ObserveTotal(Seconds time);

  std::int64_t refused() const;
  Percentiles Queue() const;
  Percentiles FirstToken() const;
  Percentiles BetweenTokens() const;

  /// The text of /metrics.
  std::string Text(const Gauges& gauges);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace baleen::server
