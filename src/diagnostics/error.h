#pragma once

#include <string>
#include <string_view>

namespace baleen::diagnostics {

/// What kind of thing went wrong; decides the exit code of a command (docs/architecture.md, "Errors").
enum class ErrorKind {
  kInvalidInput,  // a file, flag or request that breaks its contract                        exit 2
  kNotFound,      // a path, model or tensor that is not there                               exit 3
  kUnsupported,   // understood, but this build or machine cannot do it                      exit 4
  kResource,      // memory, disk space, permission, an I/O error                            exit 5
};

/// One failure as a value. The message says what was expected, what was found, where, and what to do next.
struct Error {
  ErrorKind kind = ErrorKind::kInvalidInput;
  std::string message;

  /// The process exit code that a command returns for this error, 2..5.
  int ExitCode() const noexcept;
};

Error InvalidInput(std::string message);
Error NotFound(std::string message);
Error Unsupported(std::string message);
Error ResourceError(std::string message);

/// Text from outside made fit for one line of an error message: control characters and bytes that are not UTF-8 are written as
/// \xNN, and what is longer than `limit_bytes` is cut with "…". Never longer than 4·limit_bytes + 3 bytes.
std::string Quoted(std::string_view text, std::size_t limit_bytes = 80);

}  // namespace baleen::diagnostics
