/// Baleen as a library: DeepSeek-V4 checkpoints, many conversations at once, on this machine's CPU.
///
///   #include <baleen/baleen.h>
///
///   baleen::Expected<baleen::Engine> engine = baleen::Engine::Open({.model = "models/plankton"});
///   if (!engine) return Report(engine.error().message);
///   baleen::Expected<std::vector<std::int32_t>> prompt = engine->EncodeChat({{.role = "user", .content = "35+4"}});
///   if (!prompt) return Report(prompt.error().message);
///   baleen::Expected<baleen::RequestId> id = engine->Submit({
///       .prompt = *prompt,
///       .on_text = [](const baleen::TextPiece& piece) { std::cout << piece.text << std::flush; },
///   });
///   if (!id) return Report(id.error().message);
///   engine->RunUntilIdle();
///
/// This is the only public header. It needs C++20 and nothing but the standard library; the engine itself is built as C++23. Errors are
/// values: no exception leaves the library. Ids of tokens are std::int32_t, sizes are 64 bits wide, bytes and seconds stand in the names.

#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace baleen {

enum class ErrorKind {
  kInvalidInput,  // a file, an option or a request breaks its contract
  kNotFound,      // a path, model or tensor is not there
  kUnsupported,   // understood, but this build or machine cannot do it
  kResource,      // memory, disk space, permission, an I/O error, too much is waiting
};

/// One failure. The message says what was expected, what was found, where, and what to do next; it fits into a line.
struct Error {
  ErrorKind kind = ErrorKind::kInvalidInput;
  std::string message = {};
};

/// A value, or the Error that kept it from being made; a small std::expected, so that C++20 is enough. * and -> require a value, error()
/// requires an error.
template <typename T>
class [[nodiscard]] Expected {
 public:
  Expected(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Expected(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const noexcept { return content_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  T& operator*() & noexcept { return *std::get_if<0>(&content_); }
  const T& operator*() const& noexcept { return *std::get_if<0>(&content_); }
  T&& operator*() && noexcept { return std::move(*std::get_if<0>(&content_)); }
  T* operator->() noexcept { return std::get_if<0>(&content_); }
  const T* operator->() const noexcept { return std::get_if<0>(&content_); }
  const Error& error() const noexcept { return *std::get_if<1>(&content_); }

 private:
  std::variant<T, Error> content_;
};

/// What proposes several tokens of an answer at once, to be checked by one step of the model. It changes the speed; not the greedy answer,
/// nor how a sampled one is distributed.
enum class Drafts {
  kAuto,  // what the checkpoint has
  kOff,
  kMtp,     // the module of the preview checkpoints
  kDspark,  // the drafter of the releases since 0731
};

enum class Arithmetic {
  kAuto,      // the fastest that is no further from exact than official is: fast for models of 2,048 channels and more, else official
  kOfficial,  // with the vendor's roundings and quantisers
  kExact,     // fp32 throughout, nothing quantised
  kFast,      // as official, but FP8 and FP4 weights multiply int8 activations
};

/// How a model is opened. Only `model` must be given.
struct Options {
  std::string model = {};                               // a folder, or a hub id "owner/name" that is in the local Hugging Face cache
  int threads = 0;                                      // 0 = the environment's BALEEN_THREADS, else every core of this process
  std::int64_t parallel = 16;                           // sequences that are computed at once; further requests wait
  std::int64_t context = 0;                             // tokens of a prompt with its answer; 0 = what the model allows and the memory holds
  std::int64_t step_tokens = 256;                       // computed in one step: how much of other prompts a token may wait for
  std::uint64_t attention_bytes = 0;                    // memory for attention state and prefix cache; 0 = a choice, at most a quarter of the machine
  std::string cache_folder = {};                        // keeps the prefix cache across restarts; empty = in memory only
  std::uint64_t cache_bytes = std::uint64_t{16} << 30;  // that the folder may hold
  std::int64_t waiting_requests = 1024;                 // beyond so many a submission is refused
  Drafts drafts = Drafts::kAuto;
  Arithmetic arithmetic = Arithmetic::kAuto;
  bool verify = true;  // search the weights for NaN first, which reads them once; not done if they exceed the memory
};

/// What an engine holds from its opening to its end; generating takes no more.
struct Memory {
  std::uint64_t weights_bytes = 0;    // mapped, read where they lie in the checkpoint
  std::uint64_t beyond_bytes = 0;     // all that is taken beside the weights
  std::uint64_t attention_bytes = 0;  // of it: attention state and prefix cache
  std::int64_t attention_tokens = 0;  // that these hold, all sequences and the cache together
  std::int64_t context = 0;           // tokens of one sequence
};

/// What was opened.
struct ModelFacts {
  std::string folder = {};
  std::int64_t vocabulary = 0;       // ids are below it
  std::int64_t most_context = 0;     // tokens of one sequence that the checkpoint allows
  bool has_tokenizer = false;        // without one there are ids and no text
  Drafts drafts = Drafts::kOff;      // that are used: never kAuto
  std::string instruction_set = {};  // reference, avx2, avx512 or amx
  int threads = 0;
};

/// A call of a tool, made by the model. `arguments` is JSON text; in an answer it is copied as the model wrote it and may be no valid JSON.
struct ToolCall {
  std::string id = {};  // may be empty
  std::string name = {};
  std::string arguments = {};
};

/// One message of a conversation. Its texts are plain: what spells a special token is not one.
struct Message {
  std::string role = {};  // system, user, assistant, tool, developer, latest_reminder
  std::string content = {};
  std::string reasoning = {};             // assistant
  std::vector<ToolCall> tool_calls = {};  // assistant
  std::string tool_call_id = {};          // tool: which call this answers
  std::vector<std::string> tools = {};    // system, developer: a function object each, as JSON
};

enum class Thinking { kOff, kLow, kHigh, kMax };

/// How messages become a prompt: the preview checkpoints (April) and the releases since 0731 differ.
struct ChatOptions {
  enum class Encoding { kApril, k0731 };
  Thinking thinking = Thinking::kOff;
  Encoding encoding = Encoding::k0731;
  bool drop_reasoning = true;  // of answers before the last user message; tools switch it off
};

/// Added to the logit of a token; -100 forbids it.
struct LogitBias {
  std::int32_t id = 0;
  double bias = 0;  // [-100, 100]
};

/// How the next token is chosen. What is missing is the checkpoint's own default, else 1; a missing seed is drawn, and the ending names it.
/// An answer depends on its request alone: the same seed gives the same answer in any company.
struct Sampling {
  std::optional<double> temperature = {};  // >= 0; 0 = the likeliest token, the lower id of a tie
  std::optional<double> top_p = {};        // [0, 1]
  std::int64_t top_k = 0;                  // 0 = all
  double min_p = 0;                        // [0, 1]: tokens at least so many times as likely as the likeliest
  double frequency_penalty = 0;            // [-2, 2]: for every time the token stands in the answer
  double presence_penalty = 0;             // [-2, 2]: once if it stands there
  std::vector<LogitBias> logit_bias = {};  // no id twice
  std::optional<std::uint64_t> seed = {};
};

/// A token with the natural logarithm of its probability under the model, before temperature, penalties, bias and cuts.
struct ScoredToken {
  std::int32_t id = 0;
  double log_probability = 0;
};

/// One token of an answer, as it is chosen.
struct TokenEvent {
  ScoredToken token = {};                       // log_probability only if the request asked for it
  std::span<const ScoredToken> likeliest = {};  // falling, ties by the lower id; valid during the call
  bool ends = false;                            // it is the end token, which has no text
};

/// More text of an answer: whole code points, nothing of tags, end tokens and stop texts. A token may give none, one or several.
struct TextPiece {
  std::string_view text = {};  // valid during the call
  bool reasoning = false;      // what the model thinks, if the prompt asked it to
};

/// Why a request ended.
enum class Finish {
  kEndToken,   // the model's own end
  kLength,     // max_tokens, or the context is full
  kStopText,   // one of the request's stop texts
  kStopped,    // on_token's wish
  kCancelled,  // Cancel or Shutdown
  kExpired,    // a deadline
  kFailed,     // `error` says why; other requests are not touched
};

/// What a request cost, in tokens; times from its submission.
struct Usage {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;      // of the prompt, taken from the prefix cache
  std::int64_t completion_tokens = 0;  // reasoning and the end token included
  std::int64_t drafted_tokens = 0, accepted_tokens = 0;
  double queue_seconds = 0, first_token_seconds = 0, total_seconds = 0;
};

/// How a request ended, with the whole answer.
struct Ending {
  Finish finish = Finish::kFailed;
  Usage usage = {};
  std::uint64_t seed = 0;
  std::string reasoning = {}, content = {};
  std::vector<ToolCall> tool_calls = {};
  std::optional<Error> error = {};  // kFailed and kExpired
};

/// How long a request may take from its submission; a missing one is no limit.
struct Deadlines {
  std::optional<std::chrono::milliseconds> queue = {};  // until it is first computed
  std::optional<std::chrono::milliseconds> first_token = {};
  std::optional<std::chrono::milliseconds> total = {};
};

using RequestId = std::uint64_t;

/// One answer to one prompt. The answer is read as its prompt ends: reasoning first behind <think>, content and calls behind </think>, and
/// plain text behind anything else.
struct Request {
  std::vector<std::int32_t> prompt = {};  // of EncodeChat or Tokenize
  Sampling sampling = {};
  std::int64_t max_tokens = 0;                 // reasoning counts; 0 = what the context leaves
  std::vector<std::string> stop = {};          // the answer ends in front of the first of these texts, reasoning included; at most 64
  bool ignore_end = false;                     // only max_tokens and stop texts end the answer
  std::optional<std::int64_t> likeliest = {};  // log-probabilities, with so many alternatives (0 to 20)
  int priority = 0;                            // higher ones go first and may pre-empt lower ones
  Deadlines deadlines = {};
  std::string tenant = {};  // whose prefix cache it uses; tenants share nothing

  /// All are called by the thread that steps, one at a time, and may be empty. on_token comes first for a token and says whether to go on.
  /// on_end is called exactly once for every request that was accepted; nothing comes after it. They may call Submit, Cancel and what is
  /// const. An exception in one of them ends its request with kFailed.
  std::function<bool(const TokenEvent&)> on_token = {};
  std::function<void(const TextPiece&)> on_text = {};
  std::function<void(const Ending&)> on_end = {};
};

/// Counters since the opening, and how things were after the last step; within on_end, the ended request is counted.
struct Statistics {
  std::int64_t running = 0, waiting = 0;                // now
  std::int64_t submitted = 0, ended = 0;                // ended: in whatever way
  std::int64_t failed = 0, cancelled = 0, expired = 0;  // of the ended
  std::int64_t preempted = 0;                           // times
  std::int64_t steps = 0;
  std::int64_t prefill_tokens = 0, decode_tokens = 0, cached_tokens = 0;
  std::int64_t blocks = 0, used_blocks = 0, cached_blocks = 0;  // of attention memory, now; cached ones make room when needed
  std::array<std::int64_t, 16> drafted_at{}, accepted_at{};     // by place in the draft
};

/// A model with everything that answers need: tokenizer, continuous batching, prefix cache, drafts. Moves as a whole.
///
/// Submit, Cancel, Stop, Wait, statistics and everything const may be called from any thread. Step, Run, RunUntilIdle, Shutdown and the
/// destructor belong to one thread at a time: the engine's. It must not move while another thread uses it.
class Engine {
 public:
  /// Opens the checkpoint, checks it and takes all memory. A context that the memory cannot hold is cut unless it was asked for: see
  /// memory().context. Long work shows its progress on standard error if that is a terminal.
  /// Errors: a folder that is missing or damaged, options out of range, drafts that the checkpoint does not have, too little memory, a
  /// cache folder that cannot be used.
  static Expected<Engine> Open(const Options& options);

  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();  // shuts down

  const ModelFacts& model() const noexcept;
  const Memory& memory() const noexcept;

  /// The ids of a text; special tokens are recognised in it and none is added. Errors: no tokenizer, no UTF-8.
  Expected<std::vector<std::int32_t>> Tokenize(std::string_view text) const;

  /// The bytes of ids, one after another; not UTF-8 if a code point is cut. Errors: no tokenizer, an id without a token.
  Expected<std::string> Detokenize(std::span<const std::int32_t> ids) const;

  /// The prompt that asks for the next answer of a conversation. Errors: no tokenizer, a message that cannot be encoded.
  Expected<std::vector<std::int32_t>> EncodeChat(const std::vector<Message>& messages, const ChatOptions& options = {}) const;

  /// Hands in a request; nothing is computed before a step. Errors, and no on_end then: a prompt that is empty, leaves no room in the
  /// context or holds ids outside the vocabulary, settings out of range, stop texts without a tokenizer (kInvalidInput); too much waits, or
  /// the engine was shut down (kResource).
  Expected<RequestId> Submit(Request request);

  /// Ends the request at the next step, with kCancelled. An unknown or ended id is ignored.
  void Cancel(RequestId id);

  /// Computes one step for all requests and delivers its tokens. false: every request that was accepted has ended.
  bool Step();

  /// Returns when there may be something to do, or after so long.
  void Wait(std::chrono::milliseconds at_most);

  /// Steps until every request has ended.
  void RunUntilIdle();

  /// Steps, and waits for requests, until Stop is called: the loop of a thread of its own. A Stop without a Run ends the next one. What
  /// runs then can be taken up by another Run.
  void Run();
  void Stop();

  Statistics statistics() const;

  /// Ends every request with kCancelled and finishes writing the cache; later submissions are refused.
  void Shutdown();

 private:
  struct State;
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace baleen
