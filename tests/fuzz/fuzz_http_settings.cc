// The config file of the server: every text is read or refused with a message, and what is read is within its ranges.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "diagnostics/check.h"
#include "server/settings.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baleen;
  server::ServerSettings settings;
  const Status applied = server::ApplyConfig(std::string_view(reinterpret_cast<const char*>(data), size), "server.json", settings);
  CHECK(applied.has_value() || !applied.error().message.empty());
  CHECK(settings.limits.connections >= 1 && settings.limits.header_bytes >= 1024 && settings.limits.body_bytes >= 1024);
  CHECK(settings.limits.idle_time.count() >= 10 && settings.drain_time.count() >= 10 && settings.limits.write_time.count() <= 86'400'000);
  CHECK(settings.host.find('\0') == settings.host.npos && settings.api_key.find(' ') == settings.api_key.npos);
  return 0;
}
