// Which kernels run here, and what each table has in common.
#include "kernels.h"

#include <cstring>

namespace chasqui::cpu {

namespace {

const Kernels* best_float_kernels() {
  if (const Kernels* kernels = avx512_kernels()) return kernels;
  if (const Kernels* kernels = avx2_kernels()) return kernels;
  return portable_kernels();
}

}  // namespace

const Kernels* best_kernels() {
  if (const Kernels* kernels = amx_kernels()) return kernels;
  if (const Kernels* kernels = avx512bf16_kernels()) return kernels;
  return best_float_kernels();
}

const Kernels* kernels_named(const char* name) {
  if (std::strcmp(name, "float") == 0) return best_float_kernels();
  if (std::strcmp(name, "portable") == 0) return portable_kernels();
  if (std::strcmp(name, "avx2") == 0) return avx2_kernels();
  if (std::strcmp(name, "avx512") == 0) return avx512_kernels();
  if (std::strcmp(name, "avx512bf16") == 0) return avx512bf16_kernels();
  if (std::strcmp(name, "amx") == 0) return amx_kernels();
  if (std::strcmp(name, "amx-emulated") == 0) return emulated_amx_kernels();
  return nullptr;
}

namespace {

void pack_floats(const float* x, int64_t in, int32_t, int32_t rows, int32_t index, void* packed) {
  float* to = static_cast<float*>(packed) + index;
  for (int64_t k = 0; k < in; k++) to[k * rows] = x[k];
}

Product through_bf16(const Product& bf16, Unpack unpack) {
  Product product = bf16;
  product.unpack = unpack;
  return product;
}

}  // namespace

void complete(Kernels* kernels) {
  kernels->pack[kInputF32] = pack_floats;
  for (int32_t element = 0; element < kKvElements; element++) {
    if (kernels->attend[element].rows == 0) kernels->attend[element] = kernels->attend_in_float[element];
  }
  for (int32_t type = 0; type < kWeightTypes; type++) {
    Product& floats = kernels->in_float[type];
    floats.input = kInputF32;
    floats.chunk = 1;
    floats.rows = kernels->tile_rows;
    floats.unpack = nullptr;
    for (int32_t rows = 1; rows <= floats.rows; rows++) floats.tile[rows] = kernels->tile[type][rows];
    std::memcpy(floats.quant, kernels->quant_tile, sizeof floats.quant);
    if (kernels->few[type].rows > 0) continue;
    if (kernels->unpack[type] != nullptr && kernels->few[kWeightBF16].input == kInputBF16) {
      kernels->few[type] = through_bf16(kernels->few[kWeightBF16], kernels->unpack[type]);
      kernels->many[type] = through_bf16(kernels->many[kWeightBF16], kernels->unpack[type]);
      continue;
    }
    kernels->few[type] = kernels->many[type] = floats;
  }
}

}  // namespace chasqui::cpu
