#pragma once

#include <optional>

#include "server/http.h"
#include "server/service.h"

namespace baleen::server {

/// Whether requests need a key: one was given on the command line, or the ledger has any.
bool NeedsKey(const Service& service);

/// Finds the key of a request, "Authorization: Bearer KEY" or "x-api-key: KEY", and sets its identity to a Client. The answer that refuses it if
/// a key is needed and this is none. Keys are compared in constant time; without keys a sent one is ignored.
std::optional<HttpResponse> Authorize(const Service& service, HttpRequest& request);

}  // namespace baleen::server
