// See engine.h.
#include "engine.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace chasqui {
namespace {

template <typename T>
void move_to_end(std::vector<T>* from, std::vector<T>* to) {
  to->insert(to->end(), std::make_move_iterator(from->begin()), std::make_move_iterator(from->end()));
  from->clear();
}

}  // namespace

Engine::Engine(std::unique_ptr<Stepper> stepper, std::function<void()> notify)
    : stepper_(std::move(stepper)), notify_(std::move(notify)), metrics_(stepper_->metrics()),
      preparer_([this] { prepare(); }), thread_([this] { work(); }) {}

Engine::~Engine() {
  close();
  join();
}

void Engine::submit(Request request) {
  EndEvent end;
  end.request = request.id;
  end.reason = StopReason::kAborted;
  end.usage.prompt = static_cast<int32_t>(request.tokens.size());
  {
    const std::lock_guard lock(mutex_);
    cancel_ends_[request.id] = std::move(end);
  }
  post(std::move(request));
}

void Engine::cancel(uint64_t request) {
  post(Cancel{request});
  bool notify = false;
  {
    const std::lock_guard lock(mutex_);
    const auto end = cancel_ends_.find(request);
    if (!busy_ || end == cancel_ends_.end()) return;  // a thread that waits says it itself, at once
    events_.ends.push_back(std::move(end->second));
    cancel_ends_.erase(end);
    settled_.insert(request);
    notify = !notified_;
    notified_ = true;
  }
  if (notify) notify_();
}

void Engine::consumed(uint64_t request, int32_t n_tokens) { post(Consumed{request, n_tokens}); }
void Engine::release_retained(std::string name_space) { post(ReleaseRetained{std::move(name_space)}); }

// What is posted before `closing_` is set is still done: the thread takes commands and the flag under one lock.
Status Engine::call(std::function<Status(Stepper&)> work) {
  Call command{std::move(work), {}};
  std::future<Status> answer = command.answer.get_future();
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return failure(Reason::kClosed, "The engine is closed.", "Load it again.");
    commands_.push_back(std::move(command));
  }
  wake_.notify_one();
  return answer.get();
}

void Engine::post(Command command) {
  bool computing = false;
  {
    const std::lock_guard lock(mutex_);
    commands_.push_back(std::move(command));
    computing = computing_;
  }
  (computing ? prepare_ : wake_).notify_one();
}

void Engine::take_events(StepEvents* events, bool* closed) {
  events->clear();
  const std::lock_guard lock(mutex_);
  std::swap(*events, events_);
  notified_ = false;
  *closed = closed_;
}

EngineMetrics Engine::metrics() const {
  const std::lock_guard lock(mutex_);
  return metrics_;
}

void Engine::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
}

void Engine::join() {
  if (thread_.joinable()) thread_.join();
  if (preparer_.joinable()) preparer_.join();
}

void Engine::work() {
  std::vector<Command> commands;
  StepEvents events;
  bool can_step = false;
  for (;;) {
    bool closing = false;
    {
      std::unique_lock lock(mutex_);
      busy_ = false;
      // After a pass that found nothing to run only a command can change that: all sequences are parked, or there are none.
      if (!can_step) wake_.wait(lock, [&] { return !commands_.empty() || closing_; });
      std::swap(commands, commands_);
      closing = closing_;
      busy_ = true;
    }
    for (Command& command : commands) apply(command, &events);
    commands.clear();
    if (!closing && !events.empty()) publish(&events, Last::kNo);  // not to wait for the pass
    if (closing) {
      stepper_->fail_all(failure(Reason::kClosed, "The engine was closed while the request was running.", "Load the engine again."), &events);
    } else {
      can_step = stepper_->plan();
      if (can_step) {
        remember_ends();
        compute();
        stepper_->finish(&events);
      }
    }
    publish(&events, closing ? Last::kYes : Last::kNo);
    if (closing) return;
  }
}

// The model's part of a step. Until it is over, the stepper is lent to the thread that prepares.
void Engine::compute() {
  bool commands = false;
  {
    const std::lock_guard lock(mutex_);
    computing_ = true;
    commands = !commands_.empty();
  }
  if (commands) prepare_.notify_one();
  stepper_->compute();
  std::unique_lock lock(mutex_);
  computing_ = false;
  wake_.wait(lock, [&] { return !preparing_; });
}

// The other thread: while the model computes, requests that arrive are checked, queued, matched with the cache and given
// their pages, and what they have to say is told.
void Engine::prepare() {
  StepEvents events;
  std::unique_lock lock(mutex_);
  for (;;) {
    std::vector<Command> commands;
    prepare_.wait(lock, [&] {
      if (computing_) commands = take_preparable();
      return !commands.empty() || closed_;
    });
    if (commands.empty()) return;
    preparing_ = true;
    lock.unlock();
    for (Command& command : commands) apply(command, &events);
    stepper_->admit();
    publish(&events, Last::kNo);
    lock.lock();
    preparing_ = false;
    wake_.notify_one();
  }
}

// Called under the lock. All commands before the first cancel or call: a cancel may end a sequence of the pass, and what
// stands behind it may count on its pages; a call may change the model.
std::vector<Engine::Command> Engine::take_preparable() {
  const auto end = std::find_if(commands_.begin(), commands_.end(), [](const Command& command) {
    return std::holds_alternative<Cancel>(command) || std::holds_alternative<Call>(command);
  });
  std::vector<Command> taken(std::make_move_iterator(commands_.begin()), std::make_move_iterator(end));
  commands_.erase(commands_.begin(), end);
  return taken;
}

void Engine::apply(Command& command, StepEvents* events) {
  if (auto* request = std::get_if<Request>(&command)) {
    stepper_->submit(std::move(*request), events);
  } else if (const auto* cancel = std::get_if<Cancel>(&command)) {
    stepper_->cancel(cancel->request, events);
  } else if (const auto* consumed = std::get_if<Consumed>(&command)) {
    stepper_->consumed(consumed->request, consumed->n_tokens);
  } else if (const auto* release = std::get_if<ReleaseRetained>(&command)) {
    stepper_->release_retained(release->name_space);
  } else if (auto* call = std::get_if<Call>(&command)) {
    call->answer.set_value(call->work(*stepper_));
  }
}

// What the pass has found in the cache belongs to the usage of a request that is cancelled while it runs.
void Engine::remember_ends() {
  std::vector<EndEvent> ends;
  stepper_->snapshot(&ends);
  const std::lock_guard lock(mutex_);
  remember(&ends);
}

// Called under the lock.
void Engine::remember(std::vector<EndEvent>* ends) {
  for (EndEvent& end : *ends) {
    const auto known = cancel_ends_.find(end.request);
    if (known != cancel_ends_.end()) known->second = std::move(end);
  }
}

// Called under the lock. Forgets requests that have ended, and what is said about those whose end was told already.
void Engine::drop_settled(StepEvents* events) {
  if (!settled_.empty()) {
    std::erase_if(events->tokens, [&](const TokenEvent& token) { return settled_.contains(token.request); });
    std::erase_if(events->ends, [&](const EndEvent& end) { return settled_.erase(end.request) > 0; });
  }
  for (const EndEvent& end : events->ends) cancel_ends_.erase(end.request);
}

void Engine::publish(StepEvents* events, Last last) {
  std::vector<EndEvent> ends;
  stepper_->snapshot(&ends);
  bool notify = false;
  {
    const std::lock_guard lock(mutex_);
    drop_settled(events);
    remember(&ends);
    metrics_ = stepper_->metrics();
    closed_ = last == Last::kYes;
    notify = (!events->empty() || closed_) && !notified_;
    if (notify) notified_ = true;
    move_to_end(&events->tokens, &events_.tokens);
    move_to_end(&events->ends, &events_.ends);
  }
  if (notify) notify_();
  if (last == Last::kYes) prepare_.notify_one();
}

}  // namespace chasqui
