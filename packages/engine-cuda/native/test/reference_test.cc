// The reference forward pass against an independent one (numpy, see fixtures/make_reference_golden.py), against figures
// that are published for Llama 3.1, and against what must hold for any causal model.
#include "src/reference/reference_llama.h"

#include <bit>
#include <cmath>

#include "src/checkpoint/mapped_file.h"
#include "src/json.h"
#include "test/check.h"
#include "test/checkpoint_options.h"
#include "test/random_checkpoint.h"
#include "test/temp_folder.h"

using namespace chasqui;

namespace {

struct Model {
  ModelConfig config;
  Weights weights;
};

Model random_model(const RandomCheckpoint& shape) {
  TempFolder folder;
  Model model;
  CHECK_OK(write_random_checkpoint(folder.path(), shape));
  CHECK_OK(read_config(folder.path(), &model.config));
  CHECK_OK(load_weights(folder.path(), model.config, &model.weights));
  return model;  // the mapping outlives the file's name
}

RoundingPoints points_named(const std::string& name) {
  return name == "bf16-cache" ? bf16_cache_points() : name == "bf16" ? bf16_points() : RoundingPoints{};
}

double number(const JsonValue& value) {
  double out = NAN;
  value.number(&out);
  return out;
}

double rms(const double* values, size_t count) {
  double squares = 0;
  for (size_t i = 0; i < count; i++) squares += values[i] * values[i];
  return std::sqrt(squares / static_cast<double>(count));
}

void check_golden_case(const JsonValue& golden) {
  std::vector<std::string> options;
  for (const JsonValue& option : *golden.find("options")->array()) options.push_back(*option.string());
  RandomCheckpoint shape;
  CHECK_OK(parse_checkpoint_options(options, &shape));
  const Model model = random_model(shape);
  std::vector<int32_t> tokens;
  for (const JsonValue& token : *golden.find("tokens")->array()) {
    tokens.push_back(static_cast<int32_t>(*token.integer()));
  }

  ReferenceRun run;
  CHECK_OK(
      reference_forward(model.config, model.weights, tokens, points_named(*golden.find("rounding")->string()), &run));
  const size_t every = static_cast<size_t>(*golden.find("every")->integer());
  const size_t vocab = static_cast<size_t>(model.config.vocab);
  const JsonArray& rows = *golden.find("logits")->array();
  CHECK_EQ(rows.size(), tokens.size());
  CHECK_EQ(run.logits.size(), tokens.size() * vocab);
  for (size_t t = 0; t < rows.size(); t++) {
    const JsonArray& row = *rows[t].array();
    CHECK_EQ(row.size(), vocab / every);
    for (size_t i = 0; i < row.size(); i++) CHECK_NEAR(run.logits[t * vocab + i * every], number(row[i]), 2e-9);
  }
  const JsonArray& hidden = *golden.find("hidden_rms")->array();
  const size_t layer_size = tokens.size() * static_cast<size_t>(model.config.dim);
  CHECK_EQ(hidden.size() * layer_size, run.hidden.size());
  for (size_t i = 0; i < hidden.size(); i++) {
    CHECK_NEAR(rms(&run.hidden[i * layer_size], layer_size), number(hidden[i]), 1e-12);
  }
}

}  // namespace

TEST(logits_equal_the_independent_numpy_forward) {
  std::string text;
  std::string error;
  JsonValue golden;
  CHECK_OK(read_small_file(CHASQUI_PACKAGES "/engine-cuda/native/test/fixtures/reference_golden.json", 1 << 20, &text));
  CHECK(parse_json(text, {}, &golden, &error));
  CHECK(golden.array() != nullptr && golden.array()->size() == 4);
  for (const JsonValue& one : *golden.array()) check_golden_case(one);
}

TEST(rope_frequencies_of_llama_3_1_8b_are_the_published_ones) {
  ModelConfig config;
  config.head_dim = 128;
  config.rope = {8.0, 1.0, 4.0, 8192};
  const std::vector<double> frequencies = reference_rope_frequencies(config);
  CHECK_EQ(frequencies.size(), size_t{64});
  CHECK_NEAR(frequencies[0], 1.0, 0);
  CHECK_NEAR(frequencies[20], 1.65604401e-2, 1e-10);
  CHECK_NEAR(frequencies[32], 5.24846161e-4, 1e-12);
  CHECK_NEAR(frequencies[40], 3.42810220e-5, 1e-13);
  CHECK_NEAR(frequencies[63], 3.06892599e-7, 1e-15);
}

TEST(a_prefix_has_the_same_logits_as_inside_the_whole) {
  const Model model = random_model({});
  ReferenceRun whole;
  ReferenceRun prefix;
  CHECK_OK(reference_forward(model.config, model.weights, {5, 6, 7, 8, 9}, {}, &whole));
  CHECK_OK(reference_forward(model.config, model.weights, {5, 6, 7}, {}, &prefix));
  for (size_t i = 0; i < prefix.logits.size(); i++) CHECK_EQ(prefix.logits[i], whole.logits[i]);
}

TEST(tied_sharded_and_plain_forms_of_a_seed_agree) {
  RandomCheckpoint shape;
  const Model plain = random_model(shape);
  shape.shards = 4;
  const Model sharded = random_model(shape);
  shape.shards = 1;
  shape.tied = true;
  const Model tied = random_model(shape);
  ReferenceRun a;
  ReferenceRun b;
  ReferenceRun c;
  CHECK_OK(reference_forward(plain.config, plain.weights, {1, 2, 3}, {}, &a));
  CHECK_OK(reference_forward(sharded.config, sharded.weights, {1, 2, 3}, {}, &b));
  CHECK_OK(reference_forward(tied.config, tied.weights, {1, 2, 3}, {}, &c));
  CHECK(a.logits == b.logits);
  CHECK(a.hidden == c.hidden);
  CHECK(a.logits != c.logits);
  CHECK_EQ(plain.weights.fingerprint, sharded.weights.fingerprint);
  CHECK(plain.weights.fingerprint != tied.weights.fingerprint);
}

TEST(rounding_agrees_with_the_bits_of_every_half) {
  // Each finite value of a type rounds to itself; the middle between two neighbours rounds to the even one.
  const auto bf16 = [](uint32_t bits) { return static_cast<double>(std::bit_cast<float>(bits << 16)); };
  for (uint32_t bits = 0; bits + 1 < 0x7F80; bits++) {
    const double low = bf16(bits);
    const double high = bf16(bits + 1);
    CHECK_EQ(rounded(low, Rounding::kBF16), low);
    CHECK_EQ(rounded(-low, Rounding::kBF16), -low);
    CHECK_EQ(rounded((low + high) / 2, Rounding::kBF16), bits % 2 == 0 ? low : high);
    CHECK_EQ(rounded((low + 2 * high) / 3, Rounding::kBF16), high);
  }
  CHECK_EQ(rounded(1.0 + 0x1p-11, Rounding::kF16), 1.0);
  CHECK_EQ(rounded(1.0 + 0x1.8p-10, Rounding::kF16), 1.0 + 0x1p-9);
  CHECK_EQ(rounded(65519.0, Rounding::kF16), 65504.0);
  CHECK_EQ(rounded(-65520.0, Rounding::kF16), -INFINITY);
  CHECK_EQ(rounded(0x1.8p-24, Rounding::kF16), 0x1p-23);
  CHECK_EQ(rounded(0.1, Rounding::kF32), static_cast<double>(0.1f));
}

TEST(refuses_sequences_that_the_model_cannot_read) {
  RandomCheckpoint shape;
  shape.context = 4;
  const Model model = random_model(shape);
  ReferenceRun run;
  CHECK_REASON(reference_forward(model.config, model.weights, {}, {}, &run), Reason::kBadRequest);
  CHECK_REASON(reference_forward(model.config, model.weights, {1, 2, 3, 4, 5}, {}, &run), Reason::kBadRequest);
  CHECK_REASON(reference_forward(model.config, model.weights, {1, 320}, {}, &run), Reason::kBadRequest);
  CHECK_REASON(reference_forward(model.config, model.weights, {-1}, {}, &run), Reason::kBadRequest);
  CHECK_OK(reference_forward(model.config, model.weights, {1, 2, 3, 4}, {}, &run));
}

TEST_MAIN()
