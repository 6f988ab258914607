// tokenize, detokenize, render, parse: strings, ids, messages and prompts, without weights.
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "apps/commands.h"
#include "checkpoint/checkpoint.h"
#include "hardware/file.h"
#include "library/answer_defaults.h"
#include "text/chat_encoding.h"
#include "text/json_python.h"
#include "text/reply_parser.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace baleen::apps {

namespace {

using diagnostics::InvalidInput;
using diagnostics::Quoted;
using text::JsonValue;

constexpr std::uint64_t kMostFileBytes = std::uint64_t{256} << 20;
constexpr std::size_t kMostLineBytes = std::size_t{256} << 20;

struct TextOptions {
  std::string model, messages_file, encoding = "0731", thinking = "off";
  bool json = false, lines = false;
};

Result<text::Tokenizer> FindTokenizer(const TextOptions& options) {
  TRY_ASSIGN(const std::filesystem::path folder, checkpoint::FindModel(options.model));
  return library::LoadTokenizer(folder);
}

using LineWork = std::function<Result<std::string>(const JsonValue&)>;

// One line of output for a line of input: what `work` makes of its JSON value, or {"error": …}.
std::string AnswerLine(std::string_view line, std::size_t number, const LineWork& work) {
  Result<JsonValue> value = text::ParseJson(line);
  if (value) {
    Result<std::string> answer = work(*value);
    if (answer) return text::KeepOneLine(*answer) + "\n";
    value = answer.error();
  }
  return "{\"error\": " + text::QuoteJson(text::ReplaceInvalidUtf8("line " + std::to_string(number) + ": " + value.error().message)) + "}\n";
}

// Answers standard input line by line as it comes; a refused line does not end the run. The last line may lack its newline.
Status AnswerLines(const LineWork& work) {
  std::string waiting;
  std::vector<char> buffer(std::size_t{1} << 16);
  std::size_t number = 0;
  while (true) {
    const ssize_t got = read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return diagnostics::ResourceError(std::string("standard input cannot be read: ") + std::strerror(errno));
    std::size_t searched = waiting.size(), start = 0;
    waiting.append(buffer.data(), static_cast<std::size_t>(got));
    if (got == 0 && !waiting.empty()) waiting += '\n';
    std::string answers;
    for (std::size_t end; (end = waiting.find('\n', searched)) != std::string::npos; searched = start = end + 1) {
      answers += AnswerLine(std::string_view(waiting).substr(start, end - start), ++number, work);
    }
    TRY(WriteStandardOutput(answers));
    waiting.erase(0, start);
    if (got == 0) return {};
    if (waiting.size() > kMostLineBytes) {
      return InvalidInput("standard input, line " + std::to_string(number + 1) + ": expected at most " + std::to_string(kMostLineBytes) +
                          " bytes, found more; split the line");
    }
  }
}

std::string WriteIds(const std::vector<std::int32_t>& ids) {
  std::string out = "[";
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) out += ", ";
    out += std::to_string(ids[i]);
  }
  return out + "]";
}

Result<std::vector<std::int32_t>> ReadIds(const JsonValue& json, const text::Tokenizer& tokenizer) {
  if (json.AsArray() == nullptr) return InvalidInput("expected a JSON array of ids, found " + std::string(json.Kind()) + "; write [id, id, ...]");
  std::vector<std::int32_t> ids;
  ids.reserve(json.AsArray()->size());
  for (const JsonValue& item : *json.AsArray()) {
    const std::optional<std::int64_t> id = item.AsInt64();
    if (!id || *id < 0 || *id > INT32_MAX) {
      return InvalidInput("token " + std::to_string(ids.size()) + ": expected an id of the vocabulary (0 to " +
                          std::to_string(tokenizer.VocabularySize() - 1) + "), found " + Quoted(text::WriteJson(item)) +
                          "; use ids of this model's tokenizer");
    }
    ids.push_back(static_cast<std::int32_t>(*id));
  }
  TRY(tokenizer.CheckIds(ids));
  return ids;
}

Status Tokenize(const TextOptions& options) {
  TRY_ASSIGN(const text::Tokenizer tokenizer, FindTokenizer(options));
  if (options.lines) {
    return AnswerLines([&](const JsonValue& line) -> Result<std::string> {
      if (line.AsString() == nullptr) return InvalidInput("expected a JSON string, found " + std::string(line.Kind()) + "; quote the text");
      return WriteIds(tokenizer.Encode(*line.AsString()));
    });
  }
  TRY_ASSIGN(const std::string input, ReadStandardInput());
  TRY(text::CheckUtf8(input, "standard input"));
  const std::vector<std::int32_t> ids = tokenizer.Encode(input);
  if (options.json) return WriteStandardOutput(WriteIds(ids) + "\n");
  std::string table;
  for (const std::int32_t id : ids) table += std::to_string(id) + "\t" + text::QuoteJson(text::ReplaceInvalidUtf8(tokenizer.TokenBytes(id))) + "\n";
  return WriteStandardOutput(table);
}

Status Detokenize(const TextOptions& options) {
  TRY_ASSIGN(const text::Tokenizer tokenizer, FindTokenizer(options));
  if (options.lines) {
    return AnswerLines([&](const JsonValue& line) -> Result<std::string> {
      TRY_ASSIGN(const std::vector<std::int32_t> ids, ReadIds(line, tokenizer));
      return text::QuoteJson(text::ReplaceInvalidUtf8(tokenizer.Decode(ids)));
    });
  }
  TRY_ASSIGN(const std::string input, ReadStandardInput());
  Result<JsonValue> json = text::ParseJson(input);
  if (!json) return InvalidInput("standard input: " + json.error().message + "; expected a JSON array of ids");
  TRY_ASSIGN(const std::vector<std::int32_t> ids, ReadIds(*json, tokenizer));
  return WriteStandardOutput(tokenizer.Decode(ids));
}

Result<std::string> TextField(const JsonValue& line, const char* key) {
  const JsonValue* value = line.Find(key);
  if (value == nullptr || value->AsString() == nullptr) {
    return InvalidInput(std::string(key) + ": expected a string, found " + (value == nullptr ? "nothing" : std::string(value->Kind())) + "; add the field");
  }
  return *value->AsString();
}

Result<std::string> RenderLine(const JsonValue& line) {
  if (line.AsObject() == nullptr) return InvalidInput("expected an object with version, messages and thinking_mode, found " + std::string(line.Kind()));
  text::RenderRequest request;
  TRY_ASSIGN(const std::string version, TextField(line, "version"));
  TRY_ASSIGN(request.encoding, text::ParseEncoding(version));
  TRY_ASSIGN(const std::string mode, TextField(line, "thinking_mode"));
  std::optional<std::string> effort;
  if (const JsonValue* value = line.Find("reasoning_effort"); value != nullptr && !value->IsNull()) {
    TRY_ASSIGN(effort, TextField(line, "reasoning_effort"));
  }
  TRY_ASSIGN(request.thinking, text::ThinkingFromMode(request.encoding, mode, effort));
  if (const JsonValue* drop = line.Find("drop_thinking"); drop != nullptr && !drop->IsNull()) {
    const bool* flag = std::get_if<bool>(&drop->value);
    if (flag == nullptr) return InvalidInput("drop_thinking: expected true or false, found " + std::string(drop->Kind()) + "; correct the field");
    request.drop_thinking = *flag;
  }
  const JsonValue* messages = line.Find("messages");
  if (messages == nullptr) return InvalidInput("messages: expected an array of messages, found nothing; add the field");
  TRY_ASSIGN(request.messages, text::ReadMessages(*messages));
  TRY_ASSIGN(const std::string prompt, text::RenderPrompt(request));
  return text::QuoteJson(prompt);
}

Status Render(const TextOptions& options) {
  if (!options.model.empty()) TRY(FindTokenizer(options));  // the tokens that the prompt is made of must be there
  if (options.lines) return AnswerLines(RenderLine);
  if (options.messages_file.empty()) return InvalidInput("render: expected --messages FILE or --lines, found neither; name the file of the messages");
  text::RenderRequest request;
  TRY_ASSIGN(request.encoding, text::ParseEncoding(options.encoding));
  TRY_ASSIGN(request.thinking, text::ParseThinking(options.thinking));
  std::string json;
  if (options.messages_file == "-") {
    TRY_ASSIGN(json, ReadStandardInput());
  } else {
    TRY_ASSIGN(json, hardware::ReadFile(options.messages_file, kMostFileBytes));
  }
  Result<text::Messages> messages = text::ParseMessages(json);
  if (!messages) return InvalidInput(Quoted(options.messages_file, 300) + ": " + messages.error().message);
  request.messages = *std::move(messages);
  const Result<std::string> prompt = text::RenderPrompt(request);
  if (!prompt) return InvalidInput(Quoted(options.messages_file, 300) + ": " + prompt.error().message);
  return WriteStandardOutput(*prompt);
}

Result<std::string> ParseLine(const JsonValue& line) {
  if (line.AsObject() == nullptr) return InvalidInput("expected an object with text and thinking_mode, found " + std::string(line.Kind()));
  TRY_ASSIGN(const std::string reply_text, TextField(line, "text"));
  TRY_ASSIGN(const std::string mode, TextField(line, "thinking_mode"));
  if (mode != "chat" && mode != "thinking") {
    return InvalidInput("thinking_mode: expected chat or thinking, found \"" + Quoted(mode) + "\"; choose one of the two");
  }
  TRY_ASSIGN(const text::ParsedReply reply, text::ParseReply(reply_text, mode == "thinking"));
  return text::WriteReplyJson(reply);
}

Status Parse(const TextOptions& options) {
  if (options.lines) return AnswerLines(ParseLine);
  TRY_ASSIGN(const std::string input, ReadStandardInput());
  TRY(text::CheckUtf8(input, "standard input"));
  TRY_ASSIGN(const text::ParsedReply reply, text::ParseReply(input, options.thinking == "on"));
  return WriteStandardOutput(text::WriteReplyJson(reply) + "\n");
}

constexpr char kLinesHelp[] = "one JSON value per input line, one per output line; a refused line gives {\"error\": ...}";

}  // namespace

void AddTextCommands(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<TextOptions>();
  const auto add = [&, options](const char* name, const char* description, const char* examples, Status (*work)(const TextOptions&)) {
    CLI::App* sub = app.add_subcommand(name, description);
    sub->footer(std::string("Examples:\n") + examples);
    sub->add_flag("--lines", options->lines, kLinesHelp);
    sub->callback([options, &exit_code, work] { Run(exit_code, [&] { return work(*options); }); });
    return sub;
  };
  constexpr char kModelHelp[] = "folder with tokenizer.json and tokenizer_config.json, or a hub id in the local cache";

  CLI::App* tokenize = add("tokenize", "Text on standard input to token ids; added tokens are recognised, no begin token is added.",
                           "  echo -n 'Hello' | baleen tokenize --model DIR --json\n  echo '\"Hello\"' | baleen tokenize --model DIR --json --lines", Tokenize);
  tokenize->add_option("--model", options->model, kModelHelp)->required();
  tokenize->add_flag("--json", options->json, "a JSON array of ids instead of one id and its text per line");

  CLI::App* detokenize = add("detokenize", "A JSON array of ids on standard input to text, byte for byte.",
                             "  echo '[0, 1]' | baleen detokenize --model DIR\n  baleen detokenize --model DIR --lines < ids.jsonl", Detokenize);
  detokenize->add_option("--model", options->model, kModelHelp)->required();

  CLI::App* render = add("render", "Messages to the prompt a model reads, begin token included.",
                         "  baleen render --model DIR --messages chat.json --thinking high\n  baleen render --model DIR --lines < requests.jsonl", Render);
  render->add_option("--model", options->model, std::string(kModelHelp) + "; checked for the tokens of the prompt");
  render->add_option("--messages", options->messages_file, "JSON array of messages; - is standard input");
  render->add_option("--encoding", options->encoding, "april (preview releases) or 0731 (since)")
      ->check(CLI::IsMember({"april", "0731"}))->capture_default_str();
  render->add_option("--thinking", options->thinking, "off, low, high or max")->check(CLI::IsMember({"off", "low", "high", "max"}))->capture_default_str();

  CLI::App* parse = add("parse", "A model's reply on standard input, end token included, to reasoning, content and tool calls as JSON; strict.",
                        "  baleen parse --thinking on < reply.txt\n  baleen parse --lines < replies.jsonl", Parse);
  parse->add_option("--thinking", options->thinking, "off or on: did the prompt end with <think>?")
      ->check(CLI::IsMember({"off", "on"}))->capture_default_str();
}

}  // namespace baleen::apps
