#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "diagnostics/result.h"

namespace baleen::apps {

/// Reads a file line by line without holding more of it than one line.
class LineReader {
 public:
  struct Line {
    std::uint64_t number = 0;  // from 1, blank lines counted
    std::string text;          // without its end, LF or CRLF, and without a byte order mark in front of the first
    bool too_long = false;     // only its first bytes are kept
    bool ended = false;        // it has its LF
    std::uint64_t end = 0;     // the offset behind it in the file
  };

  /// most_bytes: of a line, that are kept. Errors: missing, not a regular file, unreadable.
  static Result<LineReader> Open(const std::filesystem::path& path, std::size_t most_bytes);
  LineReader(LineReader&& other) noexcept;
  LineReader& operator=(LineReader&&) = delete;
  ~LineReader();

  /// The next line, or nothing at the end. Errors: the file cannot be read.
  Result<std::optional<Line>> Next();
  /// The next line that holds more than white space.
  Result<std::optional<Line>> NextFilled();

 private:
  LineReader(std::filesystem::path path, int descriptor, std::size_t most_bytes);
  Result<bool> Fill();

  std::filesystem::path path_;
  int descriptor_;
  std::size_t most_bytes_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, filled_ = 0;  // what of the buffer is not read yet
  std::uint64_t number_ = 0, offset_ = 0;
};

/// How many lines of a file hold more than white space.
Result<std::uint64_t> CountFilledLines(const std::filesystem::path& path);

/// A file of lines that grows under the name NAME.partial and gets its own name when it is whole. What an earlier run wrote is kept. One
/// process at a time.
class GrowingFile {
 public:
  /// Errors: the folder is missing or not writable, another process writes the file.
  static Result<GrowingFile> Open(const std::filesystem::path& path);
  static std::filesystem::path PartialPath(const std::filesystem::path& path);
  GrowingFile(GrowingFile&& other) noexcept;
  GrowingFile& operator=(GrowingFile&&) = delete;
  ~GrowingFile();

  /// Cuts off what stands behind so many bytes, and goes on there.
  Status Keep(std::uint64_t bytes);
  Status Append(std::string_view text);
  /// Syncs and renames.
  Status Finish();

 private:
  GrowingFile(std::filesystem::path target, int descriptor) : target_(std::move(target)), descriptor_(descriptor) {}
  std::filesystem::path target_;
  int descriptor_;
};

}  // namespace baleen::apps
