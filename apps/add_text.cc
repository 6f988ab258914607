#include "apps/add_text.h"

#include <cstdarg>
#include <cstdio>

namespace baleen::apps {
namespace {

void Append(std::string& text, const char* format, va_list arguments) {
  char part[1024];
  std::vsnprintf(part, sizeof part, format, arguments);
  text += part;
}

}  // namespace

void AddText(std::string& text, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Append(text, format, arguments);
  va_end(arguments);
}

void AddLine(std::string& text, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Append(text, format, arguments);
  va_end(arguments);
  text += '\n';
}

}  // namespace baleen::apps
