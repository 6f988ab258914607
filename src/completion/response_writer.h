#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "completion/completion.h"
#include "completion/delta.h"
#include "completion/request_error.h"

namespace baleen::completion {

/// Writes the response to one request in one dialect: either Begin, any number of Write, then End or Fail; or Body alone. For one request,
/// used by one thread, which need not be the engine's: until a choice's last Delta was written, a writer reads of a Completion only what
/// never changes (request()); then answers()[choice] too, and once every choice has ended also Usage() and failure().
class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;

  /// The first bytes of the stream of server-sent events, once the request was accepted; may be empty.
  virtual std::string Begin() = 0;
  /// The bytes of one Delta; may be empty.
  virtual std::string Write(const Completion& completion, const Delta& delta) = 0;
  /// What stands behind the last Delta of the last choice: how it finished, usage, [DONE].
  virtual std::string End(const Completion& completion) = 0;
  /// An error inside a stream that has begun; it ends the stream.
  virtual std::string Fail(const RequestError& error) = 0;
  /// What keeps a connection open while nothing is written: a comment line, or the dialect's ping.
  virtual std::string KeepAlive() const = 0;
  /// The response without a stream; the completion is done and did not fail.
  virtual std::string Body(const Completion& completion) = 0;
};

/// The id of a choice's call, the same streamed and unstreamed: "call_12_0_1" is the second call of the first choice of the response
/// "chatcmpl-12". What stands in front of the response id's first "-" is left out.
std::string CallId(std::string_view response_id, std::int64_t choice, std::int64_t call);

}  // namespace baleen::completion
