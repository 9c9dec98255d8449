// See held_out.h.
#include "held_out.h"

#include <algorithm>
#include <cmath>

#include "src/checkpoint/mapped_file.h"
#include "src/json.h"

namespace chasqui {

Status read_held_out(const std::string& path, std::vector<HeldOut>* conversations) {
  std::string text;
  std::string error;
  JsonValue json;
  if (Status status = read_small_file(path, 16 << 20, &text); !status.ok()) return status;
  if (!parse_json(text, {}, &json, &error)) return failure(Reason::kBadCheckpoint, path + ": " + error, "None.");
  for (const JsonValue& one : *json.find("conversations")->array()) {
    HeldOut& made = conversations->emplace_back();
    for (const JsonValue& id : *one.find("ids")->array()) made.tokens.push_back(static_cast<int32_t>(*id.integer()));
    made.is_counted.assign(made.tokens.size(), false);
    for (const JsonValue& span : *one.find("assistant")->array()) {
      for (int64_t i = *(*span.array())[0].integer(); i < *(*span.array())[1].integer(); i++) made.is_counted[static_cast<size_t>(i)] = true;
    }
  }
  return {};
}

Status perplexity(Forward& forward, const std::vector<HeldOut>& conversations, size_t most, double* result) {
  double total = 0;
  int64_t counted = 0;
  std::vector<int32_t> pages(static_cast<size_t>(forward.n_pages()));
  for (size_t i = 0; i < pages.size(); i++) pages[i] = static_cast<int32_t>(i);
  const size_t vocab = static_cast<size_t>(forward.vocab());
  std::vector<float> logits(static_cast<size_t>(forward.max_batch_tokens()) * vocab);
  for (size_t c = 0; c < std::min(most, conversations.size()); c++) {
    const HeldOut& each = conversations[c];
    for (size_t first = 0; first < each.tokens.size(); first += static_cast<size_t>(forward.max_batch_tokens())) {
      const size_t n = std::min(static_cast<size_t>(forward.max_batch_tokens()), each.tokens.size() - first);
      BatchSpan span{each.tokens.data() + first, static_cast<int32_t>(n), static_cast<int32_t>(first), pages.data(), true, false, 0};
      if (Status status = forward.run({span}, logits.data()); !status.ok()) return status;
      for (size_t t = 0; t < n && first + t + 1 < each.tokens.size(); t++) {
        if (!each.is_counted[first + t + 1]) continue;
        const float* row = logits.data() + t * vocab;
        const double top = *std::max_element(row, row + vocab);
        double sum = 0;
        for (size_t v = 0; v < vocab; v++) sum += std::exp(row[v] - top);
        total += top + std::log(sum) - row[each.tokens[first + t + 1]];
        counted++;
      }
    }
  }
  *result = std::exp(total / static_cast<double>(counted));
  return {};
}

}  // namespace chasqui
