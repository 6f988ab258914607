// baleen serve: the model behind HTTP, for clients of OpenAI, DeepSeek and Anthropic, and a page.

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

#include "apps/commands.h"
#include "apps/engine_flags.h"
#include "apps/sampling_flags.h"
#include "constraint/compiler.h"
#include "diagnostics/log.h"
#include "hardware/cpu.h"
#include "library/answer_defaults.h"
#include "server/http_server.h"
#include "server/run_server.h"
#include "server/settings.h"

namespace baleen::apps {
namespace {

struct ServeFlags {
  ModelFlags model;
  EngineFlags engine;
  std::string encoding = "0731", prices;
  server::SettingTexts settings;
};

std::optional<std::string> FromEnvironment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

/// What the dashboard shows and every completion needs of the model.
Status DescribeModel(const ServeFlags& flags, const library::RunningEngine& running, const text::Tokenizer& tokenizer, server::Service& service) {
  const library::OpenedModel& opened = running.model;
  SamplingFlags sampling;
  sampling.encoding = flags.encoding;
  TRY_ASSIGN(Settings settings, MakeSettings(sampling, opened.folder, opened.checkpoint->config(), &tokenizer));
  completion::ServedModel& model = service.model;
  model.name = std::filesystem::weakly_canonical(opened.folder).filename().string();
  model.tokenizer = &tokenizer;
  model.vocab_size = opened.checkpoint->config().vocab_size;
  model.context = running.options.context;
  model.encoding = settings.encoding;
  model.sampling = settings.sampling;
  model.allowed = std::move(settings.allowed);
  model.end_ids = std::move(settings.end_ids);
  struct stat about = {};
  const model::MemoryPlan& plan = opened.transformer->memory_plan();
  service.facts = {.folder_name = model.name,
                   .drafts = running.options.draft_tokens > 0 ? "on" : "off",
                   .isa = std::string(hardware::IsaName(opened.device->isa())),
                   .threads = opened.device->workers().threads(),
                   .created = stat((opened.folder / "config.json").c_str(), &about) == 0 ? about.st_mtim.tv_sec : 0,
                   .memory = {{plan.packed_weights > 0 ? "weights, packed" : "weights, mapped", plan.Matrices()}, {"small weights and buffers", plan.BeyondWeights(0)}, {"attention state and prefix cache", running.AttentionBytes()}}};
  return {};
}

Result<std::unique_ptr<ledger::Ledger>> OpenLedger(const server::ServerSettings& settings) {
  if (settings.ledger.empty()) return std::unique_ptr<ledger::Ledger>();
  return ledger::Ledger::Open(settings.ledger, {.create = true});
}

Result<ledger::PriceList> LoadPrices(const ServeFlags& flags) {
  if (flags.prices.empty()) return ledger::PriceList::Shipped();
  return ledger::PriceList::Load(flags.prices);
}

Status Announce(const server::Service& service, const std::string& address) {
  return WriteStandardOutput("Serving " + service.model.name + " at " + address + " (the page: " + address + "/, Ctrl-C stops)\n");
}

/// What the environment or the config file says of the engine and the model, where no flag does: it passes the checks of the flag.
Status TakeEngineSettings(CLI::App& command, const server::ServerSettings& settings) {
  for (const auto& [name, given] : settings.engine) {
    CLI::Option* option = command.get_option("--" + name);
    if (option->count() > 0) continue;
    try {
      option->add_result(given.text);
      option->run_callback();
    } catch (const CLI::Error& error) {
      return diagnostics::InvalidInput(given.source + ": " + diagnostics::Quoted(error.what(), 300) + "; correct it");
    }
  }
  return {};
}

server::ServiceLimits LimitsOf(const server::ServerSettings& settings) {
  server::ServiceLimits limits;
  if (settings.max_requests > 0) limits.requests = settings.max_requests;
  limits.deadlines = settings.deadlines;
  limits.keep_alive = settings.keep_alive_time;
  limits.stall = settings.stall_time;
  return limits;
}

/// The cache is there to be quick: a folder that can only be read keeps nobody from being served.
std::string WritableCache(const std::string& folder) {
  if (folder.empty() || access(folder.c_str(), F_OK) != 0 || access(folder.c_str(), W_OK) == 0) return folder;
  diagnostics::Warn("the cache folder " + diagnostics::Quoted(folder, 200) + " cannot be written (" + std::strerror(errno) + "): prompts stay cached in memory only");
  return {};
}

/// Opens everything from the bottom to the top, serves, and closes it from the top to the bottom. flags: those of `command`.
Status Serve(CLI::App& command, ServeFlags& flags) {
  TRY_ASSIGN(const server::ServerSettings settings, server::ReadSettings(flags.settings, FromEnvironment));
  TRY(TakeEngineSettings(command, settings));
  flags.model.model = settings.model;
  flags.engine.cache_dir = WritableCache(settings.cache_dir);
  TRY_ASSIGN(const ledger::PriceList prices, LoadPrices(flags));
  TRY_ASSIGN(const std::unique_ptr<ledger::Ledger> ledger, OpenLedger(settings));
  TRY(server::CheckBinding(settings.host, !settings.api_key.empty() || (ledger != nullptr && ledger->HasKeys())));
  TRY(server::HttpServer::TryAddress(settings.ToBinding()));  // large weights take minutes to open
  TRY_ASSIGN(library::OpenedModel opened, OpenCheckpoint(flags.model));
  TRY_ASSIGN(const text::Tokenizer tokenizer, library::LoadTokenizer(opened.folder));
  TRY_ASSIGN(library::RunningEngine running, StartEngine(std::move(opened), flags.model, flags.engine));
  engine::Engine& engine = *running.engine;

  std::optional<boost::asio::io_context> io(1);
  server::Service service(io->get_executor());
  TRY(DescribeModel(flags, running, tokenizer, service));
  Result<std::unique_ptr<constraint::Compiler>> compiler = constraint::Compiler::Create(tokenizer, service.model.vocab_size, service.model.end_ids);
  service.model.compiler = compiler ? compiler->get() : nullptr;
  if (!compiler) service.model.no_compiler_reason = compiler.error().message;
  const std::filesystem::path cache(flags.engine.cache_dir);
  server::ReplayMemory replay(cache.empty() ? std::filesystem::path() : cache / "sampled-turns.sqlite", service.model.name + running.options.cache.fingerprint.Hex());
  service.engine = &engine;
  service.calls = {.submit = [&engine](engine::Request request) { return engine.Submit(std::move(request)); }, .cancel = [&engine](engine::RequestId id) { engine.Cancel(id); }};
  service.api_key = settings.api_key;
  service.ledger = ledger.get();
  service.prices = &prices;
  service.replay = &replay;
  service.limits = LimitsOf(settings);
  auto engine_thread = std::make_unique<server::EngineThread>(server::EngineThread::Calls{.step = [&engine] { return engine.Step(); },
                                                                                            .wait = [&engine](engine::Clock::duration at_most) { engine.Wait(at_most); },
                                                                                            .wake = [&engine] { engine.Cancel(0); }});
  service.engine_thread = engine_thread.get();
  Status announced;
  const Status status = server::RunServer(*io, service, settings, [&](const std::string& address) { announced = Announce(service, address); });
  for (const int signal : {SIGTERM, SIGINT}) std::signal(signal, SIG_IGN);  // the rest is short: what the cache has not yet written is written
  engine_thread.reset();
  engine.Shutdown();  // what was cut off ends
  io.reset();         // the last of the coroutines, which use all of the above
  return status ? announced : status;
}

/// Adds a flag for every setting that another family of flags has not added already.
void AddSettingFlags(CLI::App& command, ServeFlags& flags) {
  command.add_option_function<std::string>("--config", [&flags](const std::string& value) { flags.settings["config"] = value; }, "A JSON file of these settings, by their names");
  for (const server::SettingName& setting : server::SettingNames()) {
    const std::string name = "--" + std::string(setting.name);
    if (command.get_option_no_throw(name) != nullptr) continue;
    command.add_option_function<std::string>(name, [&flags, key = std::string(setting.name)](const std::string& value) { flags.settings[key] = value; }, std::string(setting.help))
        ->option_text(std::string(setting.value));
  }
}

}  // namespace

void AddServeCommand(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<ServeFlags>();
  CLI::App* command = app.add_subcommand("serve", "Serve a model to clients of OpenAI, DeepSeek and Anthropic, with a page to chat and a dashboard.");
  AddModelFlags(*command, flags->model, true);
  AddEngineFlags(*command, flags->engine);
  flags->engine.tenant_quota = 0.25;
  command->add_option("--tenant-quota", flags->engine.tenant_quota, "Share of the attention memory that a user's cached prompts keep from other users")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--encoding", flags->encoding, "april (preview releases) or 0731 (since)")->check(CLI::IsMember({"april", "0731"}))->capture_default_str();
  command->add_option("--prices", flags->prices, "Price list for the ledger (default: DeepSeek's published prices)");
  AddSettingFlags(*command, *flags);
  command->footer(
      "Every setting is also read from the environment (BALEEN_PORT for --port) and from the config file; flags win over the environment, and that over\n"
      "the file. Only this machine can reach 127.0.0.1; any other --host needs a key. Ctrl-C or SIGTERM lets what runs finish.\n\nExamples:\n"
      "  baleen serve\n"
      "  baleen serve --model DIR --port 8000 --cache-dir ~/.cache/baleen\n"
      "  baleen keys create ann --ledger usage.db && baleen serve --host 0.0.0.0 --ledger usage.db\n"
      "  curl http://127.0.0.1:8080/v1/chat/completions -H 'content-type: application/json' \\\n"
      "       -d '{\"model\": \"plankton\", \"messages\": [{\"role\": \"user\", \"content\": \"35+4\"}]}'");
  command->callback([flags, command, &exit_code] {
    for (const char* shared : {"model", "cache-dir"}) {
      const CLI::Option* option = command->get_option("--" + std::string(shared));
      if (option->count() > 0) flags->settings[shared] = option->results().back();
    }
    Run(exit_code, [&] { return Serve(*command, *flags); });
  });
}

}  // namespace baleen::apps
