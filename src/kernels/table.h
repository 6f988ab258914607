#pragma once

#include "hardware/cpu.h"
#include "kernels/attention.h"
#include "kernels/byte_linear.h"
#include "kernels/cache_rows.h"
#include "kernels/linear.h"
#include "kernels/norm.h"
#include "kernels/peaks.h"
#include "kernels/streams.h"

namespace baleen::kernels {

/// The leaf operations of one instruction set: one thread, no allocation, no failure. The reference fills every entry; the others
/// overlay what they do better. Every entry gives a row the same bits whatever rows stand beside it.
struct Table {
  void (*linear)(const LinearArgs&) noexcept;
  void (*quantize)(const QuantizeArgs&) noexcept;
  void (*byte_linear)(const ByteLinearArgs&) noexcept;
  void (*byte_quantize)(const ByteQuantizeArgs&) noexcept;
  void (*norm)(const NormArgs&) noexcept;
  void (*head_norm)(const HeadNormArgs&) noexcept;
  void (*rotate)(const RotateArgs&) noexcept;
  void (*pack_kv)(const PackKvArgs&) noexcept;
  void (*unpack_kv)(const UnpackKvArgs&) noexcept;
  void (*index_quantize)(const IndexQuantizeArgs&) noexcept;
  void (*pack_index)(const PackIndexArgs&) noexcept;
  void (*attend)(const AttendArgs&) noexcept;
  void (*index_score)(const IndexScoreArgs&) noexcept;
  void (*top_k)(const TopKArgs&) noexcept;
  void (*pool)(const PoolArgs&) noexcept;
  void (*mix)(const MixArgs&) noexcept;
  void (*head_mix)(const HeadMixArgs&) noexcept;
  void (*collapse)(const CollapseArgs&) noexcept;
  void (*expand)(const ExpandArgs&) noexcept;
  float (*root_mean)(const RootMeanArgs&) noexcept;
  void (*router_score)(const RouterScoreArgs&) noexcept;
  void (*swiglu)(const SwigluArgs&) noexcept;
  void (*add)(const AddArgs&) noexcept;
  void (*round_bf16)(const RoundArgs&) noexcept;
  Peaks peaks;
};

/// Stack that a thread touches at most in a leaf operation (the many-row linear layers); part of the memory plan.
inline constexpr std::uint64_t kStackBytes = 864 * 1024;

/// The table of an instruction set that this machine supports (hardware::ChooseIsa).
const Table& TableFor(hardware::Isa isa) noexcept;

}  // namespace baleen::kernels
