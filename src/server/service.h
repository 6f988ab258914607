#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "completion/completion.h"
#include "engine/engine.h"
#include "ledger/ledger.h"
#include "ledger/price_list.h"
#include "server/engine_thread.h"
#include "server/metrics.h"
#include "server/replay_memory.h"

namespace baleen::server {

/// What the dashboard shows of the model that is served; settled at the start.
struct ModelFacts {
  std::string folder_name, drafts, isa;
  std::int64_t threads = 0;
  std::int64_t created = 0;                                   // unix seconds, of the weights
  std::vector<std::pair<std::string, std::uint64_t>> memory;  // what it is for, bytes
};

struct ServiceLimits {
  std::int64_t requests = 256;                  // accepted and not ended; beyond: refused at once
  engine::Deadlines deadlines;                  // of every choice
  std::chrono::milliseconds keep_alive{5'000};  // silence before a sign is sent to a client that waits
  std::chrono::milliseconds stall{60'000};      // an engine without a sign for so long is unwell
};

inline constexpr std::size_t kLargeBody = std::size_t{1} << 18;  // bytes

/// Who sent a request; in HttpRequest::identity.
struct Client {
  std::optional<std::int64_t> key;  // of the ledger; nothing: the one key of the command line, or no key needed
  std::string name;                 // for usage; empty without a ledger's key
};

/// All that the endpoints share. It, and what it points to, outlives the server's coroutines. What is not said to be of another thread belongs to the
/// I/O thread.
struct Service {
  explicit Service(boost::asio::any_io_executor executor) : io(std::move(executor)) {}

  boost::asio::any_io_executor io;
  // Bodies are read, prompts encoded and grammars compiled on a worker: large ones one after another, so that they keep nobody waiting.
  boost::asio::thread_pool workers{2}, large_worker{1};

  engine::Engine* engine = nullptr;
  completion::EngineCalls calls;
  completion::ServedModel model;
  ModelFacts facts;
  EngineThread* engine_thread = nullptr;

  std::string api_key;                // empty: none
  ledger::Ledger* ledger = nullptr;   // null: none
  const ledger::PriceList* prices = nullptr;
  ReplayMemory* replay = nullptr;
  Metrics metrics;
  ServiceLimits limits;
  std::function<std::int64_t()> connections;  // open ones

  std::int64_t open_requests = 0;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();

  boost::asio::thread_pool& WorkerFor(const std::string& body) { return body.size() > kLargeBody ? large_worker : workers; }
  /// Where it is the same, so are the bits of an answer with a seed.
  std::string Fingerprint() const { return "fp_" + model.name + "_" + facts.isa; }
  std::string Trouble() const { return engine_thread->Trouble(limits.stall); }
};

/// Whose prefix cache a request uses: tenants are apart by key and by the user that the client names.
std::string TenantOf(const Client& client, const std::string& user);

/// A random word that names one response, of 128 bits in letters and digits.
std::string DrawName();
std::uint64_t DrawSeed();

}  // namespace baleen::server
