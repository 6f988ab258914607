// baleen bench engine: one request against many together, and a load of arrivals, measured in one run.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include <nlohmann/json.hpp>

#include "apps/arrival_trace.h"
#include "apps/commands.h"
#include "apps/engine_flags.h"
#include "apps/load_report.h"
#include "apps/measure.h"

namespace baleen::apps {
namespace {

using engine::Clock;

struct BenchEngineFlags {
  ModelFlags model;
  EngineFlags engine;
  LoadShape shape;
  std::string trace, svg;
  std::int64_t repeats = 3;
  double seconds = 0;  // bound of the run; 0 = none
  bool json = false;
};

// One against many: mostly writing, and without drafts, so that it shows what sharing a step gives.
constexpr std::int64_t kBatchPrompt = 16, kBatchAnswer = 256;

struct BatchFigures {
  std::vector<double> alone, together;  // tokens a second
};

/// Greedy and without an end, so that every run does the same work; `tenant` keeps runs from finding each other's prompts.
engine::Request RequestFor(const Arrival& arrival, std::int64_t number, std::int64_t vocab, const std::string& tenant, bool drafts) {
  engine::Request request;
  request.prompt = PromptOf(arrival, number, vocab);
  request.sampling.temperature = 0;
  request.max_tokens = arrival.answer_tokens;
  request.priority = arrival.priority;
  request.tenant = tenant;
  request.drafts = drafts;
  return request;
}

/// Plays the arrivals against the engine on this thread. From `until` on nothing arrives any more, and what runs then ends there.
Result<std::vector<RequestTimes>> Play(engine::Engine& engine, const std::vector<Arrival>& arrivals, std::int64_t vocab, const std::string& tenant,
                                       bool drafts, Clock::time_point until) {
  std::vector<RequestTimes> times(arrivals.size());
  const Clock::time_point begin = Clock::now();
  std::size_t arriving = arrivals.size();
  for (std::size_t next = 0, ended = 0; ended < arriving;) {
    if (Clock::now() >= until) arriving = next;
    for (; next < arriving && arrivals[next].at_seconds <= Since(begin); ++next) {
      RequestTimes& entry = times[next];
      engine::Request request = RequestFor(arrivals[next], static_cast<std::int64_t>(next), vocab, tenant, drafts);
      entry.submitted = Since(begin);
      if (until != Clock::time_point::max()) request.deadlines.total = until - Clock::now();
      request.on_token = [&entry, begin](const engine::TokenEvent&) { return entry.tokens.push_back(Since(begin)), true; };
      request.on_end = [&entry, &ended, begin](const engine::Ending& ending) {
        entry.ending = ending;
        entry.ended = Since(begin);
        entry.started = entry.submitted + ending.usage.queue_seconds;
        ++ended;
      };
      TRY(engine.Submit(std::move(request)));
    }
    if (!engine.Step() && next < arriving) {
      const auto arrival = begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(arrivals[next].at_seconds));
      std::this_thread::sleep_until(std::min(arrival, until));
    }
  }
  times.resize(arriving);
  return times;
}

Arrival BatchShape(std::int64_t context) {
  const std::int64_t prompt = std::min(kBatchPrompt, context - 1);
  return {0, prompt, std::min(kBatchAnswer, context - prompt), 0, 0, 0};
}

/// One request after the other, then all of them at once, again and again: both sides see the same machine. One pair is measured whatever it takes; no
/// other begins from `until` on.
Status MeasureBatch(library::RunningEngine& open, const BenchEngineFlags& flags, Clock::time_point until, BatchFigures& figures) {
  const std::int64_t vocab = open.model.checkpoint->config().vocab_size;
  const Arrival shape = BatchShape(open.options.context);
  const std::vector<Arrival> together(static_cast<std::size_t>(flags.engine.parallel), shape);
  const Clock::time_point whole = Clock::time_point::max();
  for (std::int64_t repeat = 0; repeat <= flags.repeats && (repeat <= 1 || Clock::now() < until); ++repeat) {  // the first warms up
    TRY_ASSIGN(const std::vector<RequestTimes> one, Play(*open.engine, {shape}, vocab, "alone " + std::to_string(repeat), false, whole));
    TRY_ASSIGN(const std::vector<RequestTimes> all, Play(*open.engine, together, vocab, "together " + std::to_string(repeat), false, whole));
    if (repeat == 0) continue;
    figures.alone.push_back(FiguresOf(one).tokens_per_second);
    figures.together.push_back(FiguresOf(all).tokens_per_second);
  }
  return {};
}

nlohmann::ordered_json DraftFigures(const engine::Statistics& statistics) {
  nlohmann::ordered_json places = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < statistics.drafted_at.size() && statistics.drafted_at[i] > 0; ++i) {
    places.push_back({{"drafted", statistics.drafted_at[i]}, {"accepted", statistics.accepted_at[i]}});
  }
  return places;
}

void PrintText(const library::RunningEngine& open, const BenchEngineFlags& flags, const BatchFigures& batch, const LoadFigures& load, const engine::Statistics& statistics) {
  std::printf("%s, %s, %d threads, %lld sequences at once\n", open.model.folder.string().c_str(), std::string(hardware::IsaName(open.model.device->isa())).c_str(),
              open.model.device->workers().threads(), static_cast<long long>(flags.engine.parallel));
  const Arrival shape = BatchShape(open.options.context);
  std::printf("  one request     %10.1f tokens/s, median of %zu (prompt %lld, answer %lld tokens, no drafts, prompts included)\n", Median(batch.alone),
              batch.alone.size(), static_cast<long long>(shape.prompt_tokens), static_cast<long long>(shape.answer_tokens));
  std::printf("  %3lld together    %10.1f tokens/s, %.2f times as many\n", static_cast<long long>(flags.engine.parallel), Median(batch.together),
              Median(batch.together) / Median(batch.alone));
  std::printf("  the load        %10.1f tokens/s over %.2f s; %lld prompt tokens, %.1f %% of them from the cache; %lld failed\n", load.tokens_per_second, load.seconds,
              static_cast<long long>(load.prompt_tokens), 100 * load.hit_rate, static_cast<long long>(load.failed));
  std::printf("  first token     %10.2f ms p50, %.2f ms p99\n", 1e3 * load.first_token_p50, 1e3 * load.first_token_p99);
  std::printf("  between tokens  %10.2f ms p50, %.2f ms p99\n", 1e3 * load.between_p50, 1e3 * load.between_p99);
  for (std::size_t i = 0; i < statistics.drafted_at.size() && statistics.drafted_at[i] > 0; ++i) {
    std::printf("  draft, place %zu  %10.1f %% of %lld accepted\n", i + 1, 100.0 * static_cast<double>(statistics.accepted_at[i]) / static_cast<double>(statistics.drafted_at[i]),
                static_cast<long long>(statistics.drafted_at[i]));
  }
}

void PrintJson(const library::RunningEngine& open, const BenchEngineFlags& flags, const BatchFigures& batch, const LoadFigures& load, const engine::Statistics& statistics) {
  const nlohmann::ordered_json report = {{"model", open.model.folder.string()},
                                         {"isa", hardware::IsaName(open.model.device->isa())},
                                         {"threads", open.model.device->workers().threads()},
                                         {"parallel", flags.engine.parallel},
                                         {"batch_prompt_tokens", BatchShape(open.options.context).prompt_tokens},
                                         {"batch_answer_tokens", BatchShape(open.options.context).answer_tokens},
                                         {"alone_tokens_per_second", batch.alone},
                                         {"together_tokens_per_second", batch.together},
                                         {"ratio", Median(batch.together) / Median(batch.alone)},
                                         {"load",
                                          {{"seconds", load.seconds},
                                           {"tokens_per_second", load.tokens_per_second},
                                           {"prompt_tokens", load.prompt_tokens},
                                           {"cached_tokens", load.cached_tokens},
                                           {"completion_tokens", load.completion_tokens},
                                           {"failed", load.failed},
                                           {"first_token_seconds", {{"p50", load.first_token_p50}, {"p99", load.first_token_p99}}},
                                           {"between_tokens_seconds", {{"p50", load.between_p50}, {"p99", load.between_p99}}}}},
                                         {"preempted", statistics.preempted},
                                         {"drafts", DraftFigures(statistics)}};
  std::printf("%s\n", report.dump(1).c_str());
}

Status RunBenchEngine(const BenchEngineFlags& flags) {
  if (!std::isfinite(flags.shape.rate)) return diagnostics::InvalidInput("--rate: expected a number from 0 up, found none");
  if (!std::isfinite(flags.seconds)) return diagnostics::InvalidInput("--seconds: expected a number from 0.1 up, found none");
  std::vector<Arrival> arrivals = MakeArrivals(flags.shape);
  if (!flags.trace.empty()) {
    TRY_ASSIGN(arrivals, ReadArrivals(flags.trace));
  }
  TRY_ASSIGN(library::OpenedModel model, OpenCheckpoint(flags.model));
  TRY_ASSIGN(library::RunningEngine open, StartEngine(std::move(model), flags.model, flags.engine));
  BatchFigures batch;
  // Half of the time for each: the pairs, then the load.
  const auto after = [&](double share) {
    if (flags.seconds == 0) return Clock::time_point::max();
    return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(share * flags.seconds));
  };
  TRY(MeasureBatch(open, flags, after(0.5), batch));
  TRY_ASSIGN(const std::vector<RequestTimes> times, Play(*open.engine, arrivals, open.model.checkpoint->config().vocab_size, "load", true, after(0.5)));
  const LoadFigures load = FiguresOf(times);
  const engine::Statistics statistics = open.engine->statistics();
  if (!flags.svg.empty()) {
    TRY(WriteReport(flags.svg, LoadSvg(times, load, "baleen bench engine: " + open.model.folder.filename().string() + ", " +
                                                        std::string(hardware::IsaName(open.model.device->isa())) + ", " +
                                                        std::to_string(open.model.device->workers().threads()) + " threads")));
  }
  (flags.json ? PrintJson : PrintText)(open, flags, batch, load, statistics);
  return {};
}

}  // namespace

void AddBenchEngineCommand(CLI::App& bench, int& exit_code) {
  auto flags = std::make_shared<BenchEngineFlags>();
  CLI::App* command = bench.add_subcommand("engine", "One request against many together, and a load of arrivals: tokens a second, waits, cache hits");
  AddModelFlags(*command, flags->model, true);
  AddEngineFlags(*command, flags->engine);
  const auto tokens = CLI::Range(std::int64_t{1}, std::int64_t{1} << 21);
  command->add_option("--requests", flags->shape.requests, "Requests of the load")->check(CLI::Range(1, 1000000))->capture_default_str();
  command->add_option("--prompt", flags->shape.prompt_tokens, "Tokens of a prompt of the load")->check(tokens)->capture_default_str();
  command->add_option("--answer", flags->shape.answer_tokens, "Tokens of an answer of the load")->check(tokens)->capture_default_str();
  command->add_option("--shared", flags->shape.shared_tokens, "Tokens that all prompts of the load begin with")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 21))
      ->capture_default_str();
  command->add_option("--rate", flags->shape.rate, "Requests of the load a second, at random times (0: all at once)")->check(CLI::Range(0.0, 1e6))->capture_default_str();
  command->add_option("--seed", flags->shape.seed, "Of the random times")->capture_default_str();
  command->add_option("--trace", flags->trace, "JSON lines {\"at\": s, \"prompt_tokens\": n, \"answer_tokens\": n, \"group\": n, \"shared_tokens\": n} instead");
  command->add_option("--repeats", flags->repeats, "Runs of one against many; medians are printed")->check(CLI::Range(1, 1000))->capture_default_str();
  command->add_option("--seconds", flags->seconds, "Bound of the measuring: half of it for one against many, of which one pair is always measured, half for the load, which is cut off then")
      ->check(CLI::Range(0.1, 360000.0));
  command->add_option("--svg", flags->svg, "Write a picture of the load to this file");
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->footer("Examples:\n  baleen bench engine\n  baleen bench engine --rate 40 --requests 200 --svg load.svg\n  baleen bench engine --trace arrivals.jsonl --json");
  command->callback([flags, &exit_code] { Run(exit_code, [&] { return RunBenchEngine(*flags); }); });
}

}  // namespace baleen::apps
