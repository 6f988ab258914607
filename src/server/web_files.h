#pragma once

#include <span>
#include <string_view>

namespace baleen::server {

/// A file of the page, as it lies in the program.
struct WebFile {
  std::string_view path;          // "/index.html", "/app/main.js"
  std::string_view content_type;  // "text/css; charset=utf-8"
  std::string_view etag;          // a hash of the bytes in double quotes, as the header wants it
  std::string_view bytes;
  std::string_view gzip_bytes;  // the same gzipped, for clients that accept it; empty where that is not smaller
};

/// All files of the page, in no particular order; they live as long as the program.
std::span<const WebFile> WebFiles();

/// The file at the path of a request, without its query; "/" is the page itself. nullptr if there is none.
const WebFile* FindWebFile(std::string_view path);

/// A header of a response.
struct WebHeader {
  std::string_view name;
  std::string_view value;
};

/// What every response with a file of the page must carry besides Content-Type, ETag and Content-Encoding: the policy that lets the page run
/// nothing but its own scripts and talk to nobody but this server; Vary and Cache-Control (a client asks each time and gets 304 while the
/// ETag is the same, so that a page never mixes files of two versions).
std::span<const WebHeader> WebHeaders();

}  // namespace baleen::server
