#pragma once

#include <string>
#include <string_view>

#include "diagnostics/result.h"

namespace baleen::server {

/// The target of a request line, taken apart.
struct Target {
  std::string path;       // percent-decoded; "*" for the target of OPTIONS that means the server
  std::string query;      // without '?', as sent
  std::string authority;  // of the absolute form ("http://HOST/…"); it stands for the Host field then
};

/// Errors: no path and no http(s) URL, a broken percent-encoding, a control character or NUL in the path (also encoded), a "." or ".." segment
/// (also encoded), a fragment.
Result<Target> ReadTarget(std::string_view target);

}  // namespace baleen::server
