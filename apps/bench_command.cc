// baleen bench model: what opening, memory, prefill and decode cost on this machine, measured in one run.

#include <malloc.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <numeric>

#include <nlohmann/json.hpp>

#include "apps/bench_against.h"
#include "apps/commands.h"
#include "apps/measure.h"
#include "apps/open_model.h"

namespace baleen::apps {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kReadBytes = std::uint64_t{1} << 29;

struct BenchFlags {
  ModelFlags model;
  std::int64_t prompt = 256, decode = 32, repeats = 3, chunk = kPrefillRows;
  bool json = false;
};

struct Measured {
  double open_seconds = 0, load_seconds = 0;
  std::uint64_t mapped_bytes = 0, resident_after_open = 0;
  std::uint64_t planned_bytes = 0, taken_bytes = 0;
  std::int64_t heap_growth = 0;  // bytes of the heap that a decode step kept
  std::vector<double> prefill, decode;  // tokens a second
  std::vector<double> read;  // bytes a second that the team reads from memory: what decode streams weights against
  std::uint64_t hash = 0;
};

/// A field of /proc/self/smaps_rollup in bytes: "Rss" counts resident pages, "Anonymous" those of no file. (The Rss lines of
/// /proc/self/status lag by up to 64 pages a thread.)
std::uint64_t ResidentBytes(const std::string& field) {
  std::ifstream rollup("/proc/self/smaps_rollup");
  for (std::string name; rollup >> name;) {
    std::uint64_t kib = 0;
    if (name == field + ":" && rollup >> kib) return 1024 * kib;
    std::getline(rollup, name);
  }
  return 0;
}

/// Ids that depend on nothing but their place.
std::vector<std::int32_t> Ids(std::int64_t count, std::int64_t vocab) {
  std::vector<std::int32_t> ids;
  std::uint64_t state = 88172645463325252u;
  for (std::int64_t i = 0; i < count; ++i) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    ids.push_back(static_cast<std::int32_t>(state % static_cast<std::uint64_t>(vocab)));
  }
  return ids;
}

void Feed(model::Transformer& model, kvcache::Sequence& sequence, std::span<const std::int32_t> tokens) {
  const model::Segment segment{&sequence, static_cast<std::int64_t>(tokens.size())};
  const std::int32_t last = static_cast<std::int32_t>(tokens.size()) - 1;
  model.Forward({tokens, {&segment, 1}, {&last, 1}, {}});
}

/// One prompt and its greedy continuation.
void RunOnce(model::Transformer& model, kvcache::Sequence& sequence, const std::vector<std::int32_t>& prompt, const BenchFlags& flags, Measured& m) {
  sequence.Reset();
  auto start = Clock::now();
  for (std::size_t begin = 0; begin < prompt.size(); begin += static_cast<std::size_t>(model.limits().rows)) {
    Feed(model, sequence, std::span(prompt).subspan(begin, std::min(prompt.size() - begin, static_cast<std::size_t>(model.limits().rows))));
  }
  m.prefill.push_back(static_cast<double>(prompt.size()) / Since(start));
  m.hash = kHashBegin;
  start = Clock::now();
  const auto heap = static_cast<std::int64_t>(mallinfo2().uordblks);
  for (std::int64_t i = 0; i < flags.decode; ++i) {
    const auto logits = model.Logits(0);
    const auto next = static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    m.hash = Hash(&next, sizeof next, m.hash);
    Feed(model, sequence, {&next, 1});
  }
  m.heap_growth = std::max(m.heap_growth, static_cast<std::int64_t>(mallinfo2().uordblks) - heap);
  m.decode.push_back(static_cast<double>(flags.decode) / Since(start));
}

/// How fast the team reads a block that no cache holds, one pass between the runs so that both sides see the same machine.
Status ReadMemory(backend::Device& device, const hardware::Region& block, Measured& m) {
  constexpr std::int64_t kParts = 64;
  const auto words = static_cast<std::int64_t>(block.size() / sizeof(std::uint64_t)) / kParts;
  std::array<std::uint64_t, kParts> sums{};
  const auto start = Clock::now();
  device.workers().Run(kParts, [&](std::int64_t part, int) noexcept {
    const auto* first = reinterpret_cast<const std::uint64_t*>(block.data()) + part * words;
    sums[static_cast<std::size_t>(part)] = std::accumulate(first, first + words, std::uint64_t{0});
  });
  m.read.push_back(static_cast<double>(block.size()) / Since(start));
  if (std::accumulate(sums.begin(), sums.end(), std::uint64_t{0}) != 0) return diagnostics::ResourceError("zeroed memory does not read as zero");
  return {};
}

void Print(const BenchFlags& flags, const library::OpenedModel& opened, const Measured& m) {
  const double excess = static_cast<double>(m.taken_bytes) / static_cast<double>(std::max<std::uint64_t>(m.planned_bytes, 1)) - 1;
  const std::string hash = Hex(m.hash);
  if (flags.json) {
    const nlohmann::ordered_json report = {
        {"model", opened.folder.string()}, {"isa", hardware::IsaName(opened.device->isa())}, {"threads", opened.device->workers().threads()},
        {"arithmetic", flags.model.arithmetic}, {"open_seconds", m.open_seconds}, {"mapped_bytes", m.mapped_bytes}, {"resident_bytes_after_open", m.resident_after_open},
        {"load_seconds", m.load_seconds}, {"planned_bytes", m.planned_bytes}, {"taken_bytes", m.taken_bytes}, {"heap_growth_bytes_in_decode", m.heap_growth},
        {"prompt_tokens", flags.prompt}, {"decode_tokens", flags.decode}, {"prefill_tokens_per_second", m.prefill}, {"decode_tokens_per_second", m.decode},
        {"read_bytes_per_second", m.read},
        {"output_hash", hash}};
    std::printf("%s\n", report.dump(1).c_str());
    return;
  }
  std::printf("%s, %s, %d threads, %s arithmetic\n", opened.folder.string().c_str(), std::string(hardware::IsaName(opened.device->isa())).c_str(),
              opened.device->workers().threads(), flags.model.arithmetic.c_str());
  std::printf("  open      %10.3f s   %.1f MiB mapped, %.2f MiB of them read\n", m.open_seconds, static_cast<double>(m.mapped_bytes) / 1048576.0,
              static_cast<double>(m.resident_after_open) / 1048576.0);
  std::printf("  memory    %10.1f MiB planned beyond the weights, %.1f MiB taken (%+.2f %%); a decode keeps %lld bytes of heap\n",
              static_cast<double>(m.planned_bytes) / 1048576.0, static_cast<double>(m.taken_bytes) / 1048576.0, 100 * excess, static_cast<long long>(m.heap_growth));
  std::printf("  reading   %10.1f GB/s of memory by %d threads, median of %zu\n", Median(m.read) / 1e9, opened.device->workers().threads(), m.read.size());
  std::printf("  prefill   %10.1f tokens/s, median of %zu (%lld tokens)\n", Median(m.prefill), m.prefill.size(), static_cast<long long>(flags.prompt));
  std::printf("  decode    %10.1f tokens/s, median of %zu (%lld tokens), output %s\n", Median(m.decode), m.decode.size(), static_cast<long long>(flags.decode), hash.c_str());
}

Status RunBench(const BenchFlags& flags) {
  Measured m;
  ModelFlags quiet = flags.model;
  quiet.verify = false;  // it would read every weight, which is what "open" must not
  const std::uint64_t files_before = ResidentBytes("Rss") - ResidentBytes("Anonymous");
  auto start = Clock::now();
  TRY_ASSIGN(library::OpenedModel opened, OpenCheckpoint(quiet));
  m.open_seconds = Since(start);
  const std::uint64_t files = ResidentBytes("Rss") - ResidentBytes("Anonymous");
  m.resident_after_open = files - std::min(files_before, files);
  m.mapped_bytes = opened.checkpoint->TotalBytes();

  start = Clock::now();
  const std::uint64_t before = ResidentBytes("Anonymous");
  const std::int64_t context = flags.prompt + flags.decode;
  TRY(LoadTransformer(opened, quiet, {.rows = std::min(flags.prompt, flags.chunk), .context = context, .logit_rows = 1, .segments = 1}));
  TRY_ASSIGN(kvcache::Sequence sequence, kvcache::Sequence::Create(opened.transformer->cache_layout(), context));
  m.load_seconds = Since(start);
  const std::vector<std::int32_t> prompt = Ids(flags.prompt, opened.checkpoint->config().vocab_size);
  RunOnce(*opened.transformer, sequence, prompt, flags, m);
  m.taken_bytes = ResidentBytes("Anonymous") - std::min(before, ResidentBytes("Anonymous"));
  TRY_ASSIGN(const hardware::Region block, hardware::Region::Allocate(kReadBytes, "the block of the bandwidth probe"));
  for (std::int64_t i = 0; i < flags.repeats; ++i) {
    TRY(ReadMemory(*opened.device, block, m));
    RunOnce(*opened.transformer, sequence, prompt, flags, m);
  }
  m.planned_bytes = opened.transformer->memory_plan().BeyondWeights(1);
  Print(flags, opened, m);
  return {};
}

}  // namespace

void AddBenchCommand(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<BenchFlags>();
  CLI::App* bench = app.add_subcommand("bench", "Measure this machine");
  auto against = std::make_shared<AgainstFlags>();
  bench->require_subcommand(0, 1);
  CLI::Option* other = bench->add_option("--against", against->command, "Run this command of another engine (one word, for /bin/sh) and ours in turns, and compare their times");
  bench->add_option("--ours", against->ours, "With --against: what this program does beside it")->needs(other)->capture_default_str();
  bench->add_option("--rounds", against->rounds, "With --against: rounds after the first, which warms up")->check(CLI::Range(1, 10000))->needs(other)->capture_default_str();
  bench->add_option("--seconds", against->seconds, "With --against: bound of the whole run; what runs then is killed")->check(CLI::Range(0.1, 360000.0))->needs(other)->capture_default_str();
  bench->add_flag("--json", against->json, "With --against: print one JSON object")->needs(other);
  bench->footer("Examples:\n  baleen bench kernels --seconds 10\n  baleen bench --against \"llama-bench -m model.gguf -p 256 -n 32\" --ours \"bench model --prompt 256 --decode 32 --repeats 1\"");
  bench->callback([bench, other, against, &exit_code] {
    if (!bench->get_subcommands().empty() && *other) throw CLI::ExcludesError("--against", bench->get_subcommands().front()->get_name());
    if (!bench->get_subcommands().empty()) return;
    if (!*other) throw CLI::RequiredError("A subcommand (model, engine, kernels) or --against");
    Run(exit_code, [&] { return RunBenchAgainst(*against); });
  });
  CLI::App* command = bench->add_subcommand("model", "Opening, memory against the plan, prefill and decode of a model");
  AddModelFlags(*command, flags->model, true);
  const auto size = CLI::Range(std::int64_t{1}, std::int64_t{1} << 21);
  command->add_option("--prompt", flags->prompt, "Tokens of the prompt")->check(size)->capture_default_str();
  command->add_option("--decode", flags->decode, "Tokens of the continuation")->check(size)->capture_default_str();
  command->add_option("--chunk", flags->chunk, "Tokens per prefill step; does not change the numbers")->check(size)->capture_default_str();
  command->add_option("--repeats", flags->repeats, "Runs; medians are printed")->check(CLI::Range(1, 1000))->capture_default_str();
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->footer("Examples:\n  baleen bench model\n  baleen bench model --model flash-4 --threads 2 --prompt 512 --json\n");
  command->callback([flags, &exit_code] { Run(exit_code, [&] { return RunBench(*flags); }); });
  AddBenchEngineCommand(*bench, exit_code);
  AddBenchKernelsCommand(*bench, exit_code);
}

}  // namespace baleen::apps
