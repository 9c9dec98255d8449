// The Node addon: arguments in, events out, no policy. One native engine per handle; its thread reaches JavaScript through
// one thread-safe function, whose callback delivers everything that has happened since the last one.
//
// Lives and deaths: an Engine is shared by the handle, by a load under way and by the environment's cleanup hook. The hook
// stops the engine's thread before the environment goes, also when that happens in the middle of a load or a pass.
#include "marshal.h"

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <utility>

namespace chasqui_binding {

struct Engine {
  std::shared_mutex in_use;         // held, shared, by work on other threads that uses `native`
  std::mutex mutex;                 // of the two below: load runs on another thread
  chasqui_engine* native = nullptr;
  bool torn_down = false;           // the environment is going: nothing may start any more
  Napi::ThreadSafeFunction events;
  std::shared_ptr<Engine>* hook = nullptr;  // what the cleanup hook holds

  // Takes the native engine away from everybody else.
  chasqui_engine* detach() {
    const std::lock_guard lock(mutex);
    return std::exchange(native, nullptr);
  }
};

namespace {

using EnginePointer = std::shared_ptr<Engine>;

// Frees what was detached, once nobody uses it.
void free_detached(Engine& engine, chasqui_engine* native) {
  const std::unique_lock lock(engine.in_use);
  chasqui_free(native);
}

void deliver(Napi::Env env, Napi::Function on_events, Engine* engine) {
  if (env == nullptr || engine->native == nullptr) return;
  chasqui_events events{};
  chasqui_take_events(engine->native, &events);
  const std::vector<napi_value> arguments = event_arguments(env, events);
  if (!arguments.empty()) on_events.Call(arguments);
}

// On a thread of the engine.
void notify(void* user) {
  auto* engine = static_cast<Engine*>(user);
  engine->events.NonBlockingCall(engine, [](Napi::Env env, Napi::Function on_events, Engine* of) { deliver(env, on_events, of); });
}

void tear_down(void* data) {
  const std::unique_ptr<EnginePointer> engine(static_cast<EnginePointer*>(data));
  {
    const std::lock_guard lock((*engine)->mutex);
    (*engine)->torn_down = true;
    (*engine)->hook = nullptr;
  }
  if (chasqui_engine* native = (*engine)->detach()) free_detached(**engine, native);
}

// After the last event: the environment no longer needs to know of the engine.
void forget(Napi::Env env, Engine* engine) {
  engine->events.Release();
  if (engine->hook == nullptr) return;
  napi_remove_env_cleanup_hook(env, tear_down, engine->hook);
  delete std::exchange(engine->hook, nullptr);
}

// Gives a closed engine's memory back without holding up the event loop.
class FreeWorker final : public Napi::AsyncWorker {
 public:
  FreeWorker(Napi::Env env, EnginePointer engine, chasqui_engine* native)
      : Napi::AsyncWorker(env), engine_(std::move(engine)), native_(native), promise_(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise promise() const { return promise_.Promise(); }
  void Execute() override { free_detached(*engine_, native_); }
  void OnOK() override {
    forget(Env(), engine_.get());
    promise_.Resolve(Env().Undefined());
  }

 private:
  EnginePointer engine_;
  chasqui_engine* native_;
  Napi::Promise::Deferred promise_;
};

// Loads or, without a folder, unloads an adapter, off the event loop: both wait for a pass. Resolves to null or a failure.
class AdapterWorker final : public Napi::AsyncWorker {
 public:
  AdapterWorker(Napi::Env env, EnginePointer engine, const Napi::Value& name, const Napi::Value& folder)
      : Napi::AsyncWorker(env), engine_(std::move(engine)), name_(name.ToString().Utf8Value()),
        folder_(folder.IsString() ? folder.ToString().Utf8Value() : ""), loads_(folder.IsString()),
        promise_(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise promise() const { return promise_.Promise(); }

  void Execute() override {
    const std::shared_lock use(engine_->in_use);
    chasqui_engine* native = nullptr;
    {
      const std::lock_guard lock(engine_->mutex);
      native = engine_->native;
    }
    if (native == nullptr) {
      closed_status(&status_);
    } else if (loads_) {
      chasqui_adapter_load(native, name_.c_str(), folder_.c_str(), &status_);
    } else {
      chasqui_adapter_unload(native, name_.c_str(), &status_);
    }
  }

  void OnOK() override {
    promise_.Resolve(status_.reason == CHASQUI_OK ? Env().Null() : Napi::Value(failure_of(Env(), status_)));
  }

 private:
  EnginePointer engine_;
  std::string name_;
  std::string folder_;
  bool loads_;
  chasqui_status status_{};
  Napi::Promise::Deferred promise_;
};

class Handle final : public Napi::ObjectWrap<Handle> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "NativeEngine",
                       {InstanceMethod<&Handle::info>("info"), InstanceMethod<&Handle::log_append>("logAppend"),
                        InstanceMethod<&Handle::log_drop>("logDrop"), InstanceMethod<&Handle::submit>("submit"),
                        InstanceMethod<&Handle::cancel>("cancel"), InstanceMethod<&Handle::consumed>("consumed"),
                        InstanceMethod<&Handle::release>("release"),
                        InstanceMethod<&Handle::adapter>("adapter"), InstanceMethod<&Handle::metrics>("metrics"),
                        InstanceMethod<&Handle::ref>("ref"), InstanceMethod<&Handle::unref>("unref"),
                        InstanceMethod<&Handle::close>("close"), InstanceMethod<&Handle::free>("free")});
  }

  explicit Handle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Handle>(info) {
    if (info.Length() == 1 && info[0].IsExternal()) engine_ = *info[0].As<Napi::External<EnginePointer>>().Data();
  }

 private:
  chasqui_engine* native() const { return engine_ ? engine_->native : nullptr; }

  static uint64_t id_of(const Napi::CallbackInfo& info, size_t argument) {
    return static_cast<uint64_t>(info[argument].ToNumber().Int64Value());
  }

  Napi::Value info(const Napi::CallbackInfo& info) { return native() ? Napi::Value(info_of(info.Env(), native())) : info.Env().Null(); }

  void log_append(const Napi::CallbackInfo& info) {
    const View<int32_t> tokens = int32s_of(info[1]);
    if (native()) chasqui_log_append(native(), id_of(info, 0), tokens.data, tokens.size);
  }

  void log_drop(const Napi::CallbackInfo& info) {
    if (native()) chasqui_log_drop(native(), id_of(info, 0));
  }

  // Null, or what is wrong with the request.
  Napi::Value submit(const Napi::CallbackInfo& info) {
    if (!native() || !info[0].IsObject()) return info.Env().Null();
    const RequestArguments arguments(info[0].As<Napi::Object>());
    chasqui_status status{};
    if (chasqui_submit(native(), &arguments.request, &status) == CHASQUI_OK) return info.Env().Null();
    return failure_of(info.Env(), status);
  }

  void cancel(const Napi::CallbackInfo& info) {
    if (native()) chasqui_cancel(native(), id_of(info, 0));
  }

  void consumed(const Napi::CallbackInfo& info) {
    if (native()) chasqui_consumed(native(), id_of(info, 0), info[1].ToNumber().Int32Value());
  }

  void release(const Napi::CallbackInfo& info) {
    if (native()) chasqui_release(native(), info[0].ToString().Utf8Value().c_str());
  }

  // adapter(name, folder): loads; adapter(name): unloads.
  Napi::Value adapter(const Napi::CallbackInfo& info) {
    if (!engine_) return info.Env().Null();
    auto* worker = new AdapterWorker(info.Env(), engine_, info[0], info[1]);
    Napi::Promise promise = worker->promise();
    worker->Queue();
    return promise;
  }

  Napi::Value metrics(const Napi::CallbackInfo& info) { return native() ? Napi::Value(metrics_of(info.Env(), native())) : info.Env().Null(); }

  // Whether the process may end while this engine has work.
  void ref(const Napi::CallbackInfo& info) {
    if (native()) engine_->events.Ref(info.Env());
  }
  void unref(const Napi::CallbackInfo& info) {
    if (native()) engine_->events.Unref(info.Env());
  }

  void close(const Napi::CallbackInfo&) {
    if (native()) chasqui_close(native());
  }

  // After the last events: waits for the thread off this one.
  Napi::Value free(const Napi::CallbackInfo& info) {
    chasqui_engine* freed = engine_ ? engine_->detach() : nullptr;
    if (freed == nullptr) return info.Env().Undefined();
    auto* worker = new FreeWorker(info.Env(), engine_, freed);
    Napi::Promise promise = worker->promise();
    worker->Queue();
    return promise;
  }

  EnginePointer engine_;
};

class LoadWorker final : public Napi::AsyncWorker {
 public:
  LoadWorker(Napi::Env env, const Napi::Object& options, EnginePointer engine)
      : Napi::AsyncWorker(env), arguments_(options), engine_(std::move(engine)), promise_(Napi::Promise::Deferred::New(env)) {}

  Napi::Promise promise() const { return promise_.Promise(); }

  void Execute() override {
    chasqui_engine* native = nullptr;
    chasqui_load(&arguments_.options, notify, engine_.get(), &native, &status_);
    const std::lock_guard lock(engine_->mutex);
    if (engine_->torn_down && native != nullptr) {
      chasqui_free(native);
    } else {
      engine_->native = native;
    }
  }

  void OnOK() override {
    if (engine_->native == nullptr) {
      forget(Env(), engine_.get());
      promise_.Resolve(failure_of(Env(), status_));
      return;
    }
    auto* constructor = Env().GetInstanceData<Napi::FunctionReference>();
    promise_.Resolve(constructor->New({Napi::External<EnginePointer>::New(Env(), &engine_)}));
  }

 private:
  LoadArguments arguments_;
  EnginePointer engine_;
  chasqui_status status_{};
  Napi::Promise::Deferred promise_;
};

// load(options, onEvents): Promise of a NativeEngine, or of { reason, detail, fix }.
Napi::Value load(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto engine = std::make_shared<Engine>();
  engine->events = Napi::ThreadSafeFunction::New(env, info[1].As<Napi::Function>(), "chasqui events", 0, 1);
  engine->events.Unref(env);
  // Added after the thread-safe function, so run before its own cleanup.
  engine->hook = new EnginePointer(engine);
  napi_add_env_cleanup_hook(env, tear_down, engine->hook);
  auto* worker = new LoadWorker(env, info[0].As<Napi::Object>(), engine);
  Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

Napi::Object start(Napi::Env env, Napi::Object exports) {
  auto* constructor = new Napi::FunctionReference(Napi::Persistent(Handle::define(env)));
  env.SetInstanceData(constructor);
  exports.Set("load", Napi::Function::New(env, load));
  return exports;
}

}  // namespace

Napi::Object initialise(Napi::Env env, Napi::Object exports) { return start(env, exports); }

}  // namespace chasqui_binding

using chasqui_binding::initialise;
NODE_API_MODULE(chasqui, initialise)
