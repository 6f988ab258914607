#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "completion/request_error.h"

namespace baleen::completion {

/// For tests: what a field takes (its bounds) and what it does not (just beyond them, and other types).
struct FieldCase {
  std::string name;
  std::vector<std::string> good, bad;
};

inline std::string Quote(const std::string& text) { return "\"" + text + "\""; }

inline std::string RepeatItem(const std::string& item, std::size_t count) {
  std::string list;
  for (std::size_t i = 0; i < count; ++i) list += (i > 0 ? ", " : "") + item;
  return list;
}

/// The error is a client's, names the field and says what was expected.
inline void ExpectFieldRefused(const RequestError* error, const std::string& param, const std::string& what) {
  ASSERT_NE(error, nullptr) << what;
  EXPECT_TRUE(error->status == 400 || error->status == 422) << what;
  EXPECT_EQ(error->param, param) << what << ": " << error->message;
  EXPECT_TRUE(error->message.starts_with(param)) << error->message;
  EXPECT_NE(error->message.find("expected"), std::string::npos) << error->message;
  EXPECT_LT(error->message.size(), 1000U) << what;
}

/// read: the error of a body with these members, or null.
inline void CheckFields(const std::vector<FieldCase>& fields, const std::function<const RequestError*(const std::string& members)>& read) {
  for (const FieldCase& field : fields) {
    EXPECT_EQ(read(Quote(field.name) + ": null"), nullptr) << field.name;
    for (const std::string& value : field.good) {
      const RequestError* error = read(Quote(field.name) + ": " + value);
      EXPECT_EQ(error, nullptr) << field.name << ": " << value.substr(0, 80) << ": " << error->message;
    }
    for (const std::string& value : field.bad) ExpectFieldRefused(read(Quote(field.name) + ": " + value), field.name, field.name + ": " + value.substr(0, 80));
  }
}

}  // namespace baleen::completion
