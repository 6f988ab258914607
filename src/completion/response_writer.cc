#include "completion/response_writer.h"

namespace baleen::completion {

std::string CallId(std::string_view response_id, std::int64_t choice, std::int64_t call) {
  return "call_" + std::string(response_id.substr(response_id.find('-') + 1)) + "_" + std::to_string(choice) + "_" + std::to_string(call);
}

}  // namespace baleen::completion
