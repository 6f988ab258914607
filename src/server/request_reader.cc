#include "server/request_reader.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/parser.hpp>
#include <cstdint>
#include <utility>

#include "diagnostics/error.h"
#include "server/target.h"

namespace baleen::server {
namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace {

using boost::system::error_code;
using Clock = std::chrono::steady_clock;

// A body that grows as its bytes come; Beast's own takes the announced length at once.
struct GrowingBody {
  using value_type = std::string;
  class reader {
   public:
    template <bool kIsRequest, typename Fields>
    reader(http::header<kIsRequest, Fields>&, std::string& body) : body_(&body) {}
    void init(const boost::optional<std::uint64_t>&, error_code& fault) { fault = {}; }
    template <typename Buffers>
    std::size_t put(const Buffers& buffers, error_code& fault) {
      fault = {};
      std::size_t count = 0;
      for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers); ++at) {
        const asio::const_buffer part = *at;
        body_->append(static_cast<const char*>(part.data()), part.size());
        count += part.size();
      }
      return count;
    }
    void finish(error_code& fault) { fault = {}; }

   private:
    std::string* body_;
  };
};

ReadOutcome Closed() { return {.kind = ReadOutcome::Kind::kClosed, .error = {}}; }
ReadOutcome Refused(HttpError error) { return {.kind = ReadOutcome::Kind::kRefused, .error = std::move(error)}; }

bool IsTokenChar(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

HttpError FromBeast(const error_code& fault, const ServerLimits& limits) {
  if (fault == http::error::body_limit) {
    return {413, "the body: expected at most " + std::to_string(limits.body_bytes) + " bytes, found more; shorten the request"};
  }
  if (fault == http::error::bad_version) return {505, "the request line: expected HTTP/1.1 or HTTP/1.0, found another version; use HTTP/1.1"};
  return {400, "the request: expected HTTP/1.1, found: " + fault.message() + "; correct the request"};
}

// The byte `c` behind `before` in a head; null if it may stand there.
const char* FaultOfByte(char before, char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (c == '\n') return before == '\r' ? nullptr : "a line end without a carriage return";
  if (before == '\r') return "a carriage return inside a line";
  if (before == '\n' && (c == ' ' || c == '\t')) return "a field that goes on in a second line";
  if ((byte < 0x20 && c != '\t' && c != '\r') || byte == 0x7F) return "a control character";
  return nullptr;
}

}  // namespace

struct RequestReader::Parser {
  http::request_parser<GrowingBody> beast;
};

RequestReader::RequestReader(Inbox& inbox, const ServerLimits& limits, BodyMemory& memory)
    : inbox_(&inbox), limits_(&limits), memory_(&memory), parser_(std::make_unique<Parser>()) {
  parser_->beast.header_limit(static_cast<std::uint32_t>(limits.header_bytes + 1));
  parser_->beast.body_limit(limits.body_bytes);
  parser_->beast.eager(false);
}

RequestReader::~RequestReader() = default;

bool RequestReader::has_unread_body() const { return !parser_->beast.is_done(); }

// The length of the head in `bytes`, once it is complete; looks at no byte twice.
std::optional<std::size_t> RequestReader::Scan(std::string_view bytes, std::optional<HttpError>& error) {
  if (!IsTokenChar(bytes.front())) {
    error = HttpError{400, "the request: expected an HTTP request line, found other bytes (TLS on a port without it?); correct the request"};
    return std::nullopt;
  }
  for (std::size_t i = scanned_; i < bytes.size(); ++i) {
    if (const char* fault = FaultOfByte(i == 0 ? 'x' : bytes[i - 1], bytes[i])) {
      error = HttpError{400, std::string("the head of the request: found ") + fault + "; correct the request"};
      return std::nullopt;
    }
    if (i + 1 > limits_->header_bytes) {
      const bool in_target = bytes.find('\n') == std::string_view::npos;
      error = in_target ? HttpError{414, "the target of the request: expected at most " + std::to_string(limits_->target_bytes) + " bytes, found more; shorten it"}
                        : HttpError{431, "the header: expected at most " + std::to_string(limits_->header_bytes) + " bytes, found more; shorten it"};
      return std::nullopt;
    }
    if (bytes[i] == '\n' && i >= 3 && bytes.substr(i - 3, 4) == "\r\n\r\n") return i + 1;
  }
  scanned_ = bytes.size();
  return std::nullopt;
}

asio::awaitable<ReadOutcome> RequestReader::ReadHead(bool& begun) {
  auto deadline = Clock::now() + limits_->idle_time;
  int blank_lines = 0;
  for (;;) {
    while (scanned_ == 0 && blank_lines < 4 && inbox_->bytes().starts_with("\r\n")) {
      inbox_->Drop(2);
      ++blank_lines;
    }
    const std::string_view bytes = inbox_->bytes();
    if (!bytes.empty() && bytes != "\r") {
      if (!begun) deadline = Clock::now() + limits_->header_time;
      begun = true;
      std::optional<HttpError> error;
      const std::optional<std::size_t> length = Scan(bytes, error);
      if (length) error = TakeHead(bytes.substr(0, *length));
      if (error) co_return Refused(*std::move(error));
      if (length) {
        inbox_->Drop(*length);
        co_return ReadOutcome{};
      }
    }
    if (inbox_->ended()) co_return Closed();
    const bool more = co_await inbox_->More(deadline);
    if (more) continue;
    if (!begun) co_return Closed();
    co_return Refused({408, "the header: expected it whole within " + std::to_string(limits_->header_time.count()) + " ms; send it faster"});
  }
}

std::optional<HttpError> RequestReader::TakeHead(std::string_view head) {
  error_code fault;
  parser_->beast.put(asio::const_buffer(head.data(), head.size()), fault);
  const bool too_large = fault == http::error::body_limit;  // by its announced length; the path is wanted for the answer
  if (fault && fault != http::error::need_more && !too_large) return FromBeast(fault, *limits_);
  if (!parser_->beast.is_header_done() && !too_large) return HttpError{400, "the request: expected a complete header; correct the request"};
  const auto& message = parser_->beast.get();
  if (message.version() != 11 && message.version() != 10) return FromBeast(http::error::bad_version, *limits_);
  is_http_1_0_ = message.version() == 10;
  keep_alive_ = !too_large && parser_->beast.keep_alive();
  request_.method = std::string(message.method_string());
  for (const auto& field : message) request_.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  const std::string_view text(message.target().data(), message.target().size());
  if (text.size() > limits_->target_bytes) {
    return HttpError{414, "the target of the request: expected at most " + std::to_string(limits_->target_bytes) + " bytes, found " + std::to_string(text.size()) +
                              "; shorten it"};
  }
  Result<Target> target = ReadTarget(text);
  if (!target) return HttpError{400, target.error().message};
  request_.path = std::move(target->path);
  request_.query = std::move(target->query);
  host_ = std::move(target->authority);
  if (std::optional<HttpError> error = CheckFields()) return error;
  if (too_large) return FromBeast(fault, *limits_);
  return CheckBodyFields();
}

std::optional<HttpError> RequestReader::CheckFields() {
  int hosts = 0;
  for (const auto& [name, value] : request_.headers) {
    if (!SameIgnoringCase(name, "Host")) continue;
    if (++hosts == 1 && host_.empty()) host_ = value;
  }
  if (hosts > 1 || (hosts == 0 && !is_http_1_0_)) {
    return HttpError{400, "the header: expected one Host field, found " + std::string(hosts == 0 ? "none" : "several") + "; correct the request"};
  }
  if (request_.path == "*" && request_.method != "OPTIONS") return HttpError{400, "the target of the request: expected '*' with OPTIONS only; correct the request"};
  if (const std::string* expect = request_.Find("Expect")) {
    if (!SameIgnoringCase(*expect, "100-continue")) {
      return HttpError{417, "the header: expected 'Expect: 100-continue', found '" + diagnostics::Quoted(*expect) + "'; leave the field out"};
    }
    wants_continue_ = !is_http_1_0_;
  }
  return std::nullopt;
}

// Two ways to say how long a body is would let two servers see different requests.
std::optional<HttpError> RequestReader::CheckBodyFields() {
  int lengths = 0;
  int encodings = 0;
  bool digits = true;
  std::string encoding;
  for (const auto& [name, value] : request_.headers) {
    if (SameIgnoringCase(name, "Content-Length")) {
      ++lengths;
      digits = digits && !value.empty() && std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
    }
    if (!SameIgnoringCase(name, "Transfer-Encoding")) continue;
    ++encodings;
    encoding = value;
  }
  if (!digits) return HttpError{400, "the header: expected digits as Content-Length, found something else; correct the request"};
  if (lengths + encodings > 1) return HttpError{400, "the header: expected one Content-Length or Transfer-Encoding, found several; correct the request"};
  if (encodings == 1 && is_http_1_0_) return HttpError{400, "the header: expected no Transfer-Encoding in HTTP/1.0, found one; use HTTP/1.1"};
  if (const std::string* content = request_.Find("content-encoding"); content != nullptr && !SameIgnoringCase(*content, "identity")) {
    return HttpError{415, "the header: expected no Content-Encoding, found '" + diagnostics::Quoted(*content) + "'; send the body as it is"};
  }
  if (encodings == 1 && !SameIgnoringCase(encoding, "chunked")) {
    return HttpError{501, "the header: expected Transfer-Encoding: chunked, found '" + diagnostics::Quoted(encoding) + "'; send the body as it is"};
  }
  const bool sends = request_.method == "POST" || request_.method == "PUT" || request_.method == "PATCH";
  if (sends && lengths + encodings == 0) return HttpError{411, "the header: expected Content-Length or Transfer-Encoding: chunked, found neither; add one"};
  return std::nullopt;
}

// Gives the parser what has arrived. moved: whether it took some.
std::optional<HttpError> RequestReader::FeedBody(bool& moved) {
  const std::string_view bytes = inbox_->bytes();
  moved = false;
  if (bytes.empty()) return std::nullopt;
  std::string& body = parser_->beast.get().body();
  const std::size_t before = body.capacity();
  error_code fault;
  const std::size_t count = parser_->beast.put(asio::const_buffer(bytes.data(), bytes.size()), fault);
  held_ += body.capacity() - before;
  memory_->used_bytes += body.capacity() - before;
  if (fault && fault != http::error::need_more) return FromBeast(fault, *limits_);
  if (memory_->used_bytes > limits_->all_bodies_bytes) return HttpError{503, "the server is receiving too many large requests at once; try again later"};
  if (count == 0 && inbox_->full()) return HttpError{400, "the body: found a chunk's head or a trailer that is too long; correct the request"};
  inbox_->Drop(count);
  moved = count > 0;
  return std::nullopt;
}

asio::awaitable<ReadOutcome> RequestReader::ReadBody() {
  struct Hold {  // the memory counts until the body is with the endpoint
    BodyMemory* memory;
    const std::size_t* held;
    ~Hold() { memory->used_bytes -= *held; }
  };
  const Hold hold{memory_, &held_};
  parser_->beast.eager(true);
  const auto deadline = Clock::now() + limits_->body_time;
  auto window = Clock::now() + limits_->body_window;
  std::uint64_t due = inbox_->received() + limits_->body_window_bytes;
  while (!parser_->beast.is_done()) {
    bool moved = false;
    if (std::optional<HttpError> error = FeedBody(moved)) co_return Refused(*std::move(error));
    if (moved) continue;
    if (inbox_->ended()) co_return Closed();
    co_await inbox_->More(std::min(deadline, window));
    const auto now = Clock::now();
    if (now >= deadline || (now >= window && inbox_->received() < due)) {
      co_return Refused({408, "the body: expected it within " + std::to_string(limits_->body_time.count()) + " ms and at least " +
                                  std::to_string(limits_->body_window_bytes) + " bytes every " + std::to_string(limits_->body_window.count()) + " ms; send it faster"});
    }
    if (now < window) continue;
    window = now + limits_->body_window;
    due = inbox_->received() + limits_->body_window_bytes;
  }
  request_.body = std::move(parser_->beast.get().body());
  co_return ReadOutcome{};
}

}  // namespace baleen::server
