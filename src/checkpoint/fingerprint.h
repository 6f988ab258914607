#pragma once

#include <array>
#include <cstdint>
#include <filesystem>

#include "checkpoint/checkpoint.h"

namespace baleen::checkpoint {

/// 128 bits that differ when the config or any byte of a tensor file differs: XXH3-128 over the hashes of config.json (as it stands) and
/// of every shard, in order. Low word first.
using Fingerprint = std::array<std::uint64_t, 2>;

/// Reads every shard whole; shows a progress bar when long. With a `memory` folder the result is kept there under the files' device, inode,
/// size and times of change, and read back while these are the same; files that changed within the last seconds are not remembered.
/// Errors: config.json cannot be read any more. A memory that cannot be used is no error.
Result<Fingerprint> FingerprintOf(const Checkpoint& checkpoint, const std::filesystem::path& memory = {});

}  // namespace baleen::checkpoint
