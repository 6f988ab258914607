#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/exchange.h"

namespace baleen::server {

/// Who may use a route.
enum class Access {
  kOpen,  // everybody
  kKey,   // whom the authorize hook lets pass
};

struct Route {
  std::string method;  // GET also answers HEAD
  std::string path;    // exact; ending in "/*": everything below
  Access access = Access::kKey;
  Endpoint endpoint;
};

/// The table of what is served. Exact paths go before "/*", a longer "/*" before a shorter.
class Router {
 public:
  void Add(std::string method, std::string path, Access access, Endpoint endpoint);

  struct Match {
    const Route* route = nullptr;  // null: no such path, or not this method
    std::string allow;             // the methods of the path, "GET, HEAD, OPTIONS"; empty: no such path
    bool open = false;             // some route of this path is kOpen
  };
  Match Find(std::string_view method, std::string_view path) const;

  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

}  // namespace baleen::server
