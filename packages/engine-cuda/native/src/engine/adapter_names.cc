// See adapter_names.h.
#include "adapter_names.h"

#include "../model/lora_adapter.h"

namespace chasqui {

Status AdapterNames::load(Engine& engine, const ModelConfig& config, const std::string& name, const std::string& folder) {
  int32_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    if (name.empty()) return failure(Reason::kBadRequest, "An adapter needs a name.", "Give one that requests can use.");
    if (!ids_.emplace(name, 0).second) {
      return failure(Reason::kBadRequest, "There is an adapter \"" + name + "\" already.", "Unload it first, or use another name.");
    }
    id = ++last_;
  }
  LoraAdapter adapter;
  Status status = load_lora(folder, config, &adapter);
  if (status.ok()) status = engine.call([&](Stepper& stepper) { return stepper.add_adapter(id, adapter); });
  const std::lock_guard lock(mutex_);
  if (status.ok()) {
    ids_[name] = id;
  } else {
    ids_.erase(name);
  }
  return status;
}

Status AdapterNames::unload(Engine& engine, const std::string& name) {
  int64_t id = 0;
  if (Status status = find(name, &id); !status.ok()) return status;
  Status status = engine.call([id](Stepper& stepper) { return stepper.remove_adapter(static_cast<int32_t>(id)); });
  const std::lock_guard lock(mutex_);
  if (status.ok()) ids_.erase(name);
  return status;
}

Status AdapterNames::find(const std::string& name, int64_t* id) const {
  const std::lock_guard lock(mutex_);
  const auto found = ids_.find(name);
  if (found != ids_.end() && found->second != 0) {
    *id = found->second;
    return {};
  }
  std::string names;
  for (const auto& [other, number] : ids_) names += (names.empty() ? "" : ", ") + other;
  return failure(Reason::kNotFound, "There is no adapter \"" + name + "\".",
                 names.empty() ? "None is loaded: load it first." : "Loaded are " + names + ".");
}

}  // namespace chasqui
