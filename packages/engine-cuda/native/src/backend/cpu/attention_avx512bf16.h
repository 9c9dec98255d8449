// Attention in bf16 for AVX-512 with BF16, put beside the products of kernels_avx512bf16.cc.
#pragma once

namespace chasqui::cpu {

struct Kernels;

// For a cache in bf16: queries and exponentials are rounded to bf16 (see Attend), sums are floats.
void add_rounded_attention(Kernels* kernels);

}  // namespace chasqui::cpu
