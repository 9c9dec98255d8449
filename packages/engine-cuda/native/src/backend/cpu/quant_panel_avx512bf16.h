// Products of quantised panels for AVX-512 with BF16 and VNNI, put beside those of kernels_avx512bf16.cc.
#pragma once

namespace chasqui::cpu {

struct Kernels;

// Tiles for the bf16 and 8 bit products of a table. Few rows decode as they go, many from what was unpacked once.
void add_quant_products(Kernels* kernels);

}  // namespace chasqui::cpu
