#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>

namespace baleen::kvcache {

/// The system calls that a store makes, so that a test can let any of them fail. All take names of one part beneath an open folder, follow
/// no symbolic link, and return what the call returns or -errno.
struct DiskCalls {
  std::function<int(int folder, const char* name, int flags)> open;  // files are made with mode 0600
  std::function<ssize_t(int file, std::span<const std::byte> bytes, std::uint64_t offset)> write;
  std::function<ssize_t(int file, std::span<std::byte> bytes, std::uint64_t offset)> read;
  std::function<int(int file)> sync;
  std::function<int(int folder, const char* name)> make_folder;  // mode 0700
  std::function<int(int folder, const char* from, const char* to)> rename;
  std::function<int(int folder, const char* name)> remove;
  std::function<int(int folder, const char* name, std::int64_t time_ns)> set_time;  // of change, since 1970

  bool ring = true;                            // files are written through io_uring where it works, otherwise with `write` and `sync`
  std::function<int(int result)> ring_result;  // if set, sees each result of the ring and may replace it

  /// The calls of the system.
  static DiskCalls Real();
};

/// An open file or folder, closed in the end.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }

  int number() const noexcept { return number_; }  // negative: none, or -errno of the failed open
  explicit operator bool() const noexcept { return number_ >= 0; }

 private:
  int number_ = -1;
};

/// One file to be written from its start: `head`, then `body`. `error` is what became of it: 0, or an errno.
struct FileWrite {
  int file = -1;
  std::span<const std::byte> head;
  std::span<const std::byte> body;
  int error = 0;
};

/// Writes the files whole and syncs them, with write and sync of `calls`.
void WriteFiles(const DiskCalls& calls, std::span<FileWrite> files);

}  // namespace baleen::kvcache
