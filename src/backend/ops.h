#pragma once

#include "backend/dense_ops.h"
#include "backend/sparse_ops.h"

namespace baleen::backend {

/// The operations of a device, named as the model names them; they cannot fail. Rows never influence each other's bits.
struct Ops {
  void (*embed)(Device&, const Embed&) noexcept;
  void (*collapse)(Device&, const CollapseStreams&) noexcept;
  void (*collapse_head)(Device&, const CollapseHead&) noexcept;
  void (*mean_streams)(Device&, const MeanStreams&) noexcept;
  void (*quantize)(Device&, const Quantize&) noexcept;
  void (*linear)(Device&, const Linear&) noexcept;
  void (*grouped_linear)(Device&, const GroupedLinear&) noexcept;
  void (*norm)(Device&, const Norm&) noexcept;
  void (*make_rotation)(Device&, const MakeRotation&) noexcept;
  void (*prepare_query)(Device&, const PrepareQuery&) noexcept;
  void (*store_kv)(Device&, const StoreKv&) noexcept;
  void (*scale_by)(Device&, const ScaleBy&) noexcept;
  void (*add_rows)(Device&, const AddRows&) noexcept;
  void (*compress)(Device&, const Compress&) noexcept;
  void (*choose_rows)(Device&, const ChooseRows&) noexcept;
  void (*attend)(Device&, const Attend&) noexcept;
  void (*keep_rows)(Device&, const KeepRows&) noexcept;
  void (*route)(Device&, const Route&) noexcept;
  void (*run_experts)(Device&, const RunExperts&) noexcept;
};

}  // namespace baleen::backend
