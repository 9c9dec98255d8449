// A LoRA adapter as PEFT writes it (adapter_config.json, adapter_model.safetensors): for each adapted matrix of a
// model, y += scale * B (A x). Reading only: which request uses which adapter is decided elsewhere. What would change
// the result and is not supported (DoRA, saved modules, biases, initialisations that change the base model) is refused
// by name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../checkpoint/hf_directory.h"
#include "../status.h"
#include "config.h"
#include "weights.h"

namespace chasqui {

enum class Projection : uint8_t { kQ, kK, kV, kO, kGate, kUp, kDown };

struct LoraMatrix {
  int32_t layer = 0;
  Projection projection = Projection::kQ;
  MatrixView a;        // (rank, inputs)
  MatrixView b;        // (outputs, rank)
  float scale = 1.0f;  // alpha / rank, or alpha / sqrt(rank) with rslora
};

struct LoraAdapter {
  std::vector<LoraMatrix> matrices;  // sorted by layer, then projection; no two alike
  int32_t max_rank = 0;
  uint64_t fingerprint = 0;                        // of all values, ranks and scales: part of the key of a prefix cache
  std::vector<std::shared_ptr<MappedFile>> files;  // keep the views alive
  std::vector<std::shared_ptr<const std::byte[]>> copies;  // of tensors that lie unaligned in their file
};

// Reads an adapter's folder and checks every matrix against the model that it is for.
Status load_lora(const std::string& folder, const ModelConfig& model, LoraAdapter* adapter);

// The same from the text of adapter_config.json and tensors that are already open. `path` names the text in messages.
Status collect_lora(std::string_view config_text, const std::string& path, const TensorDirectory& directory,
                    const ModelConfig& model, LoraAdapter* adapter);

}  // namespace chasqui
