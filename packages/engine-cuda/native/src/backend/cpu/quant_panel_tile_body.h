// The tiles of quant_panel_tile.h, written once over a vector type. Included by kernels_body.h in the unit of each
// instruction set; what it needs of the unit is said there.

typedef uint32_t UVec __attribute__((vector_size(kLanes * 4)));
typedef uint16_t ShortVec __attribute__((vector_size(kLanes * 2)));
typedef int8_t ByteVec __attribute__((vector_size(kLanes)));

// Pairs of vectors, outputs group * kLanes .. and 16 + group * kLanes ..
constexpr int kGroups = 16 / kLanes;
template <int kRows, int kSpan>
struct PairSums {
  Vec at[kRows][kSpan][2];
};

// Sixteen floats to look up in by the low four bits of each lane.
#if defined(__AVX512F__)
struct Table16 {
  Vec all_of;
  CHASQUI_INLINE explicit Table16(const float* values) : all_of(load(values)) {}
  CHASQUI_INLINE Vec at(IVec index) const { return (Vec)_mm512_maskz_permutexvar_ps(0xffff, (__m512i)index, (__m512)all_of); }
};
#elif defined(__AVX2__)
struct Table16 {
  Vec low, high;
  CHASQUI_INLINE explicit Table16(const float* values) : low(load(values)), high(load(values + 8)) {}
  CHASQUI_INLINE Vec at(IVec index) const {
    const __m256 from_low = _mm256_permutevar8x32_ps((__m256)low, (__m256i)index);
    const __m256 from_high = _mm256_permutevar8x32_ps((__m256)high, (__m256i)index);
    return (Vec)_mm256_blendv_ps(from_low, from_high, (__m256)(index << 28));
  }
};
#else
struct Table16 {
  const float* values;
  explicit Table16(const float* values) : values(values) {}
  CHASQUI_INLINE Vec at(IVec index) const {
    Vec found;
    for (int i = 0; i < kLanes; i++) found[i] = values[index[i] & 15];
    return found;
  }
};
#endif

CHASQUI_INLINE IVec code_words(const char* at) { return *reinterpret_cast<const LooseIVec*>(at); }

// Decoders: kLanes outputs from `lane` on, of the lower or upper sixteen, at a step of a unit.
struct Table4Code {
  static constexpr int kSteps = 4, kUnit = 64;
  Table16 table;
  CHASQUI_INLINE explicit Table4Code(const QuantPanel& panel) : table(panel.table) {}
  template <int kStep, int kHalf>
  CHASQUI_INLINE Vec get(const char* unit, int lane) const {
    return table.at((IVec)((UVec)code_words(unit + lane * 4) >> 4 * (kStep % 2 * 4 + kStep / 2 * 2 + kHalf)));
  }
};

struct Int4Code {
  static constexpr int kSteps = 8, kUnit = 128;
  Table16 table;
  CHASQUI_INLINE explicit Int4Code(const QuantPanel& panel) : table(panel.table) {}
  template <int kStep, int kHalf>
  CHASQUI_INLINE Vec get(const char* unit, int lane) const {
    return table.at((IVec)((UVec)code_words(unit + kHalf * 64 + lane * 4) >> 4 * (kStep % 4 * 2 + kStep / 4)));
  }
};

struct Int8Code {
  static constexpr int kSteps = 4, kUnit = 128;
  CHASQUI_INLINE explicit Int8Code(const QuantPanel&) {}
  template <int kStep, int kHalf>
  CHASQUI_INLINE Vec get(const char* unit, int lane) const {
    return __builtin_convertvector(code_words(unit + kHalf * 64 + lane * 4) << (24 - 8 * kStep) >> 24, Vec);
  }
};

// e4m3fn: its bits, moved to the place of a float's, read as a number 2^120 too small, subnormal ones too.
struct Fp8Code {
  static constexpr int kSteps = 2, kUnit = 64;
  CHASQUI_INLINE explicit Fp8Code(const QuantPanel&) {}
  template <int kStep, int kHalf>
  CHASQUI_INLINE Vec get(const char* unit, int lane) const {
    const IVec top = code_words(unit + lane * 4) << (24 - 8 * (2 * kStep + kHalf));
    return (Vec)(top >> 4 & static_cast<int32_t>(0x87f00000)) * all(0x1p120f);  // the sign has been spread over what is cut off
  }
};

CHASQUI_INLINE Vec scale_line(const QuantPanel& panel, int64_t group, int first) {
  if (panel.scale_type == kScaleF32) return load(static_cast<const float*>(panel.scales) + group * kPanel + first);
  const uint16_t* line = static_cast<const uint16_t*>(panel.scales) + group * kPanel + first;
  if (panel.scale_type == kScaleF16) return load_half(line);
  ShortVec bits;
  __builtin_memcpy(&bits, line, sizeof bits);
  return (Vec)(__builtin_convertvector(bits, IVec) << 16);
}

CHASQUI_INLINE Vec zero_line(const QuantPanel& panel, int64_t group, int first) {
  ByteVec bytes;
  __builtin_memcpy(&bytes, panel.zeros + group * kPanel + first, sizeof bytes);
  return __builtin_convertvector(bytes, Vec);
}

// Zeros of a group for the outputs of a tile.
template <int kSpan>
struct Zeros {
  Vec at[kSpan][2];
};

// Steps kStep .. of a unit, at most `steps` of them: sums += a * (value - zero).
template <typename Code, int kRows, int kSpan, bool kZeros, int kStep>
CHASQUI_INLINE void panel_steps(const Code& code, const float* a, const char* unit, int group, int64_t steps,
                                const Zeros<kSpan>& zeros, PairSums<kRows, kSpan>* sums) {
  if constexpr (kStep < Code::kSteps) {
    if (kStep >= steps) return;
    for (int g = 0; g < kSpan; g++) {
      asm("" : "+r"(a), "+r"(unit));  // see tile_step; the words are read again rather than kept
      Vec low = code.template get<kStep, 0>(unit, (group + g) * kLanes);
      Vec high = code.template get<kStep, 1>(unit, (group + g) * kLanes);
      if constexpr (kZeros) {
        low -= zeros.at[g][0];
        high -= zeros.at[g][1];
      }
#pragma GCC unroll 12
      for (int r = 0; r < kRows; r++) {
        const Vec x = all(a[kStep * kRows + r]);
        sums->at[r][g][0] = fused(x, low, sums->at[r][g][0]);
        sums->at[r][g][1] = fused(x, high, sums->at[r][g][1]);
      }
    }
    panel_steps<Code, kRows, kSpan, kZeros, kStep + 1>(code, a, unit, group, steps, zeros, sums);
  }
}

// One run of steps of one group: c += scale * (a * (values - zeros)).
template <typename Code, int kRows, int kSpan, bool kZeros>
CHASQUI_INLINE void panel_run(const QuantPanel& panel, const char* unit, const float* a, int64_t first, int64_t k, float* c,
                              int64_t ldc, int group) {
  const Code code(panel);
  const int64_t scale_group = first / panel.group;
  PairSums<kRows, kSpan> sums;
  Zeros<kSpan> zeros;
  for (int g = 0; g < kSpan; g++) {
    for (int r = 0; r < kRows; r++) sums.at[r][g][0] = sums.at[r][g][1] = all(0.0f);
    if constexpr (kZeros) {
      zeros.at[g][0] = zero_line(panel, scale_group, (group + g) * kLanes);
      zeros.at[g][1] = zero_line(panel, scale_group, (group + g) * kLanes + 16);
    }
  }
  int64_t i = 0;
  for (; i + Code::kSteps <= k; i += Code::kSteps) {
    for (int byte = 0; byte < Code::kUnit; byte += 64) __builtin_prefetch(unit + 1024 + byte, 0, 3);
    panel_steps<Code, kRows, kSpan, kZeros, 0>(code, a, unit, group, Code::kSteps, zeros, &sums);
    a += Code::kSteps * kRows;
    unit += Code::kUnit;
  }
  if (i < k) panel_steps<Code, kRows, kSpan, kZeros, 0>(code, a, unit, group, k - i, zeros, &sums);
  for (int g = 0; g < kSpan; g++) {
    const Vec low = scale_line(panel, scale_group, (group + g) * kLanes);
    const Vec high = scale_line(panel, scale_group, (group + g) * kLanes + 16);
    for (int r = 0; r < kRows; r++) {
      float* at = c + r * ldc + (group + g) * kLanes;
      store(at, fused(sums.at[r][g][0], low, load(at)));
      store(at + 16, fused(sums.at[r][g][1], high, load(at + 16)));
    }
  }
}

// Step kStep .. of a unit, each with the scale of its own group: sums += a * ((value - zero) * scale).
template <typename Code, int kRows, bool kZeros, int kStep>
CHASQUI_INLINE void panel_scaled_steps(const Code& code, const QuantPanel& panel, const char* unit, const float* a, int64_t k,
                                       int64_t steps, int group, PairSums<kRows, 1>* sums) {
  if constexpr (kStep < Code::kSteps) {
    if (kStep >= steps) return;
    const int64_t own = panel.group_of[k + kStep];
    Vec low = code.template get<kStep, 0>(unit, group * kLanes);
    Vec high = code.template get<kStep, 1>(unit, group * kLanes);
    if constexpr (kZeros) {
      low -= zero_line(panel, own, group * kLanes);
      high -= zero_line(panel, own, group * kLanes + 16);
    }
    low *= scale_line(panel, own, group * kLanes);
    high *= scale_line(panel, own, group * kLanes + 16);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; r++) {
      const Vec x = all(a[kStep * kRows + r]);
      sums->at[r][0][0] = fused(x, low, sums->at[r][0][0]);
      sums->at[r][0][1] = fused(x, high, sums->at[r][0][1]);
    }
    panel_scaled_steps<Code, kRows, kZeros, kStep + 1>(code, panel, unit, a, k, steps, group, sums);
  }
}

template <typename Code, int kRows, bool kZeros>
void panel_scaled(const QuantPanel& panel, const char* codes, const float* a, int64_t first, int64_t k, float* c, int64_t ldc) {
  const Code code(panel);
  for (int group = 0; group < kGroups; group++) {
    PairSums<kRows, 1> sums;
    for (int r = 0; r < kRows; r++) {
      sums.at[r][0][0] = load(c + r * ldc + group * kLanes);
      sums.at[r][0][1] = load(c + r * ldc + group * kLanes + 16);
    }
    for (int64_t i = 0; i < k; i += Code::kSteps) {
      panel_scaled_steps<Code, kRows, kZeros, 0>(code, panel, codes + i / Code::kSteps * Code::kUnit, a + i * kRows, first + i,
                                                 k - i, group, &sums);
    }
    for (int r = 0; r < kRows; r++) {
      store(c + r * ldc + group * kLanes, sums.at[r][0][0]);
      store(c + r * ldc + group * kLanes + 16, sums.at[r][0][1]);
    }
  }
}

template <typename Code, int kRows, bool kZeros>
void panel_tile(const QuantPanel& panel, const char* codes, const float* a, int64_t first, int64_t k, float* c, int64_t ldc) {
  if (panel.group_of != nullptr) return panel_scaled<Code, kRows, kZeros>(panel, codes, a, first, k, c, ldc);
  for (int64_t done = 0; done < k; done += panel.run) {
    const int64_t steps = k - done < panel.run ? k - done : panel.run;
    const char* unit = codes + done / Code::kSteps * Code::kUnit;
    if constexpr (kRows <= kOnePassRows || kGroups == 1) {
      panel_run<Code, kRows, kGroups, kZeros>(panel, unit, a, first + done, steps, c, ldc, 0);
    } else {
      for (int group = 0; group < kGroups; group++) {
        panel_run<Code, kRows, 1, kZeros>(panel, unit, a, first + done, steps, c, ldc, group);
      }
    }
    a += panel.run * kRows;
  }
}

template <typename Code, int kRows>
void quant_panel_tile(const QuantPanel& panel, const char* codes, const void* input, int64_t first, int64_t k, float* c,
                      int64_t ldc) {
  const auto* a = static_cast<const float*>(input);
  if (panel.zeros != nullptr) return panel_tile<Code, kRows, true>(panel, codes, a, first, k, c, ldc);
  panel_tile<Code, kRows, false>(panel, codes, a, first, k, c, ldc);
}

template <int kRows>
void add_quant_panel_tiles(Kernels* kernels) {
  kernels->quant_tile[kCodeTable4][kRows] = quant_panel_tile<Table4Code, kRows>;
  kernels->quant_tile[kCodeInt4][kRows] = quant_panel_tile<Int4Code, kRows>;
  kernels->quant_tile[kCodeInt8][kRows] = quant_panel_tile<Int8Code, kRows>;
  kernels->quant_tile[kCodeFp8][kRows] = quant_panel_tile<Fp8Code, kRows>;
  if constexpr (kRows > 1) add_quant_panel_tiles<kRows - 1>(kernels);
}
