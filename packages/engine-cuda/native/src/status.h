// The outcome of an operation that can fail. No exceptions are thrown in this library: whatever reads outside data or
// claims memory returns a Status, and a Status that is not ok says what is wrong, where, and what to do about it.
#pragma once

#include <string>
#include <utility>

namespace chasqui {

// The names cross the binding as they are written in status_reason(); they equal the reasons of EngineError.
enum class Reason {
  kOk,
  kNotFound,
  kBadCheckpoint,
  kUnsupported,
  kBadRequest,
  kContextFull,
  kOutOfMemory,
  kBusy,
  kClosed,
  kDeviceLost,
  kInternal,
};

struct [[nodiscard]] Status {
  Reason reason = Reason::kOk;
  std::string detail;  // what is wrong and where, one sentence
  std::string fix;     // what to do about it, one sentence

  bool ok() const { return reason == Reason::kOk; }
};

inline Status failure(Reason reason, std::string detail, std::string fix) {
  return Status{reason, std::move(detail), std::move(fix)};
}

constexpr const char* reason_name(Reason reason) {
  switch (reason) {
    case Reason::kOk: return "ok";
    case Reason::kNotFound: return "not-found";
    case Reason::kBadCheckpoint: return "bad-checkpoint";
    case Reason::kUnsupported: return "unsupported";
    case Reason::kBadRequest: return "bad-request";
    case Reason::kContextFull: return "context-full";
    case Reason::kOutOfMemory: return "out-of-memory";
    case Reason::kBusy: return "busy";
    case Reason::kClosed: return "closed";
    case Reason::kDeviceLost: return "device-lost";
    case Reason::kInternal: return "internal";
  }
  return "internal";
}

}  // namespace chasqui
