#include "library/open_model.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "hardware/cpu.h"
#include "hardware/memory.h"
#include "hardware/topology.h"

namespace baleen::library {

using diagnostics::InvalidInput;

Result<int> ThreadsOf(int wanted) {
  const std::string range = "expected a number from 1 to " + std::to_string(kMostThreads);
  if (wanted < 0 || wanted > kMostThreads) return InvalidInput("threads: " + range + ", or 0 for every core, found " + std::to_string(wanted));
  if (wanted != 0) return wanted;
  const char* text = std::getenv("BALEEN_THREADS");
  if (text == nullptr || *text == 0) return std::min(hardware::AvailableCores(), kMostThreads);
  int threads = 0;
  const auto [end, fault] = std::from_chars(text, text + std::strlen(text), threads);
  if (fault != std::errc() || *end != 0 || threads < 1 || threads > kMostThreads) {
    return InvalidInput("BALEEN_THREADS: " + range + ", found '" + diagnostics::Quoted(text) + "'");
  }
  return threads;
}

std::optional<Pin> PinNamed(std::string_view name) {
  if (name == "auto") return Pin::kAuto;
  if (name == "on") return Pin::kOn;
  if (name == "off") return Pin::kOff;
  return std::nullopt;
}

std::optional<WeightsChoice> WeightsNamed(std::string_view name) {
  if (name == "auto") return WeightsChoice::kAuto;
  if (name == "mapped") return WeightsChoice::kMapped;
  if (name == "packed") return WeightsChoice::kPacked;
  return std::nullopt;
}

namespace {

/// `wanted`, else what the environment names, else kAuto.
template <typename Choice>
Result<Choice> ChoiceOf(std::optional<Choice> wanted, const char* variable, std::optional<Choice> (*named)(std::string_view), const char* names) {
  if (wanted) return *wanted;
  const char* text = std::getenv(variable);
  if (text == nullptr || *text == 0) return Choice::kAuto;
  const std::optional<Choice> choice = named(text);
  if (!choice) return InvalidInput(std::string(variable) + ": expected " + names + ", found '" + diagnostics::Quoted(text) + "'");
  return *choice;
}

}  // namespace

Result<Pin> PinOf(std::optional<Pin> wanted) { return ChoiceOf(wanted, "BALEEN_PIN", PinNamed, "auto, on or off"); }

Result<WeightsChoice> WeightsOf(std::optional<WeightsChoice> wanted) { return ChoiceOf(wanted, "BALEEN_WEIGHTS", WeightsNamed, "auto, mapped or packed"); }

namespace {

/// Weights of one node gain nothing by a copy, nor do those of threads that the system moves. Where there are several nodes, a third of what is free
/// stays for the rest.
model::WeightsPlace PlaceOf(WeightsChoice choice, const hardware::Topology& topology, std::uint64_t bytes) noexcept {
  if (choice == WeightsChoice::kPacked) return model::WeightsPlace::kPacked;
  const bool packed = choice == WeightsChoice::kAuto && topology.nodes.size() > 1 && bytes <= hardware::AvailableMemoryBytes() / 3 * 2;
  return packed ? model::WeightsPlace::kPacked : model::WeightsPlace::kMapped;
}

/// For threads that nobody holds a machine of one node will do: reading the real one takes some 10 ms.
hardware::Topology TopologyFor(Pin pin) {
  if (pin == Pin::kOff) return {.nodes = {0}, .cores = {{.node = 0, .processors = {0}}}};
  return hardware::MachineTopology();
}

/// A process that is pinned to cores is alone on them: two such would share some and leave others idle. Nodes are wide enough to share.
hardware::Pinning PinningOf(Pin pin, const hardware::Topology& topology) noexcept {
  if (pin == Pin::kOn) return hardware::Pinning::kCores;
  return pin == Pin::kAuto && topology.nodes.size() > 1 ? hardware::Pinning::kNodes : hardware::Pinning::kOff;
}

}  // namespace

Result<OpenedModel> OpenModel(const ModelSettings& settings) {
  OpenedModel opened;
  if (settings.model.empty()) return InvalidInput("model: expected a folder or a hub id, found nothing");
  TRY_ASSIGN(const int threads, ThreadsOf(settings.threads));
  TRY_ASSIGN(const Pin pin, PinOf(settings.pin));
  TRY_ASSIGN(const WeightsChoice weights, WeightsOf(settings.weights));
  TRY_ASSIGN(const hardware::Isa isa, hardware::IsaFromEnvironment());
  TRY_ASSIGN(opened.folder, checkpoint::FindModel(settings.model));
  TRY_ASSIGN(checkpoint::Checkpoint checkpoint, checkpoint::Checkpoint::Open(opened.folder));
  opened.checkpoint = std::make_unique<checkpoint::Checkpoint>(std::move(checkpoint));
  opened.arithmetic = settings.arithmetic.value_or(model::DefaultArithmetic(opened.checkpoint->config()));
  const hardware::Topology topology = TopologyFor(pin);
  opened.place = PlaceOf(weights, topology, opened.checkpoint->TotalBytes());
  opened.device = std::make_unique<backend::Device>(isa, threads, hardware::PlaceThreads(topology, threads, PinningOf(pin, topology)));
  opened.verified = settings.verify && opened.checkpoint->TotalBytes() <= hardware::PhysicalMemoryBytes();
  if (opened.verified) {
    TRY(checkpoint::VerifyValues(*opened.checkpoint, opened.device->workers()));
  }
  return opened;
}

}  // namespace baleen::library
