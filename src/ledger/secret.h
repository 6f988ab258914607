#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "diagnostics/result.h"

namespace baleen::ledger {

using Hash = std::array<unsigned char, 32>;

/// FIPS 180-4. A secret has 256 random bits, so that its plain hash cannot be turned back.
Hash Sha256(std::string_view bytes);

/// Takes the same time wherever the two differ.
bool SameHash(const Hash& a, const Hash& b) noexcept;

/// "sk-baleen-" and 64 hexadecimal digits from the kernel's generator. Errors: the kernel gives no random bytes.
Result<std::string> MakeSecret();

}  // namespace baleen::ledger
