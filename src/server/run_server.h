#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>

#include "diagnostics/result.h"
#include "server/router.h"
#include "server/service.h"
#include "server/settings.h"

namespace baleen::server {

/// The table of all routes.
Router MakeRouter(Service& service);

/// Listens, calls `ready` with the address, and serves until SIGTERM or SIGINT: then nothing new is taken and what runs may finish within
/// drain_time; a second signal stops at once. `io` is the context of service.io. Nothing of the service is used any more once it returns, but
/// completions that were cut off may still be in the engine.
/// Errors: an address that is not allowed without a key, is unknown or taken; a TLS file that cannot be used.
Status RunServer(boost::asio::io_context& io, Service& service, const ServerSettings& settings, const std::function<void(const std::string& address)>& ready);

}  // namespace baleen::server
