#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/cpu/families.h"
#include "tensor/scalar.h"

namespace baleen::backend::cpu {
namespace {

constexpr std::int64_t kRowsPerPart = 4;        // rows of the cheap row-wise operations
constexpr std::int64_t kMixOutputsPerPart = 8;  // of the 24 outputs of a hyper-connection site
constexpr std::int64_t kFloatsPerPart = 1 << 14;  // elements of the cheap element-wise ones

/// Whether the weight multiplies the e4m3 form of x.
bool UsesCodes(const Matrix& weight, const Numbers& x) noexcept {
  return x.codes != nullptr && (weight.format == Format::kFp8 || weight.format == Format::kFp4);
}

/// Whether it multiplies x as bytes.
bool UsesBytes(const Matrix& weight, const Numbers& x) noexcept { return x.bytes != nullptr && kernels::TakesBytes(weight.format); }

/// The outputs of raw = fn·v for the rows: the narrow fp32 matrix of a hyper-connection site.
void MixLogits(Device& device, const SiteWeights& site, const float* streams, const std::int32_t* chosen, const Span& rows, const Span& outputs,
               float* raw) noexcept {
  const std::int64_t width = site.n * site.d;
  device.kernels().linear({.weight = site.fn,
                           .row_begin = outputs.begin,
                           .row_end = outputs.end,
                           .x = chosen != nullptr ? streams : streams + rows.begin * width,
                           .x_stride = width,
                           .x_rows = chosen != nullptr ? chosen + rows.begin : nullptr,
                           .rows = rows.end - rows.begin,
                           .y = raw + rows.begin * site.fn.n + outputs.begin,
                           .y_stride = site.fn.n});
}

/// Calls before(rows), then body(rows) once their raw is there, for spans of at most kRowsPerPart rows. Rows enough for every thread go through all of it on one of them, while
/// their streams are in its cache; few rows share the matrix's outputs.
template <typename Before, typename Body>
void WithMixLogits(Device& device, const SiteWeights& site, const float* streams, const std::int32_t* chosen, std::int64_t rows, float* raw,
                   const Before& before, const Body& body) noexcept {
  const std::int64_t threads = device.workers().threads();
  if (rows >= threads) {
    const std::int64_t size = std::min(kRowsPerPart, rows / threads);
    device.workers().Run(Parts(rows, size), [&](std::int64_t part, int) noexcept {
      const Span span = Part(rows, size, part);
      before(span);
      MixLogits(device, site, streams, chosen, span, {0, site.fn.n}, raw);
      body(span);
    });
    return;
  }
  ForRows(device, rows, [&](std::int64_t r, int) noexcept { before(Span{r, r + 1}); });
  device.workers().Run(Parts(site.fn.n, kMixOutputsPerPart), [&](std::int64_t part, int) noexcept {
    MixLogits(device, site, streams, chosen, {0, rows}, Part(site.fn.n, kMixOutputsPerPart, part), raw);
  });
  ForRows(device, rows, [&](std::int64_t r, int) noexcept { body(Span{r, r + 1}); });
}

/// The quantised form of the rows, where it is wanted.
void QuantizeRows(Device& device, const QuantizedBuffer& buffer, const Span& rows, std::int64_t d) noexcept {
  if (buffer.bytes != nullptr) {
    const std::int64_t groups = (d + kernels::kByteGroup - 1) / kernels::kByteGroup;
    device.kernels().byte_quantize({buffer.x + rows.begin * d, rows.end - rows.begin, d, kernels::kByteGroup, buffer.bytes + rows.begin * d,
                                    buffer.scales + rows.begin * groups});
  }
  if (buffer.codes == nullptr) return;
  const std::int64_t groups = (d + kernels::kActivationGroup - 1) / kernels::kActivationGroup;
  device.kernels().quantize({buffer.x + rows.begin * d, rows.end - rows.begin, d, buffer.codes + rows.begin * d, buffer.scales + rows.begin * groups});
}

}  // namespace

void ExpandRows(Device& device, const ExpandStreams& op, const Span& rows, std::int64_t d, Rounding rounding) noexcept {
  for (std::int64_t r = rows.begin; op.f != nullptr && r < rows.end; ++r) {
    const float* mix = op.mix + r * (2 + op.n) * op.n;
    device.kernels().expand({op.streams + r * op.n * d, op.n, d, op.f + r * d, mix + op.n, mix + 2 * op.n, rounding});
  }
}

std::int64_t OutputsPerPart(std::int64_t outputs, std::int64_t rows, std::int64_t matrices, int threads) noexcept {
  if (threads == 1) return std::max<std::int64_t>(outputs, 1);
  // Every part brings its rows into the form that its kernel wants, so the more rows there are, the larger it should be.
  constexpr std::int64_t kManyRows = 5;
  const std::int64_t least = rows < kManyRows ? 32 : 128, parts = (matrices == 1 ? 4 : 16) * threads;
  const std::int64_t share = std::max(least, (outputs * matrices + parts - 1) / parts), count = std::max<std::int64_t>(1, (outputs + share - 1) / share);
  return std::max<std::int64_t>(1, std::min(outputs, ((outputs + count - 1) / count + 15) / 16 * 16));
}

void RunEmbed(Device& device, const Embed& op) noexcept {
  const auto rows = static_cast<std::int64_t>(op.tokens.size());
  const std::int64_t d = op.table.k;
  device.workers().Run(Parts(rows, kRowsPerPart), [&](std::int64_t part, int) noexcept {
    const Span span = Part(rows, kRowsPerPart, part);
    for (std::int64_t r = span.begin; r < span.end; ++r) {
      float* first = op.streams + r * op.row_stride;
      const std::byte* source = op.table.data + op.tokens[static_cast<std::size_t>(r)] * kernels::RowBytes(op.table.format, d);
      if (op.table.format == Format::kF32) std::memcpy(first, source, static_cast<std::size_t>(4 * d));
      for (std::int64_t i = 0; op.table.format == Format::kBf16 && i < d; ++i) {
        std::uint16_t code;
        std::memcpy(&code, source + 2 * i, 2);
        first[i] = tensor::FromBf16(code);
      }
      for (std::int64_t j = 1; j < op.n; ++j) std::memcpy(first + j * d, first, static_cast<std::size_t>(4 * d));
    }
  });
}

void RunCollapse(Device& device, const CollapseStreams& op) noexcept {
  const SiteWeights& site = *op.site;
  const std::int64_t n = site.n, d = site.d, width = (2 + n) * n;
  const auto expand = [&](const Span& span) noexcept { ExpandRows(device, op.expand, span, d, op.rounding); };
  WithMixLogits(device, site, op.streams, nullptr, op.rows, op.raw, expand, [&](const Span& span) noexcept {
    const kernels::Table& k = device.kernels();
    const std::int64_t rows = span.end - span.begin;
    float factors[kRowsPerPart];
    for (std::int64_t i = 0; i < rows; ++i) factors[i] = k.root_mean({op.streams + (span.begin + i) * n * d, n * d, site.norm_eps});
    float* mix = op.mix + span.begin * width;
    k.mix({rows, op.raw + span.begin * width, factors, site.scale, site.base, n, site.iterations, site.hc_eps, mix});
    float* x = op.x.x + span.begin * d;
    for (std::int64_t i = 0; i < rows; ++i) k.collapse({op.streams + (span.begin + i) * n * d, n, d, mix + i * width, x + i * d, op.rounding});
    k.norm({x, rows, d, d, op.norm_weight, site.norm_eps, x, op.rounding});
    QuantizeRows(device, op.x, span, d);
  });
}

void RunCollapseHead(Device& device, const CollapseHead& op) noexcept {
  const SiteWeights& site = *op.site;
  const auto rows = static_cast<std::int64_t>(op.chosen.size());
  WithMixLogits(device, site, op.streams, op.chosen.data(), rows, op.raw, [](const Span&) noexcept {}, [&](const Span& span) noexcept {
    const kernels::Table& k = device.kernels();
    for (std::int64_t r = span.begin; r < span.end; ++r) {
      const float* streams = op.streams + op.chosen[static_cast<std::size_t>(r)] * site.n * site.d;
      float pre[kernels::kMaxStreams];
      float* y = op.y + r * site.d;
      const float factor = k.root_mean({streams, site.n * site.d, site.norm_eps});
      k.head_mix({op.raw + r * site.n, factor, site.scale, site.base, site.n, site.hc_eps, pre});
      k.collapse({streams, site.n, site.d, pre, y, op.rounding});
      if (op.norm_weight != nullptr) k.norm({y, 1, site.d, site.d, op.norm_weight, site.norm_eps, y, op.rounding});
    }
  });
}

void RunMeanStreams(Device& device, const MeanStreams& op) noexcept {
  float share[kernels::kMaxStreams];
  std::fill_n(share, op.n, 1.0f / static_cast<float>(op.n));
  ForRows(device, op.rows, [&](std::int64_t r, int) noexcept {
    device.kernels().collapse({op.streams + r * op.n * op.d, op.n, op.d, share, op.out + r * op.out_stride, op.rounding});
  });
}

void RunQuantize(Device& device, const Quantize& op) noexcept {
  device.workers().Run(Parts(op.rows, kRowsPerPart), [&](std::int64_t part, int) noexcept { QuantizeRows(device, op.out, Part(op.rows, kRowsPerPart, part), op.d); });
}

void RunLinear(Device& device, const Linear& op) noexcept {
  const bool codes = UsesCodes(op.weight, op.x), bytes = UsesBytes(op.weight, op.x);
  const std::int64_t group = bytes ? kernels::kByteGroup : kernels::kActivationGroup, scale_stride = (op.x.d + group - 1) / group, threads = device.workers().threads();
  const std::int64_t size = OutputsPerPart(op.weight.n, op.rows, 1, device.workers().threads()), parts = Parts(op.weight.n, size);
  // A matrix of one part is cut along the rows.
  const std::int64_t rows = parts == 1 ? std::max<std::int64_t>(1, Parts(op.rows, threads)) : op.rows;
  device.workers().Run(parts * Parts(op.rows, rows), [&](std::int64_t part, int) noexcept {
    const Span outputs = Part(op.weight.n, size, part % parts), span = Part(op.rows, rows, part / parts);
    if (bytes) {
      device.kernels().byte_linear({op.weight, outputs.begin, outputs.end, op.x.bytes + span.begin * op.x.d, op.x.d, nullptr, op.x.scales + span.begin * scale_stride,
                                    scale_stride, span.end - span.begin, op.y + span.begin * op.weight.n + outputs.begin, op.weight.n, op.rounding});
      return;
    }
    device.kernels().linear({.weight = op.weight,
                             .row_begin = outputs.begin,
                             .row_end = outputs.end,
                             .x = (codes ? op.x.codes : op.x.x) + span.begin * op.x.d,
                             .x_stride = op.x.d,
                             .x_scales = codes ? op.x.scales + span.begin * scale_stride : nullptr,
                             .scale_stride = scale_stride,
                             .rows = span.end - span.begin,
                             .y = op.y + span.begin * op.weight.n + outputs.begin,
                             .y_stride = op.weight.n,
                             .rounding = op.rounding});
  });
}

void RunGroupedLinear(Device& device, const GroupedLinear& op) noexcept {
  const std::int64_t outputs = op.weight.n / op.groups, width = op.groups * op.weight.k;
  const std::int64_t size = OutputsPerPart(outputs, op.rows, op.groups, device.workers().threads()), parts = Parts(outputs, size);
  device.workers().Run(op.groups * parts, [&](std::int64_t part, int) noexcept {
    const std::int64_t group = part / parts;
    const Span span = Part(outputs, size, part % parts);
    if (UsesBytes(op.weight, op.x)) {
      const std::int64_t scales = (op.weight.k + kernels::kByteGroup - 1) / kernels::kByteGroup;
      device.kernels().byte_linear({op.weight, group * outputs + span.begin, group * outputs + span.end, op.x.bytes + group * op.weight.k, width, nullptr,
                                    op.x.scales + group * scales, op.groups * scales, op.rows, op.y + group * outputs + span.begin, op.weight.n, op.rounding});
      return;
    }
    device.kernels().linear({.weight = op.weight,
                             .row_begin = group * outputs + span.begin,
                             .row_end = group * outputs + span.end,
                             .x = op.x.x + group * op.weight.k,
                             .x_stride = width,
                             .rows = op.rows,
                             .y = op.y + group * outputs + span.begin,
                             .y_stride = op.weight.n,
                             .rounding = op.rounding});
  });
}

void RunNorm(Device& device, const Norm& op) noexcept {
  device.workers().Run(Parts(op.rows, kRowsPerPart), [&](std::int64_t part, int) noexcept {
    const Span span = Part(op.rows, kRowsPerPart, part);
    device.kernels().norm({op.x + span.begin * op.x_stride, span.end - span.begin, op.d, op.x_stride, op.weight, op.eps, op.out.x + span.begin * op.d, op.rounding});
    QuantizeRows(device, op.out, span, op.d);
  });
}

void RunMakeRotation(Device& device, const MakeRotation& op) noexcept {
  const auto rows = static_cast<std::int64_t>(op.positions.size()), half = static_cast<std::int64_t>(op.frequencies.size());
  ForRows(device, rows, [&](std::int64_t r, int) noexcept {
    for (std::int64_t i = 0; i < half; ++i) {
      // The fp32 product is the angle (§3.3); its sine and cosine are taken exactly and rounded once.
      const float angle = static_cast<float>(op.positions[static_cast<std::size_t>(r)]) * op.frequencies[static_cast<std::size_t>(i)];
      op.cosine[r * half + i] = static_cast<float>(std::cos(static_cast<double>(angle)));
      op.sine[r * half + i] = static_cast<float>(std::sin(static_cast<double>(angle)));
    }
  });
}

void RunPrepareQuery(Device& device, const PrepareQuery& op) noexcept {
  const std::int64_t half = op.rotation.rope_dim / 2;
  ForRows(device, op.rows, [&](std::int64_t r, int) noexcept {
    const kernels::Table& k = device.kernels();
    float* q = op.q + r * op.heads * op.dim;
    if (op.head_norm_eps > 0) k.head_norm({q, op.heads, op.dim, op.head_norm_eps, op.rounding});
    k.rotate({q, op.heads, op.dim, op.rotation.rope_dim, op.rotation.cosine + r * half, op.rotation.sine + r * half, false, op.rounding});
    if (op.index_quantize) k.index_quantize({q, op.heads, op.dim});
  });
}

void RunStoreKv(Device& device, const StoreKv& op) noexcept {
  const std::int64_t half = op.rotation.rope_dim / 2, dim = op.layout.dim;
  device.workers().Run(Parts(op.rows, kRowsPerPart), [&](std::int64_t part, int) noexcept {
    const Span span = Part(op.rows, kRowsPerPart, part);
    const kernels::Table& k = device.kernels();
    k.norm({op.kv + span.begin * dim, span.end - span.begin, dim, dim, op.norm_weight, op.eps, op.kv + span.begin * dim, op.rounding});
    for (std::int64_t r = span.begin; r < span.end; ++r) {
      float* kv = op.kv + r * dim;
      k.rotate({kv, 1, dim, op.rotation.rope_dim, op.rotation.cosine + r * half, op.rotation.sine + r * half, false, op.rounding});
      k.pack_kv({op.layout, kv, op.stored + r * op.layout.RowBytes()});
    }
  });
}

void RunScaleBy(Device& device, const ScaleBy& op) noexcept {
  device.workers().Run(Parts(op.count, kFloatsPerPart), [&](std::int64_t part, int) noexcept {
    const Span span = Part(op.count, kFloatsPerPart, part);
    for (std::int64_t i = span.begin; i < span.end; ++i) op.x[i] *= op.factor;
    if (op.rounding == Rounding::kBf16) device.kernels().round_bf16({op.x + span.begin, span.end - span.begin});
  });
}

void RunAddRows(Device& device, const AddRows& op) noexcept {
  ForRows(device, op.rows, [&](std::int64_t r, int) noexcept {
    for (std::int64_t j = 0; j < op.repeat; ++j) {
      float* x = op.x + (r * op.repeat + j) * op.d;
      device.kernels().add({op.y + r * op.d, op.d, x});
      if (op.rounding == Rounding::kBf16) device.kernels().round_bf16({x, op.d});
    }
  });
}

}  // namespace baleen::backend::cpu
