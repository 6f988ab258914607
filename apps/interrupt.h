#pragma once

namespace baleen::apps {

/// While it lives, an interrupt signal sets a flag instead of ending the program; system calls return early then. One at a time.
class InterruptWatch {
 public:
  InterruptWatch();
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;

  /// Was Ctrl-C pressed since the last Clear?
  static bool Seen() noexcept;
  static void Mark() noexcept;  // Ctrl-C came another way: as a byte
  static void Clear() noexcept;
};

}  // namespace baleen::apps
