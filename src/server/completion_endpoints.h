#pragma once

#include "server/router.h"
#include "server/service.h"

namespace baleen::server {

/// Adds what the engine answers, in all dialects, and what only encodes: /tokenize, /v1/messages/count_tokens.
void AddCompletionRoutes(Service& service, Router& router);

}  // namespace baleen::server
