#include "hardware/cpu.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#endif

namespace baleen::hardware {
namespace {

#if defined(__x86_64__)

struct Registers {
  unsigned a = 0, b = 0, c = 0, d = 0;
};

Registers Cpuid(unsigned leaf, unsigned subleaf) noexcept {
  Registers r;
  if (__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d) == 0) return {};
  return r;
}

std::uint64_t StateEnabledBySystem() noexcept {
  std::uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (std::uint64_t{high} << 32) | low;
}

bool Bit(unsigned word, int bit) noexcept { return ((word >> bit) & 1u) != 0; }

/// Linux gives the tile state to a process that asks (arch_prctl ARCH_REQ_XCOMP_PERM, feature 18).
bool TilePermission() noexcept {
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  static const bool granted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return granted;
}

Isa Detect() noexcept {
  const Registers one = Cpuid(1, 0), seven = Cpuid(7, 0);
  if (!Bit(one.c, 27)) return Isa::kReference;  // OSXSAVE
  const std::uint64_t state = StateEnabledBySystem();
  const bool avx2 = (state & 0x6) == 0x6 && Bit(one.c, 12) && Bit(one.c, 28) && Bit(one.c, 29) && Bit(seven.b, 5);  // FMA AVX F16C AVX2
  if (!avx2) return Isa::kReference;
  const bool avx512 = (state & 0xE6) == 0xE6 && Bit(seven.b, 16) && Bit(seven.b, 17) && Bit(seven.b, 30) && Bit(seven.b, 31);  // F DQ BW VL
  if (!avx512) return Isa::kAvx2;
  const bool tiles = (state & 0x60000) == 0x60000 && Bit(seven.d, 22) && Bit(seven.d, 24) && Bit(seven.d, 25);  // AMX-BF16 AMX-TILE AMX-INT8
  const bool beside = Bit(seven.c, 1) && Bit(seven.c, 8) && Bit(seven.c, 11) && Bit(Cpuid(7, 1).a, 5);  // VBMI GFNI VNNI AVX512-BF16: every CPU with tiles has them
  return tiles && beside && TilePermission() ? Isa::kAmx : Isa::kAvx512;
}

#else

Isa Detect() noexcept { return Isa::kReference; }

#endif

}  // namespace

std::string_view IsaName(Isa isa) noexcept {
  switch (isa) {
    case Isa::kReference: return "reference";
    case Isa::kAvx2: return "avx2";
    case Isa::kAvx512: return "avx512";
    case Isa::kAmx: return "amx";
  }
  return "reference";
}

Isa BestIsa() noexcept {
  static const Isa best = Detect();
  return best;
}

bool HasBf16Dots() noexcept {
#if defined(__x86_64__)
  static const bool has = BestIsa() >= Isa::kAvx512 && Bit(Cpuid(7, 1).a, 5) && Bit(Cpuid(7, 0).c, 1);
  return has;
#else
  return false;
#endif
}

bool HasByteDots() noexcept {
#if defined(__x86_64__)
  static const bool has = BestIsa() >= Isa::kAvx512 && Bit(Cpuid(7, 0).c, 11) && Bit(Cpuid(7, 0).c, 1);
  return has;
#else
  return false;
#endif
}

bool HasByteMatrices() noexcept {
#if defined(__x86_64__)
  static const bool has = BestIsa() >= Isa::kAvx512 && Bit(Cpuid(7, 0).c, 8);
  return has;
#else
  return false;
#endif
}

Result<Isa> ChooseIsa(std::string_view name) {
  if (name.empty()) return BestIsa();
  for (const Isa isa : {Isa::kReference, Isa::kAvx2, Isa::kAvx512, Isa::kAmx}) {
    if (name != IsaName(isa)) continue;
    if (isa > BestIsa()) {
      return diagnostics::Unsupported("BALEEN_ISA=" + std::string(name) + ": this machine supports up to " + std::string(IsaName(BestIsa())) +
                                      "; choose that or a lower one, or leave BALEEN_ISA unset");
    }
    return isa;
  }
  return diagnostics::InvalidInput("BALEEN_ISA: expected reference, avx2, avx512 or amx, found '" + diagnostics::Quoted(name) + "'");
}

Result<Isa> IsaFromEnvironment() {
  const char* value = std::getenv("BALEEN_ISA");
  return ChooseIsa(value == nullptr ? std::string_view{} : std::string_view{value});
}

int AvailableCores() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

std::uint64_t PhysicalMemoryBytes() noexcept {
  return static_cast<std::uint64_t>(std::max(0L, sysconf(_SC_PHYS_PAGES))) * static_cast<std::uint64_t>(std::max(0L, sysconf(_SC_PAGESIZE)));
}

}  // namespace baleen::hardware
