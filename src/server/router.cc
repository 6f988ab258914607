#include "server/router.h"

#include <algorithm>
#include <utility>

namespace baleen::server {
namespace {

// The length of what a route's path fixes, or nothing if `path` does not lie on it. An exact path counts more than any "/*".
std::size_t Fit(std::string_view route, std::string_view path) {
  if (!route.ends_with("/*")) return route == path ? std::string_view::npos : 0;
  const std::string_view prefix = route.substr(0, route.size() - 1);
  return path.starts_with(prefix) ? prefix.size() : 0;
}

}  // namespace

void Router::Add(std::string method, std::string path, Access access, Endpoint endpoint) {
  routes_.push_back({std::move(method), std::move(path), access, std::move(endpoint)});
}

Router::Match Router::Find(std::string_view method, std::string_view path) const {
  std::size_t best = 0;
  for (const Route& route : routes_) best = std::max(best, Fit(route.path, path));
  Match match;
  if (best == 0) return match;
  bool options = false;
  for (const Route& route : routes_) {
    if (Fit(route.path, path) != best) continue;
    match.open = match.open || route.access == Access::kOpen;
    match.allow += route.method + ", " + (route.method == "GET" ? "HEAD, " : "");
    options = options || route.method == "OPTIONS";
    if (route.method == method || (route.method == "GET" && method == "HEAD")) match.route = &route;
  }
  match.allow += options ? "" : "OPTIONS, ";
  match.allow.resize(match.allow.size() - 2);
  return match;
}

}  // namespace baleen::server
