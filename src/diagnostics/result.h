#pragma once

#include <expected>
#include <utility>

#include "diagnostics/error.h"

namespace baleen {

/// A value, or the Error that kept it from being made. For everything the outside can get wrong.
template <typename T>
class [[nodiscard]] Result : public std::expected<T, diagnostics::Error> {
 public:
  using std::expected<T, diagnostics::Error>::expected;
  Result(diagnostics::Error error) : std::expected<T, diagnostics::Error>(std::unexpected(std::move(error))) {}
};

using Status = Result<void>;

}  // namespace baleen

#define BALEEN_CONCAT_(a, b) a##b
#define BALEEN_CONCAT(a, b) BALEEN_CONCAT_(a, b)

/// TRY(expr): returns the error of a Status or Result from the enclosing function, goes on otherwise.
#define TRY(expr)                                              \
  do {                                                         \
    auto try_result_ = (expr);                                 \
    if (!try_result_) return std::move(try_result_).error();   \
  } while (false)

/// TRY_ASSIGN(auto x, expr): declares or assigns x from a Result, or returns its error.
#define TRY_ASSIGN(target, expr) TRY_ASSIGN_(target, expr, BALEEN_CONCAT(try_value_, __LINE__))
#define TRY_ASSIGN_(target, expr, name)            \
  auto name = (expr);                              \
  if (!name) return std::move(name).error();       \
  target = std::move(*name)
