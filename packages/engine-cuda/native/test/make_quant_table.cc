// Prints bench/results/quantised-tiny.csv: the tiny model in each format, its bytes, the error of its weights by kind of
// matrix, and the perplexity of the engine on all held-out conversations: as the engine runs it (in float), with the inputs
// of products and attention rounded as for larger models (empty where this processor does not), and with an fp8 cache.
//   make_quant_table "2 cores of an AMD EPYC (Zen 4)" > quantised-tiny.csv
#include <cstdio>
#include <memory>
#include <string>

#include "held_out.h"
#include "packed_checkpoint.h"
#include "quantised_weights.h"
#include "src/backend/cpu/kernels.h"
#include "src/model/dequantise.h"
#include "src/model/llama.h"
#include "temp_folder.h"
#include "weight_error.h"

using namespace chasqui;

namespace {

const std::string kTiny = CHASQUI_PACKAGES "/tiny-llama/checkpoint";

int complain(const Status& status) {
  std::fprintf(stderr, "%s\n", status.detail.c_str());
  return 1;
}

struct Variant {
  const char* kernels;
  KvType kv;
};

// Perplexity and the bytes of the weights.
Status run(const ModelConfig& config, const Weights& stored, WeightFormat format, const Variant& variant,
           const std::vector<HeldOut>& held_out, double* reached, int64_t* bytes) {
  LlamaOptions options;
  options.weight_format = format;
  options.n_pages = 128;
  options.kv_type = variant.kv;
  options.backend.kernels = variant.kernels;
  std::unique_ptr<Forward> forward;
  if (Status status = make_llama(config, stored, options, &forward); !status.ok()) return status;
  *bytes = forward->memory().weights;
  return perplexity(*forward, held_out, held_out.size(), reached);
}

Status print_row(const char* name, const ModelConfig& config, const Weights& exact, const Weights& stored, const Weights& plain,
                 WeightFormat format, const std::vector<HeldOut>& held_out) {
  const bool rounds = cpu::avx512bf16_kernels() != nullptr;
  const Variant variants[] = {{"", KvType::kBF16}, {rounds ? "avx512bf16" : nullptr, KvType::kBF16}, {"", KvType::kFp8}};
  for (const Variant& variant : variants) {
    double reached = 0;
    int64_t bytes = 0;
    if (variant.kernels != nullptr) {
      if (Status status = run(config, stored, format, variant, held_out, &reached, &bytes); !status.ok()) return status;
    }
    if (&variant == variants) std::printf("%s,%lld", name, static_cast<long long>(bytes));
    if (variant.kernels != nullptr) std::printf(",%.5f", reached);
    else std::printf(",");
  }
  for (const double error : weight_errors(exact, plain)) std::printf(",%.5f", error);
  std::printf("\n");
  return {};
}

Status print_packed(const std::string& name, const Weights& exact, const std::vector<HeldOut>& held_out) {
  TempFolder folder;
  ModelConfig config;
  Weights stored;
  if (Status status = write_packed_checkpoint(kTiny, name, folder.path()); !status.ok()) return status;
  if (Status status = read_config(folder.path(), &config); !status.ok()) return status;
  if (Status status = load_weights(folder.path(), config, &stored, Quantised::kRead); !status.ok()) return status;
  Weights plain = stored;
  if (Status status = dequantise_weights(&plain); !status.ok()) return status;
  return print_row(name.c_str(), config, exact, stored, plain, WeightFormat::kAsStored, held_out);
}

}  // namespace

int main(int argc, char** argv) {
  ModelConfig config;
  Weights exact;
  std::vector<HeldOut> held_out;
  if (Status status = read_config(kTiny, &config); !status.ok()) return complain(status);
  if (Status status = load_weights(kTiny, config, &exact); !status.ok()) return complain(status);
  if (Status status = read_held_out(CHASQUI_PACKAGES "/tiny-llama/test/held-out.json", &held_out); !status.ok()) return complain(status);
  std::printf("# the tiny model on the CPU backend, bf16 cache; 56 held-out conversations; bytes of the linear layers and the head;\n");
  std::printf("# errors are relative RMS of the weights; checkpoints are rounded to nearest, without calibration\n");
  std::printf("# machine: %s; rounded: with the inputs of products and attention rounded (kernels avx512bf16)\n", argc > 1 ? argv[1] : "not named");
  std::printf("format,bytes,perplexity,perplexity_rounded,perplexity_fp8_cache");
  for (const char* kind : kMatrixKinds) std::printf(",error_%s", kind);
  std::printf("\n");
  const struct { const char* name; WeightFormat format; } on_load[] = {{"bf16", WeightFormat::kAsStored}, {"load int8", WeightFormat::kInt8},
                                                                       {"load fp8", WeightFormat::kFp8},  {"load int4", WeightFormat::kInt4},
                                                                       {"load nf4", WeightFormat::kNf4}};
  for (const auto& each : on_load) {
    RandomModel keeper;
    const Weights plain = as_quantised(&keeper, exact, each.format);
    if (Status status = print_row(each.name, config, exact, exact, plain, each.format, held_out); !status.ok()) return complain(status);
  }
  for (const std::string& name : packed_formats()) {
    if (Status status = print_packed(name, exact, held_out); !status.ok()) return complain(status);
  }
  return 0;
}
