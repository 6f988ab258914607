#pragma once

#include "server/router.h"
#include "server/service.h"

namespace baleen::server {

/// Adds what answers without the engine: /health, /ready, /metrics, /v1/status, /v1/models, /v1/usage, /user/balance, /openapi.json, and the page.
void AddPlainRoutes(Service& service, Router& router);


}  // namespace baleen::server
