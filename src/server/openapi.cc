#include "server/openapi.h"

#include <span>

#include "server/web_files.h"

namespace baleen::server {

std::span<const WebFile> OpenApiFiles();  // laid into the program at the build

std::string_view OpenApiDocument() { return OpenApiFiles().front().bytes; }

}  // namespace baleen::server
