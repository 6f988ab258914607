#include "server/binding.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "server/http.h"

namespace baleen::server {
namespace {

std::string_view WithoutBrackets(std::string_view host) {
  return host.size() > 2 && host.front() == '[' && host.back() == ']' ? host.substr(1, host.size() - 2) : host;
}

// "name:port" or "[address]:port" without its port; empty if that is none.
std::string_view WithoutPort(std::string_view field) {
  const std::size_t bracket = field.rfind(']');
  const std::size_t colon = field.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon == std::string_view::npos) return field;
  const std::string_view port = field.substr(colon + 1);
  if (port.size() > 5 || !std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; })) return {};
  return field.substr(0, colon);
}

}  // namespace

bool IsLoopback(std::string_view host) {
  if (SameIgnoringCase(host, "localhost")) return true;
  boost::system::error_code fault;
  const auto address = boost::asio::ip::make_address(std::string(WithoutBrackets(host)), fault);
  return !fault && address.is_loopback();
}

Status CheckBinding(std::string_view host, bool has_key) {
  if (has_key || IsLoopback(host)) return {};
  return diagnostics::InvalidInput("--host " + diagnostics::Quoted(host) + ": expected a loopback address (127.0.0.1) as long as there is no key, found one that other " +
                                   "machines can reach; give --api-key, or make a key in a ledger: baleen keys create NAME --ledger FILE");
}

bool IsHostAllowed(std::string_view bound_host, std::string_view host_field) {
  if (!IsLoopback(bound_host)) return true;
  const std::string_view host = WithoutPort(host_field);
  return SameIgnoringCase(host, "localhost") || host == "127.0.0.1" || host == "[::1]" || SameIgnoringCase(WithoutBrackets(host), WithoutBrackets(bound_host));
}

}  // namespace baleen::server
