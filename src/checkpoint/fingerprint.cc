#include "checkpoint/fingerprint.h"

#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "diagnostics/progress.h"
#include "hardware/file.h"

namespace baleen::checkpoint {
namespace {

constexpr std::uint64_t kConfigLimitBytes = 4u << 20;
constexpr std::size_t kStretchBytes = std::size_t{64} << 20;
constexpr std::int64_t kSettledSeconds = 3;  // a file may change again within one tick of its file system's clock

Fingerprint From(XXH128_hash_t hash) { return {hash.low64, hash.high64}; }

std::string Hex(const Fingerprint& fingerprint) {
  char text[33];
  std::snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, fingerprint[1], fingerprint[0]);
  return text;
}

std::optional<Fingerprint> FromHex(const std::string& text) {
  if (text.size() != 32 || text.find_first_not_of("0123456789abcdef") != std::string::npos) return std::nullopt;
  return Fingerprint{std::stoull(text.substr(16), nullptr, 16), std::stoull(text.substr(0, 16), nullptr, 16)};
}

/// What the file system says of the files; nothing when one changed just now.
std::optional<Fingerprint> StateOf(const std::vector<std::filesystem::path>& files, const std::string& config) {
  std::vector<std::int64_t> facts;
  for (const std::filesystem::path& file : files) {
    struct stat info {};
    if (stat(file.c_str(), &info) != 0) return std::nullopt;
    if (std::max(info.st_ctim.tv_sec, info.st_mtim.tv_sec) + kSettledSeconds > std::time(nullptr)) return std::nullopt;
    facts.insert(facts.end(), {static_cast<std::int64_t>(info.st_dev), static_cast<std::int64_t>(info.st_ino), info.st_size, info.st_mtim.tv_sec,
                               info.st_mtim.tv_nsec, info.st_ctim.tv_sec, info.st_ctim.tv_nsec});
  }
  const XXH64_hash_t seed = XXH3_64bits(config.data(), config.size());
  return From(XXH3_128bits_withSeed(facts.data(), facts.size() * sizeof facts[0], seed));
}

Fingerprint HashAll(const Checkpoint& checkpoint, const std::string& config) {
  std::vector<XXH128_hash_t> parts = {XXH3_128bits(config.data(), config.size())};
  diagnostics::Progress progress("hashing the weights", std::max<std::uint64_t>(1, checkpoint.TotalBytes()), "B");
  XXH3_state_t* state = XXH3_createState();
  for (const std::span<const std::byte> bytes : checkpoint.FileBytes()) {
    XXH3_128bits_reset(state);
    for (std::size_t at = 0; at < bytes.size(); at += kStretchBytes) {
      const std::size_t count = std::min(kStretchBytes, bytes.size() - at);
      XXH3_128bits_update(state, bytes.data() + at, count);
      progress.Advance(count);
    }
    parts.push_back(XXH3_128bits_digest(state));
  }
  XXH3_freeState(state);
  return From(XXH3_128bits(parts.data(), parts.size() * sizeof parts[0]));
}

}  // namespace

Result<Fingerprint> FingerprintOf(const Checkpoint& checkpoint, const std::filesystem::path& memory) {
  std::filesystem::path config_path = checkpoint.directory() / "config.json";
  std::error_code code;
  if (!std::filesystem::exists(config_path, code)) config_path = checkpoint.directory() / "inference" / "config.json";
  TRY_ASSIGN(const std::string config, hardware::ReadFile(config_path, kConfigLimitBytes));
  std::optional<Fingerprint> state;
  if (!memory.empty()) state = StateOf(checkpoint.FilePaths(), config);
  const std::filesystem::path remembered = state ? memory / ("fingerprint-" + Hex(*state)) : std::filesystem::path();
  if (state) {
    const Result<std::string> text = hardware::ReadFile(remembered, 32);
    if (const std::optional<Fingerprint> known = text ? FromHex(*text) : std::nullopt) return *known;
  }
  const Fingerprint fingerprint = HashAll(checkpoint, config);
  if (state && StateOf(checkpoint.FilePaths(), config) == state) {
    std::filesystem::create_directories(memory, code);
    Result<hardware::AtomicFile> file = hardware::AtomicFile::Create(remembered);
    if (file && file->Write(Hex(fingerprint))) (void)file->Commit();
  }
  return fingerprint;
}

}  // namespace baleen::checkpoint
