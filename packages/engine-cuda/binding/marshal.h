// JavaScript values to plain ones and back. The TypeScript side has checked types and ranges; a value of the wrong type here
// becomes a default, never a crash.
#pragma once

// Before napi.h, and in every unit: in an environment that is being torn down no JavaScript can run; a call that fails for that must not end the process.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "include/chasqui/engine.h"

namespace chasqui_binding {

inline double number_of(const Napi::Object& object, const char* name, double absent) {
  const Napi::Value value = object.Get(name);
  return value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : absent;
}

inline int32_t int_of(const Napi::Object& object, const char* name, int32_t absent) {
  const Napi::Value value = object.Get(name);
  return value.IsNumber() ? value.As<Napi::Number>().Int32Value() : absent;
}

inline int32_t flag_of(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  return value.IsBoolean() && value.As<Napi::Boolean>().Value() ? 1 : 0;
}

inline std::string string_of(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

// A view of a typed array's memory, valid while the call runs.
template <typename T>
struct View {
  const T* data = nullptr;
  size_t size = 0;
};

template <typename T>
View<T> view_of(const Napi::Value& value, napi_typedarray_type type) {
  if (!value.IsTypedArray()) return {};
  const Napi::TypedArray array = value.As<Napi::TypedArray>();
  if (array.TypedArrayType() != type) return {};
  const auto* bytes = static_cast<const uint8_t*>(array.ArrayBuffer().Data());
  return {reinterpret_cast<const T*>(bytes + array.ByteOffset()), array.ElementLength()};
}

inline View<int32_t> int32s_of(const Napi::Value& value) { return view_of<int32_t>(value, napi_int32_array); }
inline View<double> doubles_of(const Napi::Value& value) { return view_of<double>(value, napi_float64_array); }
inline View<uint8_t> bytes_of(const Napi::Value& value) { return view_of<uint8_t>(value, napi_uint8_array); }

// { reason, detail, fix }
Napi::Object failure_of(Napi::Env env, const chasqui_status& status);

// Keeps the memory that a chasqui_load_options points to.
struct LoadArguments {
  explicit LoadArguments(const Napi::Object& from);
  LoadArguments(const LoadArguments&) = delete;

  std::string folder;
  std::string device;
  std::string weights;
  std::vector<int32_t> special_tokens;
  std::string token_bytes;
  std::vector<int64_t> token_offsets;
  chasqui_load_options options{};
};

// Keeps the memory that a chasqui_request points to; views of typed arrays last as long as the call.
struct RequestArguments {
  explicit RequestArguments(const Napi::Object& from);
  RequestArguments(const RequestArguments&) = delete;

  std::string name_space;
  std::string adapter;
  std::vector<std::string> choices;
  std::vector<const char*> choice_pointers;
  std::vector<size_t> choice_bytes;
  chasqui_request request{};
};

// Says that the engine is closed.
void closed_status(chasqui_status* status);

Napi::Object info_of(Napi::Env env, const chasqui_engine* engine);
Napi::Object metrics_of(Napi::Env env, const chasqui_engine* engine);

// The arguments of the events callback: tokens Int32Array of (request, token, forced) triples; logprobs null or
// { own: Float32Array, counts: Int32Array, tokens: Int32Array, values: Float32Array }; ends an array of objects; closed.
// Empty where the environment makes no objects any more.
std::vector<napi_value> event_arguments(Napi::Env env, const chasqui_events& events);

}  // namespace chasqui_binding
