#pragma once

#include <boost/asio/awaitable.hpp>

#include "server/dialect.h"
#include "server/exchange.h"
#include "server/service.h"

namespace baleen::server {

/// Answers one request for a completion, from its body to its last byte: reads and checks it, asks the ledger, lets the engine run, writes what
/// comes as it comes (or all at the end), and records what was used before the last byte is sent. A client that goes ends its request.
boost::asio::awaitable<void> AnswerCompletion(Service& service, const Dialect& dialect, std::string route, Exchange& exchange);

}  // namespace baleen::server
