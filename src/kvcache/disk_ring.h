#pragma once

#include <functional>
#include <memory>
#include <span>

#include "kvcache/disk_calls.h"

namespace baleen::kvcache {

/// An io_uring of the kernel, used by one thread.
class DiskRing {
 public:
  /// Null when the build, the kernel or the container has none; files are then written without it.
  static std::unique_ptr<DiskRing> Create(std::function<int(int result)> seen_result);
  virtual ~DiskRing() = default;

  /// Writes the files whole and syncs them, many pieces at once. false: the ring itself failed and must not be used again; nothing is known
  /// of the files, and writing them once more from their start is right.
  virtual bool WriteFiles(std::span<FileWrite> files) = 0;
};

}  // namespace baleen::kvcache
