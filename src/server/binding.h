#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "diagnostics/result.h"

namespace baleen::server {

/// Where to listen.
struct Binding {
  std::string host = "127.0.0.1";  // an address or a name; of a name the first address is taken
  std::uint16_t port = 8080;       // 0: the system picks one
  std::string tls_certificate;     // PEM files; both empty: plain HTTP
  std::string tls_key;
};

/// True for localhost, 127.0.0.0/8 and ::1 (with or without brackets): only this machine can reach it.
bool IsLoopback(std::string_view host);

/// Errors: the host is no loopback address and there is no key, so anybody could use the machine.
Status CheckBinding(std::string_view host, bool has_key);

/// Whether a server bound to a loopback address may answer a request with this Host field (against DNS rebinding): localhost, 127.0.0.1,
/// [::1] and the bound address, with any port. Elsewhere every host is allowed.
bool IsHostAllowed(std::string_view bound_host, std::string_view host_field);

}  // namespace baleen::server
