#include "hardware/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace baleen::hardware {
namespace {

using diagnostics::InvalidInput;
using diagnostics::NotFound;
using diagnostics::Quoted;
using diagnostics::ResourceError;

diagnostics::Error SystemError(const std::filesystem::path& path, const char* action, int code) {
  const std::string message = Quoted(path.string(), 300) + ": cannot " + action + ": " + std::strerror(code);
  return code == ENOENT || code == ENOTDIR ? NotFound(message) : ResourceError(message);
}

struct OpenFile {
  int descriptor = -1;
  std::uint64_t size = 0;
};

Result<OpenFile> OpenRegular(const std::filesystem::path& path) {
  // O_NONBLOCK: a named pipe must be refused below, not waited for here.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return SystemError(path, "open", errno);
  struct stat info {};
  if (fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(descriptor);
    return InvalidInput(Quoted(path.string(), 300) + ": expected a regular file, found a folder, device or pipe");
  }
  return OpenFile{descriptor, static_cast<std::uint64_t>(info.st_size)};
}

}  // namespace

Result<std::string> ReadFile(const std::filesystem::path& path, std::uint64_t limit_bytes) {
  TRY_ASSIGN(const OpenFile file, OpenRegular(path));
  std::string text;
  if (file.size > limit_bytes) {
    close(file.descriptor);
    return InvalidInput(Quoted(path.string(), 300) + ": expected at most " + std::to_string(limit_bytes) + " bytes, found " + std::to_string(file.size));
  }
  text.resize(file.size);
  std::uint64_t done = 0;
  while (done < file.size) {
    const ssize_t got = read(file.descriptor, text.data() + done, file.size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int code = errno;
      close(file.descriptor);
      return SystemError(path, "read", code);
    }
    if (got == 0) break;
    done += static_cast<std::uint64_t>(got);
  }
  text.resize(done);
  close(file.descriptor);
  return text;
}

Result<std::uint64_t> FreeDiskBytes(const std::filesystem::path& path) {
  std::filesystem::path folder = path;
  std::error_code code;
  if (!std::filesystem::is_directory(folder, code)) folder = folder.has_parent_path() ? folder.parent_path() : ".";
  struct statvfs info {};
  if (statvfs(folder.c_str(), &info) != 0) return SystemError(folder, "ask for its free space", errno);
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

AtomicFile::AtomicFile(std::filesystem::path target, std::filesystem::path partial, int descriptor)
    : target_(std::move(target)), partial_(std::move(partial)), descriptor_(descriptor) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : target_(std::move(other.target_)), partial_(std::move(other.partial_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

/// A device such as /dev/null or /dev/full is written as it is: a file put in its place would take it away from everyone.
Result<AtomicFile> AtomicFile::OpenDevice(const std::filesystem::path& path) {
  std::error_code code;
  if (!std::filesystem::is_character_file(path, code)) {
    return InvalidInput("'" + Quoted(path.string(), 300) + "': expected the name of a file to write, found a pipe, socket or disk");
  }
  const int descriptor = open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
  if (descriptor < 0) return SystemError(path, "open", errno);
  return AtomicFile(path, {}, descriptor);
}

Result<AtomicFile> AtomicFile::Create(const std::filesystem::path& path) {
  std::error_code code;
  if (path.empty() || !path.has_filename() || std::filesystem::is_directory(path, code)) {
    return InvalidInput("'" + Quoted(path.string(), 300) + "': expected the name of a file to write, found a folder");
  }
  if (std::filesystem::exists(path, code) && !std::filesystem::is_regular_file(path, code)) return OpenDevice(path);
  const std::filesystem::path partial = path.string() + ".partial-" + std::to_string(getpid());
  const int descriptor = open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) return SystemError(path, "create", errno);
  return AtomicFile(path, partial, descriptor);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  close(descriptor_);
  if (!partial_.empty()) unlink(partial_.c_str());
}

Status AtomicFile::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t done = write(descriptor_, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return SystemError(target_, "write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
  return {};
}

Status AtomicFile::Commit() {
  if (fsync(descriptor_) != 0 && errno != EINVAL) return SystemError(target_, "sync", errno);
  const int descriptor = std::exchange(descriptor_, -1);
  if (partial_.empty()) return close(descriptor) == 0 ? Status() : SystemError(target_, "write", errno);
  if (close(descriptor) != 0 || rename(partial_.c_str(), target_.c_str()) != 0) {
    const int code = errno;
    unlink(partial_.c_str());
    return SystemError(target_, "put in place", code);
  }
  return {};
}

Result<Mapping> Mapping::Open(const std::filesystem::path& path) {
  TRY_ASSIGN(const OpenFile file, OpenRegular(path));
  if (file.size == 0) {
    close(file.descriptor);
    return Mapping(nullptr, 0);
  }
  void* data = mmap(nullptr, file.size, PROT_READ, MAP_SHARED, file.descriptor, 0);
  const int code = errno;
  close(file.descriptor);
  if (data == MAP_FAILED) return SystemError(path, "map", code);
  return Mapping(static_cast<const std::byte*>(data), file.size);
}

Mapping::~Mapping() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

Mapping::Mapping(Mapping&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace baleen::hardware
