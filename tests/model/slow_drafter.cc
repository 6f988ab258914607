#include "slow_drafter.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>

#include "diagnostics/check.h"
#include "tensor/scalar.h"

namespace baleen::golden {
namespace {

using tensor::DType;

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double Dot(const double* a, const double* b, std::int64_t count) { return std::inner_product(a, a + count, b, 0.0); }

double RootMean(std::span<const double> x, double eps) { return 1 / std::sqrt(Dot(x.data(), x.data(), static_cast<std::int64_t>(x.size())) / static_cast<double>(x.size()) + eps); }

std::int32_t Likeliest(const Numbers64& logits) { return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()); }

/// Element i of a stored tensor of k columns, its scale included (§9.1).
double Element(const tensor::View& view, const tensor::View* scales, std::int64_t i, std::int64_t k) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(view.bytes.data());
  const std::int64_t row = i / k, column = i % k;
  const auto scale = [&](std::int64_t at) { return static_cast<double>(tensor::FromE8m0(static_cast<std::uint8_t>(scales->bytes[static_cast<std::size_t>(at)]))); };
  switch (view.dtype) {
    case DType::kF32: { float value; std::memcpy(&value, bytes + 4 * i, 4); return static_cast<double>(value); }
    case DType::kBF16: { std::uint16_t code; std::memcpy(&code, bytes + 2 * i, 2); return static_cast<double>(tensor::FromBf16(code)); }
    case DType::kF8E4M3: return static_cast<double>(tensor::FromE4m3(bytes[i])) * scale(row / 128 * scales->shape[1] + column / 128);
    case DType::kF4:
      return static_cast<double>(tensor::FromE2m1(static_cast<std::uint8_t>(i % 2 == 0 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4))) * scale(row * scales->shape[1] + column / 32);
    default: CHECK(false); return 0;
  }
}

}  // namespace

const SlowDrafter::Dense& SlowDrafter::Weight(const std::string& name) {
  const auto found = weights_.find(name);
  if (found != weights_.end()) return found->second;
  const auto view = checkpoint_->Find(name);
  CHECK(view.has_value());
  const auto scales = checkpoint_->Find(name.substr(0, name.rfind(".weight")) + ".scale");
  Dense dense{view->shape[0], view->shape.size() == 2 ? view->shape[1] : 1, Numbers64(static_cast<std::size_t>(view->Elements()))};
  for (std::size_t i = 0; i < dense.w.size(); ++i) dense.w[i] = Element(*view, scales ? &*scales : nullptr, static_cast<std::int64_t>(i), dense.k);
  return weights_.emplace(name, std::move(dense)).first->second;
}

Numbers64 SlowDrafter::Linear(const std::string& name, std::span<const double> x) {
  const Dense& w = Weight(name);
  CHECK(w.k == static_cast<std::int64_t>(x.size()));
  Numbers64 y(static_cast<std::size_t>(w.n));
  for (std::int64_t i = 0; i < w.n; ++i) y[static_cast<std::size_t>(i)] = Dot(w.w.data() + i * w.k, x.data(), w.k);
  return y;
}

Numbers64 SlowDrafter::Norm(const std::string& name, std::span<const double> x) {
  const Dense& w = Weight(name);
  const double factor = RootMean(x, c_.norm_eps);
  Numbers64 y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = w.w[i] * x[i] * factor;
  return y;
}

Numbers64 SlowDrafter::Embedding(const std::string& name, std::int32_t token) {
  const Dense& w = Weight(name);
  return {w.w.begin() + token * w.k, w.w.begin() + (token + 1) * w.k};
}

void SlowDrafter::Rotate(std::span<double> x, std::int64_t position, double direction) const {
  const std::size_t first = x.size() - static_cast<std::size_t>(c_.rope_dim);
  for (std::int64_t i = 0; i < c_.rope_dim / 2; ++i) {
    const double angle = static_cast<double>(position) * std::pow(c_.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(c_.rope_dim));
    double &a = x[first + static_cast<std::size_t>(2 * i)], &b = x[first + static_cast<std::size_t>(2 * i + 1)];
    const double cosine = std::cos(angle), sine = direction * std::sin(angle), old = a;
    a = old * cosine - b * sine;
    b = old * sine + b * cosine;
  }
}

Numbers64 SlowDrafter::KvRow(const std::string& prefix, std::span<const double> x, std::int64_t position) {
  Numbers64 row = Norm(prefix + "attn.kv_norm.weight", Linear(prefix + "attn.wkv.weight", x));
  Rotate(row, position, 1);
  return row;
}

Numbers64 SlowDrafter::Attention(const std::string& prefix, std::span<const double> x, std::int64_t position, const std::vector<const Numbers64*>& keys) {
  const auto dim = static_cast<std::size_t>(c_.head_dim);
  Numbers64 q = Linear(prefix + "attn.wq_b.weight", Norm(prefix + "attn.q_norm.weight", Linear(prefix + "attn.wq_a.weight", x)));
  Numbers64 o(q.size(), 0.0);
  for (std::int64_t h = 0; h < c_.heads; ++h) {
    const std::span<double> head = std::span(q).subspan(static_cast<std::size_t>(h) * dim, dim), out = std::span(o).subspan(static_cast<std::size_t>(h) * dim, dim);
    const double factor = RootMean(head, c_.norm_eps);
    for (double& value : head) value *= factor;
    Rotate(head, position, 1);
    double denominator = std::exp(Weight(prefix + "attn.attn_sink").w[static_cast<std::size_t>(h)]);
    for (const Numbers64* key : keys) {
      const double p = std::exp(Dot(head.data(), key->data(), c_.head_dim) / std::sqrt(static_cast<double>(c_.head_dim)));
      denominator += p;
      for (std::size_t i = 0; i < dim; ++i) out[i] += p * (*key)[i];
    }
    for (double& value : out) value /= denominator;
    Rotate(out, position, -1);
  }
  const Dense& down = Weight(prefix + "attn.wo_a.weight");
  Numbers64 z(static_cast<std::size_t>(down.n));
  for (std::int64_t i = 0; i < down.n; ++i) z[static_cast<std::size_t>(i)] = Dot(down.w.data() + i * down.k, o.data() + i / c_.output_lora * down.k, down.k);
  return Linear(prefix + "attn.wo_b.weight", z);
}

Numbers64 SlowDrafter::Expert(const std::string& prefix, std::span<const double> x, double weight) {
  const Numbers64 gate = Linear(prefix + "w1.weight", x), up = Linear(prefix + "w3.weight", x);
  Numbers64 hidden(gate.size());
  const double limit = c_.swiglu_limit > 0 ? c_.swiglu_limit : HUGE_VAL;
  for (std::size_t i = 0; i < gate.size(); ++i) {
    const double g = std::min(gate[i], limit), u = std::clamp(up[i], -limit, limit);
    hidden[i] = g * Sigmoid(g) * u * weight;
  }
  return Linear(prefix + "w2.weight", hidden);
}

Numbers64 SlowDrafter::Experts(const std::string& prefix, std::span<const double> x) {
  const Numbers64 l = Linear(prefix + "ffn.gate.weight", x), &bias = Weight(prefix + "ffn.gate.bias").w;
  Numbers64 score(l.size());
  for (std::size_t e = 0; e < l.size(); ++e) score[e] = std::sqrt(std::max(l[e], 0.0) + std::log1p(std::exp(-std::fabs(l[e]))));
  std::vector<std::size_t> order(l.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return score[a] + bias[a] > score[b] + bias[b]; });
  order.resize(static_cast<std::size_t>(c_.experts_per_token));
  double sum = 0;
  for (const std::size_t e : order) sum += score[e];
  Numbers64 y = Expert(prefix + "ffn.shared_experts.", x, 1);
  for (const std::size_t e : order) {
    const Numbers64 part = Expert(prefix + "ffn.experts." + std::to_string(e) + ".", x, score[e] / sum * c_.route_scale);
    std::transform(y.begin(), y.end(), part.begin(), y.begin(), std::plus<>());
  }
  return y;
}

/// The raw mixing logits of a site: (fn · v) · rsqrt(mean(v²) + eps).
Numbers64 SlowDrafter::Mix(const std::string& site, std::span<const double> streams, std::int64_t outputs) {
  Numbers64 m = Linear(site + "_fn", streams);
  CHECK(static_cast<std::int64_t>(m.size()) == outputs);
  for (double& value : m) value *= RootMean(streams, c_.norm_eps);
  return m;
}

Numbers64 SlowDrafter::HyperHead(const std::string& prefix, std::span<const double> streams) {
  const auto d = static_cast<std::size_t>(c_.hidden_size);
  const Numbers64 m = Mix(prefix + "hc_head", streams, c_.streams);
  Numbers64 y(d, 0.0);
  for (std::size_t j = 0; j < m.size(); ++j) {
    const double p = Sigmoid(m[j] * Weight(prefix + "hc_head_scale").w[0] + Weight(prefix + "hc_head_base").w[j]) + c_.hc_eps;
    for (std::size_t i = 0; i < d; ++i) y[i] += p * streams[j * d + i];
  }
  return y;
}

void SlowDrafter::Block(const std::string& prefix, std::vector<Numbers64>& rows, std::int64_t first, std::vector<Numbers64>& past, bool see_each_other) {
  const auto n = static_cast<std::size_t>(c_.streams), d = static_cast<std::size_t>(c_.hidden_size);
  std::vector<Numbers64> post(rows.size()), comb(rows.size()), x(rows.size()), kv(rows.size());
  const auto collapse = [&](const std::string& site, const std::string& norm) {
    const Numbers64 &scale = Weight(site + "_scale").w, &base = Weight(site + "_base").w;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const Numbers64 m = Mix(site, rows[r], c_.streams * (2 + c_.streams));
      Numbers64 sum(d, 0.0), c(n * n);
      post[r].resize(n);
      for (std::size_t j = 0; j < n; ++j) {
        const double pre = Sigmoid(m[j] * scale[0] + base[j]) + c_.hc_eps;
        post[r][j] = 2 * Sigmoid(m[n + j] * scale[1] + base[n + j]);
        for (std::size_t i = 0; i < d; ++i) sum[i] += pre * rows[r][j * d + i];
        double total = 0;
        for (std::size_t k = 0; k < n; ++k) total += c[j * n + k] = std::exp(m[2 * n + j * n + k] * scale[2] + base[2 * n + j * n + k]);
        for (std::size_t k = 0; k < n; ++k) c[j * n + k] = c[j * n + k] / total + c_.hc_eps;
      }
      for (std::int64_t pass = 1; pass < 2 * c_.sinkhorn_iterations; ++pass) {  // columns, then rows and columns in turn
        const std::size_t along = pass % 2 == 1 ? n : 1, across = pass % 2 == 1 ? 1 : n;
        for (std::size_t a = 0; a < n; ++a) {
          double total = c_.hc_eps;
          for (std::size_t b = 0; b < n; ++b) total += c[a * across + b * along];
          for (std::size_t b = 0; b < n; ++b) c[a * across + b * along] /= total;
        }
      }
      comb[r] = std::move(c);
      x[r] = Norm(norm, sum);
    }
  };
  const auto expand = [&](std::size_t r, const Numbers64& f) {
    const Numbers64 old = rows[r];
    for (std::size_t k = 0; k < n; ++k) {
      for (std::size_t i = 0; i < d; ++i) {
        double value = post[r][k] * f[i];
        for (std::size_t j = 0; j < n; ++j) value += comb[r][j * n + k] * old[j * d + i];
        rows[r][k * d + i] = value;
      }
    }
  };

  collapse(prefix + "hc_attn", prefix + "attn_norm.weight");
  for (std::size_t r = 0; r < rows.size(); ++r) kv[r] = KvRow(prefix, x[r], first + static_cast<std::int64_t>(r));
  CHECK(first == static_cast<std::int64_t>(past.size()));
  if (!see_each_other) past.insert(past.end(), kv.begin(), kv.end());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const std::int64_t position = first + static_cast<std::int64_t>(r), end = see_each_other ? first : position + 1;
    std::vector<const Numbers64*> keys;
    for (std::int64_t p = std::max<std::int64_t>(0, end - c_.window); p < end; ++p) keys.push_back(&past[static_cast<std::size_t>(p)]);
    for (std::size_t other = 0; see_each_other && other < rows.size(); ++other) keys.push_back(&kv[other]);
    expand(r, Attention(prefix, x[r], position, keys));
  }
  collapse(prefix + "hc_ffn", prefix + "ffn_norm.weight");
  for (std::size_t r = 0; r < rows.size(); ++r) expand(r, Experts(prefix, x[r]));
}

std::vector<SlowDrafter::Place> SlowDrafter::DraftMtp(const std::vector<Numbers64>& streams, const std::vector<std::int32_t>& tokens, std::int64_t count) {
  const auto n = static_cast<std::size_t>(c_.streams), d = static_cast<std::size_t>(c_.hidden_size);
  const auto join = [&](const Numbers64& x, std::int32_t token) {
    const Numbers64 e = Linear("mtp.0.e_proj.weight", Norm("mtp.0.enorm.weight", Embedding("embed.weight", token)));
    Numbers64 y;
    for (std::size_t j = 0; j < n; ++j) {
      Numbers64 h = Linear("mtp.0.h_proj.weight", Norm("mtp.0.hnorm.weight", std::span(x).subspan(j * d, d)));
      std::transform(h.begin(), h.end(), e.begin(), h.begin(), std::plus<>());
      y.insert(y.end(), h.begin(), h.end());
    }
    return y;
  };
  std::vector<Numbers64> rows, past;
  for (std::size_t i = 0; i < streams.size(); ++i) rows.push_back(join(streams[i], tokens[i]));
  Block("mtp.0.", rows, 0, past, false);
  std::vector<Place> places;
  for (std::int64_t place = 0;; ++place) {
    Numbers64 logits = Linear("head.weight", Norm("mtp.0.norm.weight", HyperHead("mtp.0.", rows.back())));
    const std::int32_t token = Likeliest(logits);
    places.push_back({std::move(logits), 0, token});
    if (place + 1 == count) return places;
    rows = {join(rows.back(), token)};
    Block("mtp.0.", rows, static_cast<std::int64_t>(past.size()), past, false);
  }
}

std::vector<SlowDrafter::Place> SlowDrafter::DraftDspark(const std::vector<Numbers64>& features, std::int32_t next) {
  const auto length = static_cast<std::int64_t>(features.size());
  std::vector<Numbers64> main, rows;
  for (const Numbers64& row : features) main.push_back(Norm("mtp.0.main_norm.weight", Linear("mtp.0.main_proj.weight", row)));
  for (std::int64_t i = 0; i < c_.dspark_block; ++i) {
    const Numbers64 embedding = Embedding("embed.weight", i == 0 ? next : static_cast<std::int32_t>(c_.dspark_noise_token));
    rows.emplace_back();
    for (std::int64_t j = 0; j < c_.streams; ++j) rows.back().insert(rows.back().end(), embedding.begin(), embedding.end());
  }
  for (std::int64_t stage = 0; stage < c_.drafter_modules; ++stage) {
    const std::string prefix = "mtp." + std::to_string(stage) + ".";
    std::vector<Numbers64> past;
    for (std::int64_t p = 0; p < length; ++p) past.push_back(KvRow(prefix, main[static_cast<std::size_t>(p)], p));
    Block(prefix, rows, length, past, true);
  }
  const std::string last = "mtp." + std::to_string(c_.drafter_modules - 1) + ".";
  std::vector<Place> places;
  for (const Numbers64& row : rows) {
    const std::int32_t previous = places.empty() ? next : places.back().token;
    Numbers64 y = HyperHead(last, row);
    Numbers64 logits = Linear("head.weight", Norm(last + "norm.weight", y));
    const Numbers64 markov = Embedding(last + "markov_head.markov_w1.weight", previous), correction = Linear(last + "markov_head.markov_w2.weight", markov);
    std::transform(logits.begin(), logits.end(), correction.begin(), logits.begin(), std::plus<>());
    y.insert(y.end(), markov.begin(), markov.end());
    const double confidence = Sigmoid(Linear(last + "confidence_head.proj.weight", y)[0]);
    const std::int32_t token = Likeliest(logits);
    places.push_back({std::move(logits), confidence, token});
  }
  return places;
}

}  // namespace baleen::golden
