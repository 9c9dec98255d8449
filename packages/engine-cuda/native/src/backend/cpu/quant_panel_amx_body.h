// Tiles for panels of quantised checkpoints, included by kernels_amx_body.h. They work on what was unpacked: bf16 pairs (by
// the unit for AVX-512 BF16) or int8 quads.

inline float scale_of(const QuantPanel& panel, int64_t at) {
  if (panel.scale_type == kScaleF32) return static_cast<const float*>(panel.scales)[at];
  const uint32_t half = static_cast<const uint16_t*>(panel.scales)[at];
  float value;
  if (panel.scale_type == kScaleBF16) {
    const uint32_t bits = half << 16;
    std::memcpy(&value, &bits, 4);
    return value;
  }
  const uint32_t bits = (half & 0x7fff) << 13 | (half & 0x8000) << 16;  // 2^112 too small
  std::memcpy(&value, &bits, 4);
  return value * 0x1p112f;
}

// FP8 is unpacked 2^8 too small.
inline void scales_of(const QuantPanel& panel, int64_t group, float* scales) {
  const float factor = panel.code == kCodeFp8 ? 0x1p8f : 1.0f;
  for (int column = 0; column < 32; column++) scales[column] = scale_of(panel, group * 32 + column) * factor;
}

template <int kRows>
void quant_pair_tile(const QuantPanel& panel, const char* codes, const void* input, int64_t first, int64_t k, float* c, int64_t ldc) {
  shape_tiles(kTileRows<kRows>);
  const char* a = static_cast<const char*>(input);
  alignas(64) float sums[kRows * 32];
  float scales[32];
  for (int64_t done = 0; done < k; done += panel.run) {
    const int64_t end = done + panel.run < k ? done + panel.run : k;
    clear_sums<kRows>();
    for (int64_t i = done; i < end; i += 32, a += kRows * 64, codes += kUnits) add_bf16<kRows>(a, codes);
    store_sums<kRows>(sums, 32);
    scales_of(panel, (first + done) / panel.group, scales);
    for (int row = 0; row < kRows; row++) {
      float* to = c + row * ldc;
      for (int column = 0; column < 32; column++) to[column] = __builtin_fmaf(sums[row * 32 + column], scales[column], to[column]);
    }
  }
}

// Codes are signed here: those of four bits were made so by their unpacking, and their zeros are 8 less.
template <int kBits, int kRows>
void quant_int8_tile(const QuantPanel& panel, const char* codes, const void* input, int64_t first, int64_t k, float* c, int64_t ldc) {
  constexpr int kCentre = kBits == 4 ? 8 : 0;
  shape_tiles(kTileRows<kRows>);
  const char* a = static_cast<const char*>(input);
  alignas(64) int32_t sums[kRows * 32];
  float scales[32];
  for (int64_t done = 0; done < k; done += kInputGroup) {
    clear_sums<kRows>();
    add_int8<kRows>(a, codes);
    store_sums<kRows>(sums, 32);
    const int64_t group = (first + done) / panel.group;
    const auto* input_scales = reinterpret_cast<const float*>(a + kInputGroup * kRows);
    if (panel.zeros != nullptr) {
      const auto* input_sums = reinterpret_cast<const int32_t*>(input_scales + kRows);
      const int8_t* zeros = panel.zeros + group * 32;
      for (int row = 0; row < kRows; row++) {
        for (int column = 0; column < 32; column++) sums[row * 32 + column] -= input_sums[row] * (zeros[column] - kCentre);
      }
    }
    scales_of(panel, group, scales);
    add_scaled(sums, kRows, input_scales, scales, c, ldc);
    a += (kInputGroup + 8) * kRows;
    codes += kUnits;
  }
}

// Units of eight steps of four bits as two of int8, each code 8 less.
void unpack_int4_codes(const QuantPanel&, const char* codes, int64_t k, void* block) {
  char* to = static_cast<char*>(block);
  const int64_t steps = (k + kCodeSteps - 1) / kCodeSteps * kCodeSteps;
  for (int64_t start = 0; start < steps; start += 8, codes += 128, to += 256) {
    for (int i = 0; i < 128; i++) {
      const int byte = static_cast<uint8_t>(codes[i]);
      to[i] = static_cast<char>((byte & 15) - 8);
      to[128 + i] = static_cast<char>((byte >> 4) - 8);
    }
  }
}

template <int kRows>
void add_quant_tiles(Product* pairs, Product* quads) {
  pairs->quant[kCodeTable4][kRows] = pairs->quant[kCodeFp8][kRows] = quant_pair_tile<kRows>;
  quads->quant[kCodeInt4][kRows] = quant_int8_tile<4, kRows>;
  quads->quant[kCodeInt8][kRows] = quant_int8_tile<8, kRows>;
}
