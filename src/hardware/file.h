#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "diagnostics/result.h"

namespace baleen::hardware {

/// The whole regular file as bytes. Errors: missing, not a regular file, unreadable, larger than limit_bytes.
Result<std::string> ReadFile(const std::filesystem::path& path, std::uint64_t limit_bytes);

/// Bytes an unprivileged process may still write where `path` will stand (its folder must exist).
Result<std::uint64_t> FreeDiskBytes(const std::filesystem::path& path);

/// A file that appears under its name only when it is whole: written beside as NAME.partial-PID, synced and renamed by Commit;
/// removed by the destructor otherwise. A character device is written directly. Not thread-safe.
class AtomicFile {
 public:
  /// Errors: the folder is missing or not writable, `path` is a folder, pipe, socket or disk.
  static Result<AtomicFile> Create(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;

  Status Write(std::span<const std::byte> bytes);
  Status Write(std::string_view text) { return Write(std::as_bytes(std::span(text))); }
  Status Commit();

 private:
  static Result<AtomicFile> OpenDevice(const std::filesystem::path& path);
  AtomicFile(std::filesystem::path target, std::filesystem::path partial, int descriptor);
  std::filesystem::path target_, partial_;  // no partial_: a device, written directly
  int descriptor_;
};

/// A read-only map of a whole file; pages are read when touched.
class Mapping {
 public:
  /// Errors: missing, not a regular file, unreadable. An empty file gives an empty map.
  static Result<Mapping> Open(const std::filesystem::path& path);
  ~Mapping();
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;

  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

 private:
  Mapping(const std::byte* data, std::size_t size) : data_(data), size_(size) {}
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace baleen::hardware
