// Attention of single rows and of runs of rows against double precision, on pages that lie anywhere.
#include "check.h"
#include "cuda_kernels.h"

namespace chasqui::cuda {
namespace {

struct Sequence {
  int32_t position;  // of its first row in the step
  int32_t n_rows;
};

struct Case {
  int32_t n_heads, n_kv_heads, head_dim;
  KvKind kind;
  std::vector<Sequence> sequences;
  int32_t sms = 3;
  int32_t max_length = 0;  // given to attend_decode; 0: the longest
  bool prefill = false;
};

class AttendCheck {
 public:
  explicit AttendCheck(const Case& c) : c_(c), shape_{64, 64, c.n_heads, c.n_kv_heads, c.head_dim, 64}, random_(static_cast<uint64_t>(c.n_heads) + 77) {
    for (const Sequence& sequence : c.sequences) rows_ += sequence.n_rows;
    lay_out();
  }

  void run() {
    TestDevice device;
    const Work work(device, shape_, rows_, 1, c_.sms);
    Step step;
    counts_.rows = rows_;
    step.counts = device.put_one(counts_);
    step.positions = device.put(positions_);
    step.page_starts = device.put(page_starts_);
    step.pages = device.put(pages_);
    step.decode_rows = device.put(decode_rows_);
    step.tiles = device.put(tiles_);
    const int64_t q_size = static_cast<int64_t>(rows_) * c_.n_heads * c_.head_dim;
    const std::vector<uint16_t> q = random_bf16(&random_, q_size, 2.0f);
    fill_cache();
    DeviceKv kv;
    kv.kind = c_.kind;
    kv.n_layers = 2;
    kv.n_pages = n_pages_;
    kv.keys = device.put(keys_);
    kv.values = device.put(values_);
    kv.key_scale = key_scale_;
    kv.value_scale = value_scale_;
    Activations activations;
    activations.q = device.put(q);
    activations.attended = device.put(std::vector<uint16_t>(static_cast<size_t>(q_size), 0x1234));
    if (c_.prefill) {
      attend_prefill(work.target, shape_, step, static_cast<int32_t>(tiles_.size()) + 1, kv, 1, activations);
    } else {
      attend_decode(work.target, shape_, step, static_cast<int32_t>(decode_rows_.size()), c_.max_length != 0 ? c_.max_length : longest_, kv, 1, activations);
    }
    compare(q, device.get(activations.attended, q_size));
    work.check_counters(device);
  }

 private:
  void lay_out() {
    const int32_t tile_rows = prefill_tile_rows(shape_);
    int32_t row = 0;
    for (const Sequence& sequence : c_.sequences) {
      const int32_t end = sequence.position + sequence.n_rows;
      longest_ = std::max(longest_, end);
      const auto table = static_cast<int32_t>(pages_.size());
      for (int32_t page = 0; page < (end + kPage - 1) / kPage; page++) pages_.push_back(n_pages_++);
      for (int32_t first = 0; first < sequence.n_rows; first += tile_rows) {
        tiles_.push_back({row + first, std::min(tile_rows, sequence.n_rows - first)});
      }
      for (int32_t i = 0; i < sequence.n_rows; i++, row++) {
        positions_.push_back(sequence.position + i);
        page_starts_.push_back(table);
        decode_rows_.push_back(row);
      }
    }
    n_pages_ += 2;  // that belong to nobody
    for (size_t i = pages_.size() - 1; i > 0; i--) std::swap(pages_[i], pages_[static_cast<size_t>(random_.below(static_cast<int32_t>(i) + 1))]);
    for (int32_t& page : pages_) page = n_pages_ - 1 - page;
    counts_.decode_rows = static_cast<int32_t>(decode_rows_.size());
    counts_.tiles = static_cast<int32_t>(tiles_.size());
    decode_rows_.push_back(0);  // of the bucket, not live
  }

  int64_t at(int32_t page, int32_t head, int32_t slot) const {
    return ((static_cast<int64_t>(n_pages_ + page) * c_.n_kv_heads + head) * kPage + slot) * c_.head_dim;  // layer 1
  }

  // NaN everywhere but where a position is.
  void fill_cache() {
    const int64_t elements = static_cast<int64_t>(2) * n_pages_ * c_.n_kv_heads * kPage * c_.head_dim;
    const bool fp8 = c_.kind == KvKind::kFp8;
    keys_.assign(static_cast<size_t>(elements * (fp8 ? 1 : 2)), fp8 ? 0x7e : 0xff);
    values_ = keys_;
    if (fp8) key_scale_ = 0.02f, value_scale_ = 0.01f;
    int32_t row = 0;
    for (const Sequence& sequence : c_.sequences) {
      for (int32_t position = 0; position < sequence.position + sequence.n_rows; position++) {
        const int32_t page = pages_[static_cast<size_t>(page_starts_[static_cast<size_t>(row)] + position / kPage)];
        for (int32_t head = 0; head < c_.n_kv_heads; head++) {
          for (int32_t d = 0; d < c_.head_dim; d++) {
            put(&keys_, at(page, head, position % kPage) + d);
            put(&values_, at(page, head, position % kPage) + d);
          }
        }
      }
      row += sequence.n_rows;
    }
  }

  void put(std::vector<uint8_t>* pool, int64_t index) {
    if (c_.kind == KvKind::kFp8) {
      const int32_t code = random_.below(0x70);
      (*pool)[static_cast<size_t>(index)] = static_cast<uint8_t>(code | random_.below(2) << 7);
      return;
    }
    const uint16_t bits = float_to_bf16(1.7f * random_.symmetric());
    std::memcpy(pool->data() + index * 2, &bits, 2);
  }

  double get(const std::vector<uint8_t>& pool, int64_t index, float scale) const {
    if (c_.kind == KvKind::kFp8) return static_cast<double>(e4m3_to_float(pool[static_cast<size_t>(index)])) * scale;
    uint16_t bits;
    std::memcpy(&bits, pool.data() + index * 2, 2);
    return bf16_to_float(bits);
  }

  void compare(const std::vector<uint16_t>& q, const std::vector<uint16_t>& out) const {
    const int32_t dim = c_.head_dim;
    for (int32_t row = 0; row < rows_; row++) {
      for (int32_t head = 0; head < c_.n_heads; head++) {
        const int32_t kv_head = head / (c_.n_heads / c_.n_kv_heads);
        const int64_t query = (static_cast<int64_t>(row) * c_.n_heads + head) * dim;
        const int32_t length = positions_[static_cast<size_t>(row)] + 1;
        std::vector<double> weights(static_cast<size_t>(length));
        double max = -1e300, sum = 0.0;
        for (int32_t position = 0; position < length; position++) {
          double score = 0.0;
          for (int32_t d = 0; d < dim; d++) score += bf16_to_float(q[static_cast<size_t>(query + d)]) * get(keys_, place(row, kv_head, position) + d, key_scale_);
          weights[static_cast<size_t>(position)] = score / std::sqrt(static_cast<double>(dim));
          max = std::max(max, weights[static_cast<size_t>(position)]);
        }
        for (double& weight : weights) sum += weight = std::exp(weight - max);
        std::vector<double> expected(static_cast<size_t>(dim), 0.0);
        for (int32_t position = 0; position < length; position++) {
          for (int32_t d = 0; d < dim; d++) {
            expected[static_cast<size_t>(d)] += weights[static_cast<size_t>(position)] / sum * get(values_, place(row, kv_head, position) + d, value_scale_);
          }
        }
        std::vector<float> got;
        for (int32_t d = 0; d < dim; d++) got.push_back(bf16_to_float(out[static_cast<size_t>(query + d)]));
        // One rounding to bf16 of values around 1, and weights in bf16.
        CHECK_NEAR(widest_error(got.data(), expected), 0.0, 6e-3);
      }
    }
  }

  int64_t place(int32_t row, int32_t head, int32_t position) const {
    return at(pages_[static_cast<size_t>(page_starts_[static_cast<size_t>(row)] + position / kPage)], head, position % kPage);
  }

  Case c_;
  ModelShape shape_;
  QuickRandom random_;
  StepCounts counts_;
  std::vector<int32_t> positions_, page_starts_, pages_, decode_rows_;
  std::vector<PrefillTile> tiles_;
  std::vector<uint8_t> keys_, values_;
  float key_scale_ = 1.0f, value_scale_ = 1.0f;
  int32_t rows_ = 0, n_pages_ = 0, longest_ = 0;
};

TEST(decode_of_every_shape) {
  each_schedule(is_slow(), [] {
    for (const KvKind kind : {KvKind::kBF16, KvKind::kFp8}) {
      AttendCheck({4, 2, 64, kind, {{0, 1}, {15, 1}, {16, 1}, {70, 1}}}).run();       // the tiny model
      AttendCheck({8, 2, 128, kind, {{40, 1}, {200, 1}}}).run();                       // 8B
      AttendCheck({3, 1, 128, kind, {{100, 1}}}).run();                                // 3B
      AttendCheck({8, 1, 128, kind, {{130, 1}}}).run();                                // 70B
      AttendCheck({2, 2, 64, kind, {{17, 1}}}).run();                                  // no sharing
    }
  });
}

TEST(decode_in_parts) {
  each_schedule(is_slow(), [] {
    AttendCheck({4, 1, 64, KvKind::kBF16, {{599, 1}, {20, 1}, {256, 1}}, 40}).run();
    // As many parts as a longer sequence would have.
    AttendCheck({4, 1, 128, KvKind::kFp8, {{300, 1}}, 40, 100000}).run();
  });
}

TEST(prefill_of_every_shape) {
  each_schedule(is_slow(), [] {
    for (const KvKind kind : {KvKind::kBF16, KvKind::kFp8}) {
      AttendCheck({4, 2, 64, kind, {{0, 70}, {19, 5}}, 3, 0, true}).run();
      AttendCheck({4, 1, 128, kind, {{0, 33}}, 3, 0, true}).run();
    }
    AttendCheck({3, 1, 128, KvKind::kBF16, {{120, 50}}, 3, 0, true}).run();
    AttendCheck({8, 1, 128, KvKind::kBF16, {{130, 17}, {0, 1}}, 3, 0, true}).run();
    AttendCheck({1, 1, 64, KvKind::kFp8, {{3, 130}}, 3, 0, true}).run();
  });
}

// Spans of 128 positions: less than one, ends within a page and at one, more spans than stages, a step that begins anywhere.
TEST(prefill_on_hopper) {
  with_hopper([] {
    AttendCheck({4, 2, 64, KvKind::kBF16, {{0, 70}, {19, 5}}, 3, 0, true}).run();
    AttendCheck({4, 1, 128, KvKind::kBF16, {{0, 33}, {127, 1}}, 3, 0, true}).run();
    AttendCheck({3, 1, 128, KvKind::kBF16, {{520, 50}, {96, 32}}, 3, 0, true}).run();
    AttendCheck({8, 1, 128, KvKind::kBF16, {{130, 17}, {0, 1}}, 3, 0, true}).run();
    AttendCheck({1, 1, 64, KvKind::kBF16, {{203, 130}, {255, 1}}, 3, 0, true}).run();
    AttendCheck({4, 2, 64, KvKind::kFp8, {{0, 20}}, 3, 0, true}).run();  // left to the sibling
  });
}

}  // namespace
}  // namespace chasqui::cuda

TEST_MAIN()
