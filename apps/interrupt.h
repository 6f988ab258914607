#pragma once

namespace baleen::apps {

/// While it lives, an interrupt signal sets a flag instead of ending the program; system calls return early then. Another one that comes two seconds
/// or more later, while the flag still stands, ends it. One at a time.
class InterruptWatch {
 public:
  enum class Signals { kCtrlC, kEveryStop };  // the second: termination and a closed terminal too
  explicit InterruptWatch(Signals signals = Signals::kCtrlC);
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;

  /// Was Ctrl-C pressed, or another of the signals sent, since the last Clear?
  static bool Seen() noexcept;
  static void Mark() noexcept;  // Ctrl-C came another way: as a byte
  static void Clear() noexcept;

 private:
  Signals signals_;
};

}  // namespace baleen::apps
