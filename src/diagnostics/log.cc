#include "diagnostics/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace baleen::diagnostics {
namespace {

spdlog::logger& Logger() {
  static const auto logger = [] {
    auto made = std::make_shared<spdlog::logger>("baleen", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("baleen: %^%v%$");
    return made;
  }();
  return *logger;
}

}  // namespace

void Note(std::string_view message) { Logger().info("{}", message); }
void Warn(std::string_view message) { Logger().warn("{}", message); }

}  // namespace baleen::diagnostics
