#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "diagnostics/result.h"

namespace baleen::hardware {

/// The instruction sets that kernels exist for, each including the ones before it.
enum class Isa { kReference, kAvx2, kAvx512, kAmx };

std::string_view IsaName(Isa isa) noexcept;

/// The best set that this CPU and kernel allow, from CPUID feature bits and XCR0 (never from the model number). For AMX it asks the
/// kernel once per process for the permission to use tiles.
Isa BestIsa() noexcept;

/// Whether this CPU multiplies pairs of bf16 (AVX512_BF16) and looks bytes up in a register (AVX512_VBMI): kAvx512 and kAmx are faster with it, with the same bits.
bool HasBf16Dots() noexcept;

/// Whether it adds products of bytes (AVX512_VNNI) and looks bytes up in a register: the same.
bool HasByteDots() noexcept;

/// Whether it multiplies bytes with matrices of bits (GFNI, in registers of 64), which kAmx has and its rows use.
bool HasByteMatrices() noexcept;

/// The set to run: `name` (reference|avx2|avx512|amx), or BestIsa() if empty.
/// Errors: an unknown name, or one that this machine cannot run.
Result<Isa> ChooseIsa(std::string_view name);

/// ChooseIsa of the environment variable BALEEN_ISA.
Result<Isa> IsaFromEnvironment();

/// Cores this process may run on, >= 1 (affinity mask, not the machine).
int AvailableCores() noexcept;

/// Physical memory of the machine in bytes.
std::uint64_t PhysicalMemoryBytes() noexcept;

}  // namespace baleen::hardware
