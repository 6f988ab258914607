#pragma once

#include "server/http.h"
#include "server/service.h"

namespace baleen::server {

Gauges GaugesOf(const Service& service);

/// GET /v1/status: how the server is, for the dashboard. A key of the ledger sees its own usage only. Reads the ledger's file.
HttpResponse StatusOf(Service& service, const HttpRequest& request);

/// GET /v1/usage?since=…&until=…&model=…: sums of the ledger (times as ledger::ParseTime reads them). A key of the ledger sees its own. Reads the ledger's file.
HttpResponse UsageOf(Service& service, const HttpRequest& request);

/// GET /user/balance, in the vendor's shape: what the key's money quotas leave.
HttpResponse BalanceOf(const Service& service, const HttpRequest& request);

}  // namespace baleen::server
