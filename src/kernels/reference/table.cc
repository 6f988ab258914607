#include "kernels/overlay.h"
#include "kernels/reference/families.h"

namespace baleen::kernels::reference {

void Fill(Table& table) noexcept {
  table.linear = Linear;
  table.quantize = Quantize;
  table.byte_linear = ByteLinear;
  table.byte_quantize = ByteQuantize;
  table.norm = Norm;
  table.head_norm = HeadNorm;
  table.rotate = Rotate;
  table.pack_kv = PackKv;
  table.unpack_kv = UnpackKv;
  table.index_quantize = IndexQuantize;
  table.pack_index = PackIndex;
  table.attend = Attend;
  table.index_score = IndexScore;
  table.top_k = TopK;
  table.pool = Pool;
  table.mix = Mix;
  table.head_mix = HeadMix;
  table.collapse = Collapse;
  table.expand = Expand;
  table.root_mean = RootMean;
  table.router_score = RouterScore;
  table.swiglu = Swiglu;
  table.add = Add;
  table.round_bf16 = RoundBf16;
  table.peaks = {"scalar", 2.0 * 8, 10000, PeakMultiply, ReadStreams};
}

}  // namespace baleen::kernels::reference
