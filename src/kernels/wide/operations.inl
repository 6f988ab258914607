// Every operation over the sixteen lanes of the folder that includes this, inside its unnamed namespace and after its lanes.inl: a function
// that left that file would be a weak symbol compiled for one instruction set, and might be picked for every CPU.

#include "kernels/wide/math.inl"
#include "kernels/wide/operands.inl"
#include "kernels/wide/linear.inl"
#include "kernels/wide/norm.inl"
#include "kernels/wide/cache_rows.inl"
#include "kernels/wide/softmax.inl"
#include "kernels/wide/attention.inl"
#include "kernels/wide/top_k.inl"
#include "kernels/wide/streams.inl"
#include "kernels/wide/peaks.inl"

[[gnu::always_inline]] inline void OverlayAll(Table& table) noexcept {
  // head_mix stays the reference's: four numbers a token.
  mix_below = table.mix;
  table.mix = Mix;
  table.linear = Linear;
  table.quantize = Quantize;
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
  table.collapse = Collapse;
  table.expand = Expand;
  table.root_mean = RootMean;
  table.router_score = RouterScore;
  table.swiglu = Swiglu;
  table.add = AddTo;
  table.round_bf16 = RoundVector;
  table.peaks = {"fma", 2.0 * kLanes * kPeakSums, 2000, PeakMultiply, ReadStreams};
}
