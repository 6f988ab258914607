// baleen bench: the group of commands that measure, and the comparison with another engine's command.

#include "apps/bench_against.h"
#include "apps/commands.h"

namespace baleen::apps {

void AddBenchCommand(CLI::App& app, int& exit_code) {
  CLI::App* bench = app.add_subcommand("bench", "Measure this machine");
  auto against = std::make_shared<AgainstFlags>();
  bench->require_subcommand(0, 1);
  CLI::Option* other = bench->add_option("--against", against->command, "Run this command of another engine (one word, for /bin/sh) and ours in turns, and compare their times");
  bench->add_option("--ours", against->ours, "With --against: what this program does beside it")->needs(other)->capture_default_str();
  bench->add_option("--rounds", against->rounds, "With --against: rounds after the first, which warms up")->check(CLI::Range(1, 10000))->needs(other)->capture_default_str();
  bench->add_option("--seconds", against->seconds, "With --against: bound of the whole run; what runs then is killed")->check(CLI::Range(0.1, 360000.0))->needs(other)->capture_default_str();
  bench->add_flag("--json", against->json, "With --against: print one JSON object")->needs(other);
  bench->footer("Examples:\n  baleen bench kernels --seconds 10\n  baleen bench --against \"llama-bench -m model.gguf -p 256 -n 32\" --ours \"bench model --prompt 256 --decode 32 --repeats 0\"");
  bench->callback([bench, other, against, &exit_code] {
    if (!bench->get_subcommands().empty() && *other) throw CLI::ExcludesError("--against", bench->get_subcommands().front()->get_name());
    if (!bench->get_subcommands().empty()) return;
    if (!*other) throw CLI::RequiredError("A subcommand (model, engine, kernels) or --against");
    Run(exit_code, [&] { return RunBenchAgainst(*against); });
  });
  AddBenchModelCommand(*bench, exit_code);
  AddBenchEngineCommand(*bench, exit_code);
  AddBenchKernelsCommand(*bench, exit_code);
}

}  // namespace baleen::apps
