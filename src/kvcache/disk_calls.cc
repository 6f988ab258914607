#include "kvcache/disk_calls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace baleen::kvcache {
namespace {

template <typename T>
T OrError(T result) {
  return result < 0 ? -errno : result;
}

int WriteWhole(const DiskCalls& calls, int file, std::span<const std::byte> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t done = calls.write(file, bytes, offset);
    if (done == -EINTR) continue;
    if (done < 0) return static_cast<int>(-done);
    if (done == 0) return EIO;
    bytes = bytes.subspan(static_cast<std::size_t>(done));
    offset += static_cast<std::uint64_t>(done);
  }
  return 0;
}

}  // namespace

DiskCalls DiskCalls::Real() {
  return {
      .open =
          [](int folder, const char* name, int flags) {
            // O_NONBLOCK: a pipe in the place of a record must not be waited for. A ring would take it as "do not wait" for writes.
            const int wait = (flags & O_CREAT) != 0 ? 0 : O_NONBLOCK;
            return OrError(openat(folder, name, flags | wait | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600));
          },
      .write = [](int file, std::span<const std::byte> bytes,
                  std::uint64_t offset) { return OrError(pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset))); },
      .read = [](int file, std::span<std::byte> bytes,
                 std::uint64_t offset) { return OrError(pread(file, bytes.data(), bytes.size(), static_cast<off_t>(offset))); },
      .sync = [](int file) { return OrError(fsync(file)); },
      .make_folder = [](int folder, const char* name) { return OrError(mkdirat(folder, name, 0700)); },
      .rename = [](int folder, const char* from, const char* to) { return OrError(renameat(folder, from, folder, to)); },
      .remove = [](int folder, const char* name) { return OrError(unlinkat(folder, name, 0)); },
      .set_time =
          [](int folder, const char* name, std::int64_t time_ns) {
            const timespec times[2] = {{0, UTIME_OMIT}, {time_ns / 1'000'000'000, time_ns % 1'000'000'000}};
            return OrError(utimensat(folder, name, times, AT_SYMLINK_NOFOLLOW));
          },
  };
}

Descriptor::~Descriptor() {
  if (number_ >= 0) close(number_);
}

void WriteFiles(const DiskCalls& calls, std::span<FileWrite> files) {
  for (FileWrite& write : files) {
    write.error = WriteWhole(calls, write.file, write.head, 0);
    if (write.error == 0) write.error = WriteWhole(calls, write.file, write.body, write.head.size());
  }
  // All are written before the first is synced: one pass of the disk may then serve several.
  for (FileWrite& write : files) {
    if (write.error == 0) write.error = -calls.sync(write.file);
  }
}

}  // namespace baleen::kvcache
