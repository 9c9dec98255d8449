// See token_table.h.
#include "token_table.h"

#include <algorithm>
#include <limits>

namespace chasqui {

Status TokenTable::build(std::string bytes, std::vector<int64_t> offsets, TokenTable* table) {
  const Status malformed = failure(Reason::kBadRequest, "The table of token bytes is malformed: its offsets do not fit its bytes.",
                                   "Give one byte string per token id, in order of id.");
  if (offsets.empty() || offsets.front() != 0 || offsets.back() != static_cast<int64_t>(bytes.size())) return malformed;
  for (size_t i = 1; i < offsets.size(); ++i) {
    if (offsets[i] < offsets[i - 1]) return malformed;
  }
  table->bytes_ = std::move(bytes);
  table->offsets_ = std::move(offsets);
  table->index_.clear();
  table->same_.clear();
  table->longest_ = 0;
  table->index_.reserve(static_cast<size_t>(table->size()));
  for (int32_t token = table->size() - 1; token >= 0; --token) {
    const std::string_view text = table->bytes_of(token);
    if (text.empty()) continue;
    table->longest_ = std::max(table->longest_, static_cast<int32_t>(text.size()));
    const auto [entry, fresh] = table->index_.try_emplace(text, token);
    if (!fresh) {
      table->same_[token] = entry->second;
      entry->second = token;
    }
  }
  return {};
}

int32_t TokenTable::find(std::string_view bytes) const {
  const auto entry = index_.find(bytes);
  return entry == index_.end() ? -1 : entry->second;
}

int32_t TokenTable::next_same(int32_t token) const {
  const auto entry = same_.find(token);
  return entry == same_.end() ? -1 : entry->second;
}

std::vector<int32_t> TokenTable::encode(std::string_view text) const {
  std::vector<size_t> starts;  // of the pieces, and the end of the text
  for (size_t i = 0; i <= text.size(); ++i) starts.push_back(i);
  for (size_t i = 0; i < text.size(); ++i) {
    if (find(text.substr(i, 1)) < 0) return {};
  }
  for (;;) {
    int32_t best = std::numeric_limits<int32_t>::max();
    size_t best_piece = 0;
    for (size_t i = 0; i + 2 < starts.size(); ++i) {
      const int32_t merged = find(text.substr(starts[i], starts[i + 2] - starts[i]));
      if (merged >= 0 && merged < best) {
        best = merged;
        best_piece = i;
      }
    }
    if (best == std::numeric_limits<int32_t>::max()) break;
    starts.erase(starts.begin() + static_cast<std::ptrdiff_t>(best_piece) + 1);
  }
  std::vector<int32_t> tokens;
  for (size_t i = 0; i + 1 < starts.size(); ++i) tokens.push_back(find(text.substr(starts[i], starts[i + 1] - starts[i])));
  return tokens;
}

}  // namespace chasqui
