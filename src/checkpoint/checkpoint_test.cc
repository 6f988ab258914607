#include "checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>

#include "checkpoint/shards.h"
#include "checkpoint/temporary_folder.h"
#include "checkpoint/tensor_list.h"
#include "checkpoint/twin.h"
#include "checkpoint/writer.h"
#include "hardware/file.h"

namespace baleen::checkpoint {
namespace {

namespace fs = std::filesystem;
using tensor::DType;
using testing::HasSubstr;

class GoldenCheckpoint : public testing::TestWithParam<const char*> {};

TEST_P(GoldenCheckpoint, OpensAndHoldsFiniteNumbers) {
  const auto opened = Checkpoint::Open(fs::path(BALEEN_SOURCE_DIR) / "tests/golden/checkpoints" / GetParam());
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_THAT(opened->odd_names(), testing::IsEmpty());
  hardware::Workers team(3);
  const Status values = VerifyValues(*opened, team);
  EXPECT_TRUE(values) << values.error().message;
}

INSTANTIATE_TEST_SUITE_P(All, GoldenCheckpoint,
                         testing::Values("flash", "pro", "base-fp8", "odd", "long", "positions", "short", "hf-names", "dspark", "official-csa"));

/// A tensor that owns its bytes, so that a test can change anything about it.
struct Owned {
  DType dtype;
  std::vector<std::int64_t> shape;
  std::string bytes;
};

/// A small valid checkpoint in memory, to be changed and written.
class Model {
 public:
  explicit Model(const char* preset) : config(*CutModel(*PresetConfig(preset), 2, 4)) {
    TemporaryFolder folder;
    EXPECT_TRUE(WriteTwin(config, folder.path(), {.seed = 1}));
    const auto shard = OpenShard(folder.path() / "model.safetensors");
    for (const StoredTensor& t : shard->header.tensors) {
      const auto bytes = shard->mapping->bytes().subspan(t.begin, t.end - t.begin);
      tensors[t.name] = {t.dtype, t.shape, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())};
    }
  }

  std::vector<NamedTensor> Views() const {
    std::vector<NamedTensor> named;
    for (const auto& [name, t] : tensors) named.push_back({name, {t.dtype, t.shape, std::as_bytes(std::span(t.bytes))}});
    return named;
  }

  void Write(const fs::path& dir, std::uint64_t shard_limit = UINT64_MAX) const {
    std::ofstream(dir / "config.json") << WriteModelConfig(config);
    const Status status = WriteShards(dir, Views(), shard_limit);
    ASSERT_TRUE(status) << status.error().message;
  }

  void Rename(const std::string& from, const std::string& to) {
    auto node = tensors.extract(from);
    ASSERT_FALSE(node.empty()) << from;
    node.key() = to;
    tensors.insert(std::move(node));
  }

  ModelConfig config;
  std::map<std::string, Owned> tensors;
};

Status OpenAndVerify(const fs::path& dir, int threads = 3) {
  TRY_ASSIGN(const Checkpoint opened, Checkpoint::Open(dir));
  hardware::Workers team(threads);
  return VerifyValues(opened, team);
}

struct Damage {
  const char* what;
  std::function<void(Model&)> apply;
  const char* says;  // nullptr: still valid
};

void DropAll(Model& m, std::string_view prefix) { std::erase_if(m.tensors, [&](const auto& e) { return e.first.starts_with(prefix); }); }

const char* const kExpert = "layers.0.ffn.experts.0.w1.weight";

const Damage kDamages[] = {
    {"nothing", [](Model&) {}, nullptr},
    {"embedding missing", [](Model& m) { m.tensors.erase("embed.weight"); }, "lacks 1 tensors that its config.json asks for: embed.weight"},
    {"a scale missing", [](Model& m) { m.tensors.erase("layers.1.attn.wkv.scale"); }, "layers.1.attn.wkv.scale"},
    {"an expert missing", [](Model& m) { m.tensors.erase(kExpert); }, kExpert},
    {"a layer missing", [](Model& m) { DropAll(m, "layers.1."); }, "lacks"},
    {"everything missing", [](Model& m) { DropAll(m, ""); }, "lacks"},
    {"drafter missing", [](Model& m) { DropAll(m, "mtp."); }, nullptr},
    {"half a drafter", [](Model& m) { DropAll(m, "mtp.0.ffn."); }, "mtp.0.ffn"},
    {"an extra tensor", [](Model& m) { m.tensors["extra"] = {DType::kF16, {1}, "ab"}; }, nullptr},
    {"config asks for more experts", [](Model& m) { m.config.experts = 8; }, "gate"},
    {"config asks for fewer experts", [](Model& m) { m.config.experts = 2; }, "gate"},
    {"config asks for another width", [](Model& m) { m.config.hidden_size = 256; }, "embed.weight"},
    {"config asks for more layers", [](Model& m) { m.config.layers = 3; m.config.compress_ratios.push_back(0); }, "layers.2."},
    {"config asks for a million experts' worth", [](Model& m) { m.config.layers = 1000; m.config.compress_ratios.resize(1000); }, "1000 or more"},
    {"hash layer without its table", [](Model& m) { m.config.hash_layers = 2; }, "layers.1.ffn.gate.tid2eid"},
    {"norm as F16", [](Model& m) { m.tensors["norm.weight"].dtype = DType::kF16; }, "expected BF16 or F32"},
    {"sink as I32", [](Model& m) { m.tensors["layers.0.attn.attn_sink"].dtype = DType::kI32; }, "attn_sink"},
    {"FP8 as E5M2", [](Model& m) { m.tensors["layers.0.attn.wkv.weight"].dtype = DType::kF8E5M2; }, "F8_E4M3"},
    {"FP8 as I8", [](Model& m) { m.tensors["layers.0.attn.wkv.weight"].dtype = DType::kI8; }, "F8_E4M3"},
    {"scale as U8", [](Model& m) { m.tensors["layers.0.attn.wkv.scale"].dtype = DType::kU8; }, "F8_E8M0"},
    {"expert as U8", [](Model& m) { m.tensors[kExpert].dtype = DType::kU8; }, "FP4"},
    {"table as F64", [](Model& m) { m.tensors["layers.0.ffn.gate.tid2eid"].dtype = DType::kF64; }, "I64 or I32"},
    {"transposed", [](Model& m) { std::swap(m.tensors["layers.0.attn.wq_a.weight"].shape[0], m.tensors["layers.0.attn.wq_a.weight"].shape[1]); }, "wq_a"},
    {"flattened", [](Model& m) { m.tensors["embed.weight"].shape = {1024 * 128}; }, "embed.weight"},
    {"one dimension more", [](Model& m) { m.tensors["norm.weight"].shape = {1, 128}; }, "norm.weight"},
    {"expert with logical shape in I8", [](Model& m) { m.tensors[kExpert].shape = {32, 128}; }, "found I8 [32, 128]"},
    {"expert as F4 with logical shape", [](Model& m) { m.tensors[kExpert].dtype = DType::kF4; m.tensors[kExpert].shape.back() *= 2; }, nullptr},
    {"expert as F4 with pairs' shape", [](Model& m) { m.tensors[kExpert] = {DType::kF4, {64, 64}, std::string(2048, '\0')}; }, "found F4 [64, 64]"},
    {"scale transposed", [](Model& m) { std::ranges::reverse(m.tensors["layers.0.ffn.experts.0.w1.scale"].shape); }, "F8_E8M0"},
    {"FP8 NaN", [](Model& m) { m.tensors["layers.1.attn.wq_b.weight"].bytes[77] = 0x7F; }, "NaN code (0x7F or 0xFF) at element 77"},
    {"FP8 negative NaN at the end", [](Model& m) { m.tensors["layers.1.attn.wq_b.weight"].bytes.back() = '\xFF'; }, "NaN code"},
    {"NaN scale", [](Model& m) { m.tensors["layers.1.attn.wq_b.scale"].bytes[0] = '\xFF'; }, "NaN scale (255)"},
    {"BF16 infinity", [](Model& m) { m.tensors["head.weight"].bytes.replace(10, 2, "\x80\x7F"); }, "head.weight"},
    {"BF16 NaN", [](Model& m) { m.tensors["embed.weight"].bytes.replace(10, 2, "\xC0\xFF"); }, "at element 5"},
    {"F32 NaN", [](Model& m) { m.tensors["hc_head_fn"].bytes.replace(4, 4, std::string("\0\0\xC0\x7F", 4)); }, "at element 1"},
    {"expert id too large", [](Model& m) { m.tensors["layers.0.ffn.gate.tid2eid"].bytes[8] = 4; }, "expected expert ids from 0 to 3, found 4"},
    {"expert id negative", [](Model& m) { m.tensors["layers.0.ffn.gate.tid2eid"].bytes.replace(0, 8, 8, '\xFF'); }, "found -1"},
    {"expert id twice", [](Model& m) { m.tensors["layers.0.ffn.gate.tid2eid"].bytes.replace(0, 8, m.tensors["layers.0.ffn.gate.tid2eid"].bytes, 8, 8); },
        "twice"},
    {"both names", [](Model& m) { m.tensors["lm_head.weight"] = m.tensors["head.weight"]; }, "are both head.weight"},
    {"an older indexer name", [](Model& m) {
       m.Rename("layers.1.attn.indexer.weights_proj.weight", "model.layers.1.self_attn.compressor.indexer.weights_proj.weight");
     }, nullptr},
};

TEST(CheckpointTest, DamageIsRefusedAndOddityIsNot) {
  for (const Damage& damage : kDamages) {
    Model model("tiny");
    damage.apply(model);
    TemporaryFolder folder;
    model.Write(folder.path());
    const Status status = OpenAndVerify(folder.path());
    if (damage.says == nullptr) {
      EXPECT_TRUE(status) << damage.what << ": " << (status ? "" : status.error().message);
    } else {
      ASSERT_FALSE(status) << damage.what;
      EXPECT_THAT(status.error().message, HasSubstr(damage.says)) << damage.what;
    }
  }
}

TEST(CheckpointTest, EveryTeamNamesTheFirstBadValue) {
  Model model("tiny");
  for (const char* name : {"embed.weight", "head.weight"}) {
    Owned& table = model.tensors[name];
    ASSERT_EQ(table.dtype, DType::kBF16);
    for (const std::size_t element : {40001, 40007, 70000}) table.bytes.at(element * 2 + 1) = '\x7f', table.bytes.at(element * 2) = '\x80';
  }
  TemporaryFolder folder;
  model.Write(folder.path());
  for (int threads = 1; threads <= 5; ++threads) {
    const Status status = OpenAndVerify(folder.path(), threads);
    ASSERT_FALSE(status) << threads;
    EXPECT_THAT(status.error().message, HasSubstr("'embed.weight': expected finite numbers, found a NaN or infinite number at element 40001;")) << threads;
  }
}

TEST(CheckpointTest, TablesMayBe32Bits) {
  Model model("tiny");
  Owned& table = model.tensors["layers.0.ffn.gate.tid2eid"];
  std::string narrow;
  for (std::size_t i = 0; i < table.bytes.size(); i += 8) narrow += table.bytes.substr(i, 4);
  table = {DType::kI32, table.shape, narrow};
  TemporaryFolder folder;
  model.Write(folder.path());
  EXPECT_TRUE(OpenAndVerify(folder.path()));
}

TEST(CheckpointTest, DrafterIsGoneWhereItsTensorsAre) {
  Model model("tiny-dspark");
  EXPECT_EQ(model.config.drafter, DrafterKind::kDspark);
  DropAll(model, "mtp.");
  TemporaryFolder folder;
  model.Write(folder.path());
  const auto opened = Checkpoint::Open(folder.path());
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->config().drafter, DrafterKind::kNone);
  EXPECT_EQ(opened->config().drafter_modules, 0);
}

/// Puts a layer's experts under the two stacked names of newer transformers files (§9.5).
void Stack(Model& model, int layer) {
  const std::string from = "layers." + std::to_string(layer) + ".ffn.experts.", to = "model.layers." + std::to_string(layer) + ".mlp.experts.";
  for (const char* kind : {"weight", "scale"}) {
    const std::string tail = std::string(kind) == "scale" ? "_scale_inv" : "";
    Owned both{}, down{};
    for (std::int64_t j = 0; j < model.config.experts; ++j) {
      const std::string one = from + std::to_string(j) + ".";
      const Owned gate = model.tensors.extract(one + "w1." + kind).mapped(), up = model.tensors.extract(one + "w3." + kind).mapped();
      const Owned w2 = model.tensors.extract(one + "w2." + kind).mapped();
      both.dtype = gate.dtype;
      both.shape = {model.config.experts, gate.shape[0] * 2, gate.shape[1]};
      both.bytes += gate.bytes + up.bytes;
      down.dtype = w2.dtype;
      down.shape = {model.config.experts, w2.shape[0], w2.shape[1]};
      down.bytes += w2.bytes;
    }
    model.tensors[to + "gate_up_proj" + tail] = both;
    model.tensors[to + "down_proj" + tail] = down;
  }
}

TEST(CheckpointTest, StackedExpertsAreTheSameViews) {
  for (const char* preset : {"tiny", "tiny-base"}) {
    const Model plain(preset);
    Model stacked = plain;
    Stack(stacked, 0);
    Stack(stacked, 1);
    TemporaryFolder folder;
    stacked.Write(folder.path());
    const auto opened = Checkpoint::Open(folder.path());
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_THAT(opened->odd_names(), testing::IsEmpty());
    for (const auto& [name, wanted] : plain.tensors) {
      const auto view = opened->Find(name);
      ASSERT_TRUE(view) << name;
      EXPECT_EQ(std::string(reinterpret_cast<const char*>(view->bytes.data()), view->bytes.size()), wanted.bytes) << name;
      if (wanted.dtype != DType::kI8) {
        EXPECT_EQ(view->shape, wanted.shape) << name;
      }
    }
  }
}

TEST(CheckpointTest, StackOfAnotherShapeIsRefused) {
  Model model("tiny-base");
  Stack(model, 0);
  Owned& stack = model.tensors["model.layers.0.mlp.experts.gate_up_proj"];
  stack.shape = {stack.shape[0] * 2, stack.shape[1] / 2, stack.shape[2]};
  TemporaryFolder folder;
  model.Write(folder.path());
  const auto opened = Checkpoint::Open(folder.path());
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("gate_up_proj"));
}

TEST(CheckpointTest, FoldersThatAreNoCheckpointsAreRefused) {
  TemporaryFolder folder;
  const fs::path dir = folder.path();
  EXPECT_THAT(Checkpoint::Open(dir / "none").error().message, HasSubstr("nothing of that name"));
  EXPECT_THAT(Checkpoint::Open(dir).error().message, HasSubstr("config.json"));
  std::ofstream(dir / "config.json") << WriteModelConfig(*PresetConfig("tiny"));
  EXPECT_THAT(Checkpoint::Open(dir / "config.json").error().message, HasSubstr("found a file"));
  EXPECT_THAT(Checkpoint::Open(dir).error().message, HasSubstr("found neither"));
  std::ofstream(dir / "model-00001-of-00002.safetensors") << "";
  EXPECT_THAT(Checkpoint::Open(dir).error().message, HasSubstr("the index that says"));
  fs::create_directory(dir / "model.safetensors");
  EXPECT_THAT(Checkpoint::Open(dir).error().message, HasSubstr("regular file"));
  fs::remove(dir / "model.safetensors");
  ASSERT_EQ(mkfifo((dir / "model.safetensors").c_str(), 0600), 0);
  EXPECT_THAT(Checkpoint::Open(dir).error().message, HasSubstr("regular file"));
  fs::remove(dir / "model.safetensors");
  std::ofstream(dir / "model.safetensors") << "";
  EXPECT_THAT(Checkpoint::Open(dir).error().message, HasSubstr("at least 8 bytes"));
}

TEST(CheckpointTest, InferenceConfigAloneIsEnough) {
  const Model model("tiny");
  TemporaryFolder folder;
  model.Write(folder.path());
  fs::remove(folder.path() / "config.json");
  fs::create_directory(folder.path() / "inference");
  std::ofstream(folder.path() / "inference/config.json") << WriteInferenceConfig(model.config);
  EXPECT_TRUE(OpenAndVerify(folder.path()));
}

class HubCache : public testing::Test {
 protected:
  void SetUp() override {
    Model("tiny").Write(real_.path());
    const fs::path repository = cache_.path() / "models--some-one--a.model";
    snapshot_ = repository / "snapshots/abc123";
    fs::create_directories(snapshot_);
    fs::create_directories(repository / "refs");
    std::ofstream(repository / "refs/main") << "abc123\n";
    for (const char* name : {"config.json", "model.safetensors"}) fs::create_symlink(real_.path() / name, snapshot_ / name);
    setenv("HF_HUB_CACHE", cache_.path().c_str(), 1);
  }
  void TearDown() override { unsetenv("HF_HUB_CACHE"); }

  TemporaryFolder real_, cache_;
  fs::path snapshot_;
};

TEST_F(HubCache, FindsSnapshotsThroughTheirLinks) {
  const auto found = FindModel("some-one/a.model");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(*found, snapshot_);
  EXPECT_TRUE(OpenAndVerify(*found));
  EXPECT_EQ(*FindModel(real_.path().string()), real_.path());
}

TEST_F(HubCache, SaysWhereItLooked) {
  EXPECT_THAT(FindModel("some-one/other").error().message, HasSubstr(cache_.path().string()));
  for (const char* name : {"", "../x", "a/../b", "a/b/c", "plain"}) EXPECT_FALSE(FindModel(name)) << name;
  std::ofstream(cache_.path() / "models--some-one--a.model/refs/main") << "../../../etc";
  EXPECT_THAT(FindModel("some-one/a.model").error().message, HasSubstr("name of a commit"));
  std::ofstream(cache_.path() / "models--some-one--a.model/refs/main") << "def";
  EXPECT_THAT(FindModel("some-one/a.model").error().message, HasSubstr("not there"));
  fs::remove(cache_.path() / "models--some-one--a.model/refs/main");
  EXPECT_TRUE(FindModel("some-one/a.model"));
}

}  // namespace
}  // namespace baleen::checkpoint
