#pragma once

#include <expected>
#include <string>
#include <utility>

#include "diagnostics/error.h"

namespace baleen::completion {

/// Why a request is refused, as a client of any dialect needs to hear it.
struct RequestError {
  int status = 400;     // HTTP: 400 what cannot be read, 409 two values that exclude each other, 422 a value outside its range, 500 our own failure
  std::string message;  // names the field
  std::string param;    // the field, as in "messages[2].content"; empty = none
  std::string code;     // a word for programs: invalid_type, invalid_value, missing_field, context_length_exceeded, unsupported, failed
};

inline RequestError Refuse(int status, std::string param, std::string message, std::string code) {
  return {.status = status, .message = std::move(message), .param = std::move(param), .code = std::move(code)};
}

/// An error of a folder below as the fault of one field.
inline RequestError RefuseFor(std::string param, const diagnostics::Error& error) {
  const bool ours = error.kind == diagnostics::ErrorKind::kResource;
  return Refuse(ours ? 500 : 400, param, param + ": " + error.message, ours ? "failed" : "invalid_value");
}

/// A value, or the RequestError that kept it from being read. TRY and TRY_ASSIGN work with it.
template <typename T>
class [[nodiscard]] Checked : public std::expected<T, RequestError> {
 public:
  using std::expected<T, RequestError>::expected;
  Checked(RequestError error) : std::expected<T, RequestError>(std::unexpected(std::move(error))) {}
};

}  // namespace baleen::completion
