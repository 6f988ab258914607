#include "constraint/formats.h"

#include <utility>

namespace baleen::constraint {

namespace {

// Days 29 to 31 are written only in months that always have them.
#define BALEEN_DATE "[0-9]{4}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
#define BALEEN_TIME "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define BALEEN_BYTE "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define BALEEN_COUNT "[0-9]{1,4}"
#define BALEEN_CLOCK "(T" BALEEN_COUNT "H(" BALEEN_COUNT "M(" BALEEN_COUNT "S)?)?|T" BALEEN_COUNT "M(" BALEEN_COUNT "S)?|T" BALEEN_COUNT "S)"
#define BALEEN_LABEL "[a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?"

constexpr std::pair<std::string_view, std::string_view> kFormats[] = {
    {"date", "^" BALEEN_DATE "$"},
    {"time", "^" BALEEN_TIME "$"},
    {"date-time", "^" BALEEN_DATE "T" BALEEN_TIME "$"},
    {"duration", "^P(" BALEEN_COUNT "W|" BALEEN_COUNT "D" BALEEN_CLOCK "?|" BALEEN_CLOCK ")$"},
    {"email", "^[a-zA-Z0-9_+-]{1,32}(\\.[a-zA-Z0-9_+-]{1,16})?@" BALEEN_LABEL "(\\." BALEEN_LABEL "){1,3}$"},
    {"hostname", "^" BALEEN_LABEL "(\\." BALEEN_LABEL "){0,3}$"},
    {"ipv4", "^" BALEEN_BYTE "(\\." BALEEN_BYTE "){3}$"},
    {"ipv6", "^[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}$"},
    {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
};

#undef BALEEN_DATE
#undef BALEEN_TIME
#undef BALEEN_BYTE
#undef BALEEN_COUNT
#undef BALEEN_CLOCK
#undef BALEEN_LABEL

}  // namespace

std::optional<std::string_view> PatternOfFormat(std::string_view format) {
  for (const auto& [name, pattern] : kFormats) {
    if (name == format) return pattern;
  }
  return std::nullopt;
}

}  // namespace baleen::constraint
