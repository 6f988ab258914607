# cmake -DLIST=files.txt -DTABLE=function -DGZIP=gzip -DOUT=folder -P WriteEmbeddedTable.cmake: writes OUT/table.cc (see EmbedFiles.cmake).
# The bytes enter through the assembler, so that a megabyte of them costs the compiler nothing.
set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_json "application/json")
set(type_js "text/javascript; charset=utf-8")
set(type_svg "image/svg+xml")
set(type_woff2 "font/woff2")
file(STRINGS ${LIST} entries)
set(declarations "")
set(rows "")
set(number 0)
foreach(entry IN LISTS entries)
  string(REGEX MATCH "^([^=]*)=(.*)$" matched "${entry}")
  set(path ${CMAKE_MATCH_1})
  set(source ${CMAKE_MATCH_2})
  string(REGEX MATCH "[a-z0-9]+$" ending ${path})
  if(NOT DEFINED type_${ending})
    message(FATAL_ERROR "${path}: no content type is known for .${ending}; add it to cmake/WriteEmbeddedTable.cmake")
  endif()
  file(SHA256 ${source} hash)
  string(SUBSTRING ${hash} 0 32 hash)

  set(gzipped ${OUT}/${number}.gz)
  execute_process(COMMAND ${GZIP} -9nc INPUT_FILE ${source} OUTPUT_FILE ${gzipped} COMMAND_ERROR_IS_FATAL ANY)
  file(SIZE ${source} plain_bytes)
  file(SIZE ${gzipped} gzip_bytes)
  string(APPEND declarations "BYTES(plain_${number}, \"${source}\")\n")
  set(packed "{}")
  if(gzip_bytes LESS plain_bytes)
    string(APPEND declarations "BYTES(gzip_${number}, \"${gzipped}\")\n")
    set(packed "Between(gzip_${number}_begin, gzip_${number}_end)")
  endif()
  string(APPEND rows "    {\"/${path}\", \"${type_${ending}}\", \"\\\"${hash}\\\"\", Between(plain_${number}_begin, plain_${number}_end), ${packed}},\n")
  math(EXPR number "${number} + 1")
endforeach()

file(WRITE ${OUT}/table.cc "// Written by cmake/WriteEmbeddedTable.cmake.
#include \"server/web_files.h\"

#define BYTES(name, path)                                                                                          \\
  asm(\".pushsection .rodata, \\\"a\\\"\\n\" #name \"_begin:\\n.incbin \\\"\" path \"\\\"\\n\" #name \"_end:\\n.byte 0\\n.popsection\\n\"); \\
  extern \"C\" const char name##_begin[];                                                                            \\
  extern \"C\" const char name##_end[];
${declarations}
namespace {

std::string_view Between(const char* begin, const char* end) { return {begin, static_cast<std::size_t>(end - begin)}; }

}  // namespace

namespace baleen::server {

std::span<const WebFile> ${TABLE}() {
  static const WebFile files[] = {
${rows}  };
  return files;
}

}  // namespace baleen::server
")
