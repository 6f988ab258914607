#include "apps/batch_lines.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace baleen::apps {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 18;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string Named(const std::filesystem::path& path) { return diagnostics::Quoted(path.string(), 300); }

diagnostics::Error Fault(const std::filesystem::path& path, const std::string& what) {
  const int code = errno;
  const std::string message = Named(path) + ": " + what + ": " + std::strerror(code);
  return code == ENOENT ? diagnostics::NotFound(message + "; correct the path") : diagnostics::ResourceError(message);
}

}  // namespace

LineReader::LineReader(std::filesystem::path path, int descriptor, std::size_t most_bytes)
    : path_(std::move(path)), descriptor_(descriptor), most_bytes_(most_bytes), buffer_(kReadBytes) {}

LineReader::LineReader(LineReader&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), most_bytes_(other.most_bytes_), buffer_(std::move(other.buffer_)),
      begin_(other.begin_), filled_(other.filled_), number_(other.number_), offset_(other.offset_) {}

LineReader::~LineReader() {
  if (descriptor_ >= 0) close(descriptor_);
}

Result<LineReader> LineReader::Open(const std::filesystem::path& path, std::size_t most_bytes) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe without a writer must not block
  if (descriptor < 0) return Fault(path, "cannot be opened");
  LineReader reader(path, descriptor, most_bytes);
  struct stat about = {};
  if (fstat(descriptor, &about) != 0) return Fault(path, "cannot be read");
  if (!S_ISREG(about.st_mode)) {
    return diagnostics::InvalidInput(Named(path) + ": expected a file, found a " + (S_ISDIR(about.st_mode) ? "folder" : "device or pipe") + "; name a file of lines");
  }
  return reader;
}

Result<bool> LineReader::Fill() {
  ssize_t got = 0;
  do {
    got = read(descriptor_, buffer_.data(), buffer_.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0) return Fault(path_, "cannot be read");
  begin_ = 0;
  filled_ = static_cast<std::size_t>(got);
  return got > 0;
}

Result<std::optional<LineReader::Line>> LineReader::Next() {
  Line line{.number = number_ + 1};
  bool any = false;
  while (!line.ended) {
    if (begin_ == filled_) {
      TRY_ASSIGN(const bool more, Fill());
      if (!more) break;
    }
    any = true;
    const char* from = buffer_.data() + begin_;
    const void* end = std::memchr(from, '\n', filled_ - begin_);
    const std::size_t bytes = end == nullptr ? filled_ - begin_ : static_cast<std::size_t>(static_cast<const char*>(end) - from);
    const std::size_t kept = std::min(bytes, most_bytes_ - line.text.size());
    line.text.append(from, kept);
    line.too_long = line.too_long || kept < bytes;
    line.ended = end != nullptr;
    begin_ += bytes + line.ended;
    offset_ += bytes + line.ended;
  }
  if (!any) return std::optional<Line>();
  number_ = line.number;
  line.end = offset_;
  if (line.number == 1 && line.text.starts_with(kByteOrderMark)) line.text.erase(0, kByteOrderMark.size());
  if (line.text.ends_with('\r')) line.text.pop_back();
  return std::optional<Line>(std::move(line));
}

Result<std::optional<LineReader::Line>> LineReader::NextFilled() {
  while (true) {
    TRY_ASSIGN(std::optional<Line> line, Next());
    if (!line || line->too_long || line->text.find_first_not_of(" \t\r") != std::string::npos) return line;
  }
}

Result<std::uint64_t> CountFilledLines(const std::filesystem::path& path) {
  TRY_ASSIGN(LineReader reader, LineReader::Open(path, 4096));
  for (std::uint64_t count = 0;; ++count) {
    TRY_ASSIGN(const std::optional<LineReader::Line> line, reader.NextFilled());
    if (!line) return count;
  }
}

std::filesystem::path GrowingFile::PartialPath(const std::filesystem::path& path) { return path.string() + ".partial"; }

GrowingFile::GrowingFile(GrowingFile&& other) noexcept : target_(std::move(other.target_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

GrowingFile::~GrowingFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

Result<GrowingFile> GrowingFile::Open(const std::filesystem::path& path) {
  const std::filesystem::path partial = PartialPath(path);
  const int descriptor = open(partial.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0666);
  if (descriptor < 0) return Fault(partial, "cannot be written");
  GrowingFile file(path, descriptor);
  struct stat about = {};
  if (fstat(descriptor, &about) != 0) return Fault(partial, "cannot be written");
  if (!S_ISREG(about.st_mode)) return diagnostics::InvalidInput(Named(partial) + ": expected a file or nothing, found something else; choose another --out");
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    return diagnostics::InvalidInput(Named(partial) + ": another run is writing it; wait for it, or choose another --out");
  }
  return file;
}

Status GrowingFile::Keep(std::uint64_t bytes) {
  const auto length = static_cast<off_t>(bytes);
  if (ftruncate(descriptor_, length) != 0 || lseek(descriptor_, length, SEEK_SET) != length) return Fault(PartialPath(target_), "cannot be shortened");
  return {};
}

Status GrowingFile::Append(std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = write(descriptor_, text.data(), text.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return Fault(PartialPath(target_), "cannot be written (run the command again to go on)");
    text.remove_prefix(static_cast<std::size_t>(done));
  }
  return {};
}

Status GrowingFile::Finish() {
  if (fsync(descriptor_) != 0) return Fault(PartialPath(target_), "cannot be written");
  if (std::rename(PartialPath(target_).c_str(), target_.c_str()) != 0) return Fault(target_, "cannot be named");
  return {};
}

}  // namespace baleen::apps
