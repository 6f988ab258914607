// The local Hugging Face cache, read only: models--owner--name/refs/main names a commit, snapshots/<commit> is the folder.

#include <cstdlib>

#include "checkpoint/checkpoint.h"
#include "hardware/file.h"

namespace baleen::checkpoint {
namespace {

namespace fs = std::filesystem;
using diagnostics::InvalidInput;
using diagnostics::NotFound;
using diagnostics::Quoted;

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path CacheFolder() {
  if (const std::string hub = FromEnvironment("HF_HUB_CACHE"); !hub.empty()) return hub;
  if (const std::string home = FromEnvironment("HF_HOME"); !home.empty()) return fs::path(home) / "hub";
  return fs::path(FromEnvironment("HOME")) / ".cache" / "huggingface" / "hub";
}

bool IsPlainName(std::string_view part) {
  if (part.empty() || part == "." || part == ".." || part.size() > 128) return false;
  for (const char c : part) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    if (!plain) return false;
  }
  return true;
}

/// The commit that refs/main names, or the only snapshot where no ref was kept.
Result<fs::path> Snapshot(const fs::path& repository) {
  const fs::path ref = repository / "refs" / "main", snapshots = repository / "snapshots";
  std::error_code code;
  if (fs::exists(ref, code)) {
    TRY_ASSIGN(std::string commit, hardware::ReadFile(ref, 4096));
    while (!commit.empty() && (commit.back() == '\n' || commit.back() == '\r' || commit.back() == ' ')) commit.pop_back();
    if (!IsPlainName(commit)) return InvalidInput(Quoted(ref.string(), 300) + ": expected the name of a commit, found '" + Quoted(commit) + "'");
    if (fs::is_directory(snapshots / commit, code)) return snapshots / commit;
    return NotFound(Quoted((snapshots / commit).string(), 300) + ": refs/main names this snapshot, but it is not there; fetch the model again");
  }
  fs::path only;
  std::size_t count = 0;
  for (fs::directory_iterator it(snapshots, code), end; !code && it != end; it.increment(code)) {
    if (!it->is_directory(code)) continue;
    only = it->path();
    ++count;
  }
  if (count == 1) return only;
  return NotFound(Quoted(repository.string(), 300) + ": expected refs/main or exactly one snapshot, found " + std::to_string(count) +
      " snapshots and no refs/main");
}

}  // namespace

Result<fs::path> FindModel(std::string_view model) {
  const fs::path folder(model);
  std::error_code code;
  if (model.empty() || model.find('\0') != std::string_view::npos) {
    return InvalidInput("model: expected a folder or a hub id owner/name, found an empty or broken name");
  }
  if (fs::is_directory(folder, code)) return folder;
  if (fs::exists(folder, code)) return InvalidInput(Quoted(model, 300) + ": expected a checkpoint folder, found a file; give the folder it lies in");
  const std::size_t slash = model.find('/');
  const bool hub_id = slash != std::string_view::npos && IsPlainName(model.substr(0, slash)) && IsPlainName(model.substr(slash + 1));
  if (!hub_id) return NotFound(Quoted(model, 300) + ": no such folder, and not a hub id of the form owner/name");
  const fs::path repository = CacheFolder() / ("models--" + std::string(model.substr(0, slash)) + "--" + std::string(model.substr(slash + 1)));
  if (fs::is_directory(repository, code)) return Snapshot(repository);
  return NotFound(Quoted(model, 300) + ": neither a folder here nor a model in the local Hugging Face cache (looked for " + Quoted(repository.string(), 300) +
                  "); nothing is downloaded: fetch it first, or set HF_HOME or HF_HUB_CACHE");
}

}  // namespace baleen::checkpoint
