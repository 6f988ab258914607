// baleen twin: a random-weight checkpoint in the vendor's exact format, for tests and benchmarks.

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <memory>

#include "apps/commands.h"
#include "apps/twin_tokenizer.h"
#include "checkpoint/twin.h"
#include "diagnostics/log.h"
#include "hardware/file.h"
#include "library/open_model.h"

namespace baleen::apps {
namespace {

namespace fs = std::filesystem;

struct TwinFlags {
  std::string preset, config, out, tokenizer, doomed;
  std::int64_t layers = 0, experts = 0;
  std::uint64_t seed = 0;
  int threads = 0;
};

Result<checkpoint::ModelConfig> Source(const TwinFlags& flags) {
  if (!flags.preset.empty()) return checkpoint::PresetConfig(flags.preset);
  TRY_ASSIGN(const std::string text, hardware::ReadFile(flags.config, 4u << 20));
  auto config = checkpoint::ParseModelConfig(text);
  if (config) return config;
  diagnostics::Error error = config.error();
  error.message = diagnostics::Quoted(flags.config, 300) + ": " + error.message;
  return error;
}

Status WriteText(const fs::path& path, std::string_view text) {
  TRY_ASSIGN(hardware::AtomicFile file, hardware::AtomicFile::Create(path));
  TRY(file.Write(text));
  return file.Commit();
}

Status WriteTokenizer(const TwinFlags& flags, std::int64_t vocab_size) {
  const fs::path out = flags.out;
  if (flags.tokenizer.empty()) {
    const auto text = TwinTokenizer(vocab_size);
    if (!text) {
      diagnostics::Note("no tokenizer.json written: " + text.error().message);
      return {};
    }
    TRY(WriteText(out / "tokenizer.json", *text));
    return WriteText(out / "tokenizer_config.json", TwinTokenizerConfig());
  }
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    TRY_ASSIGN(const std::string text, hardware::ReadFile(fs::path(flags.tokenizer) / name, std::uint64_t{256} << 20));
    TRY(WriteText(out / name, text));
  }
  return {};
}

Status Delete(const std::string& folder) {
  TRY_ASSIGN(const std::uint64_t bytes, checkpoint::DeleteTwin(folder));
  diagnostics::Note(diagnostics::Quoted(folder, 300) + ": removed, " + std::to_string(bytes) + " bytes");
  return {};
}

Status MakeTwin(const TwinFlags& flags) {
  if (flags.preset.empty() == flags.config.empty()) return diagnostics::InvalidInput("expected either --preset NAME or --config FILE");
  if (flags.out.empty()) return diagnostics::InvalidInput("--out: expected the name of a folder, found nothing");
  TRY_ASSIGN(checkpoint::ModelConfig config, Source(flags));
  TRY_ASSIGN(config, checkpoint::CutModel(std::move(config), flags.layers, flags.experts));
  if (!flags.tokenizer.empty()) TRY(hardware::ReadFile(fs::path(flags.tokenizer) / "tokenizer.json", std::uint64_t{256} << 20));
  checkpoint::TwinOptions options;
  options.seed = flags.seed;
  TRY_ASSIGN(const int threads, library::ThreadsOf(flags.threads));
  options.threads = static_cast<unsigned>(threads);
  TRY(checkpoint::WriteTwin(config, flags.out, options));
  TRY(WriteTokenizer(flags, config.vocab_size));
  diagnostics::Note(diagnostics::Quoted(flags.out, 300) + ": " + std::to_string(checkpoint::TwinBytes(config)) + " tensor bytes, " +
                    std::to_string(config.layers) + " layers, " + std::to_string(config.experts) + " experts");
  return {};
}

}  // namespace

void AddTwinCommand(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<TwinFlags>();
  CLI::App* sub = app.add_subcommand("twin", "Write a random-weight checkpoint in the official format, for tests and benchmarks, or remove one.");
  std::string presets;
  for (const std::string& name : checkpoint::PresetNames()) presets += (presets.empty() ? "" : ", ") + name;
  CLI::Option* doomed = sub->add_option("--delete", flags->doomed, "Remove this folder, which must hold a twin and nothing else");
  sub->add_option("--preset", flags->preset, "A built-in configuration: " + presets);
  sub->add_option("--config", flags->config, "A config.json to take the shapes from");
  sub->add_option("--layers", flags->layers, "Keep only the first N layers")->check(CLI::Range(1, 1 << 20));
  sub->add_option("--experts", flags->experts, "Keep only E routed experts per layer")->check(CLI::Range(1, 1 << 20));
  sub->add_option("--seed", flags->seed, "Seed of the weights (default 0)")->check([](const std::string& text) {
    std::uint64_t seed = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), seed);
    return fault == std::errc() && end == text.data() + text.size() ? std::string() : std::string("expected a number from 0 to 2^64-1");
  });
  sub->add_option("--threads", flags->threads, "Threads that make weights (default: BALEEN_THREADS, else every core)")->check(CLI::Range(1, library::kMostThreads));
  sub->add_option("--tokenizer", flags->tokenizer, "Folder to copy tokenizer.json and tokenizer_config.json from (default: a byte-level one is made)");
  sub->add_option("--out", flags->out, "Folder to write; an unfinished twin in it is completed");
  for (CLI::Option* option : sub->get_options()) {
    if (option != doomed && option != sub->get_help_ptr()) option->excludes(doomed);
  }
  sub->footer(
      "Examples:\n"
      "  baleen twin --preset v4-flash --layers 4 --out /tmp/flash-4\n"
      "  baleen twin --preset v4-pro --layers 3 --experts 16 --seed 7 --out /tmp/pro-3\n"
      "  baleen twin --config model/config.json --tokenizer model --out /tmp/twin\n"
      "  baleen twin --delete /tmp/flash-4\n\n"
      "Exit codes: 0 written or removed; 2 impossible flags or configuration; 3 file not found; 5 disk.");
  sub->callback([flags, doomed, &exit_code] { Run(exit_code, [&] { return doomed->count() > 0 ? Delete(flags->doomed) : MakeTwin(*flags); }); });
}

}  // namespace baleen::apps
