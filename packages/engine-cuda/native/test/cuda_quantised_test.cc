// Models whose weights are quantised in their file, on the CUDA backend: in the forms that the kernels read and in those that
// become bf16, beside a reference with the same weights as floats.
#include "cuda_model.h"
#include "random_quant.h"
#include "quantised_weights.h"

using namespace cuda_model;

namespace {

struct QuantCase {
  const char* name;
  QuantShape shape;
};

const QuantCase kCases[] = {
    {"awq", {QuantKind::kInt4, 128, true, false, QuantScale::kF16}},
    {"gptq with an order", {QuantKind::kInt4, 64, true, true, QuantScale::kF16}},
    {"int4 without zeros", {QuantKind::kInt4, 32, false, false, QuantScale::kBF16}},
    {"int8 by rows", {QuantKind::kInt8, 256, false, false, QuantScale::kF32}},
    {"int8 with zeros", {QuantKind::kInt8, 64, true, false, QuantScale::kBF16}},
    {"fp8 by rows", {QuantKind::kFp8, 256, false, false, QuantScale::kF32}},
    {"fp8 in blocks", {QuantKind::kFp8, 128, false, false, QuantScale::kBF16}},
    {"nf4", {QuantKind::kTable4, 64, false, false, QuantScale::kF32}},
    {"groups that no kernel has", {QuantKind::kInt4, 16, true, false, QuantScale::kF32}},
};

// The model with every linear layer in a form; the layers' own scale is kept, so that nothing overflows.
void quantise(const QuantShape& shape, RandomModel* model, Weights* stored, Weights* plain) {
  *stored = *plain = model->weights;
  uint64_t seed = 100;
  for (size_t i = 0; i < stored->layers.size(); i++) {
    for (MatrixView LayerWeights::*matrix : {&LayerWeights::q, &LayerWeights::k, &LayerWeights::v, &LayerWeights::o,
                                             &LayerWeights::gate, &LayerWeights::up, &LayerWeights::down}) {
      MatrixView& view = stored->layers[i].*matrix;
      // Parts of a layer share an order, as act-order checkpoints have it for q k v.
      view = random_quant(shape, view.rows, view.cols, shape.is_ordered ? 100 + static_cast<uint64_t>(i) : seed++);
      plain->layers[i].*matrix = dequantised(model, view);
    }
  }
}

}  // namespace

TEST(quantised_checkpoints_agree_with_a_reference_of_the_same_weights) {
  for (const QuantCase& each : kCases) {
    RandomModel model = random_model(config(4, 2, 64, 256, 256), DType::kBF16, 5);
    model.config.n_layers = 1;
    model.weights.layers.resize(1);
    Weights stored, plain;
    quantise(each.shape, &model, &stored, &plain);
    const OnDevice on = on_device(model.config, stored);
    if (!on) continue;
    const std::vector<int32_t> tokens = random_tokens(20, model.config.vocab, 6);
    const auto want = reference(model.config, plain, tokens, device_points());
    for (const int32_t chunk : {20, 1}) {
      const double apart = relative_rms(run_chunks(*on.forward, tokens, chunk, pages_from(0, 20)), want);
      if (!(apart < 0.02)) check::fail(__FILE__, __LINE__, std::string(each.name) + ": relative RMS " + std::to_string(apart));
    }
  }
}

TEST(quantised_on_load_in_nf4_and_fp8) {
  for (const WeightFormat format : {WeightFormat::kNf4, WeightFormat::kFp8}) {
    RandomModel model = random_model(config(4, 2, 64, 256, 384), DType::kBF16, 31);
    const Weights quantised = as_quantised(&model, model.weights, format);
    const std::vector<int32_t> tokens = random_tokens(20, model.config.vocab, 32);
    LlamaOptions options = small_cache();
    options.weight_format = format;
    const OnDevice on = on_device(model.config, model.weights, options);
    if (!on) continue;
    const auto want = reference(model.config, quantised, tokens, device_points());
    CHECK_NEAR(relative_rms(run_chunks(*on.forward, tokens, 20, pages_from(0, 20)), want), 0.0, 0.02);
  }
}

TEST_MAIN()
