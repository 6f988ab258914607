#include "backend/cpu/families.h"

namespace baleen::backend::cpu {

const Ops& Table() noexcept {
  static const Ops ops = {
      .embed = RunEmbed,
      .collapse = RunCollapse,
      .collapse_head = RunCollapseHead,
      .mean_streams = RunMeanStreams,
      .quantize = RunQuantize,
      .linear = RunLinear,
      .grouped_linear = RunGroupedLinear,
      .norm = RunNorm,
      .make_rotation = RunMakeRotation,
      .prepare_query = RunPrepareQuery,
      .store_kv = RunStoreKv,
      .scale_by = RunScaleBy,
      .add_rows = RunAddRows,
      .compress = RunCompress,
      .choose_rows = RunChooseRows,
      .attend = RunAttend,
      .keep_rows = RunKeepRows,
      .route = RunRoute,
      .run_experts = RunAllExperts,
  };
  return ops;
}

}  // namespace baleen::backend::cpu
