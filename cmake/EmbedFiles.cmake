# embed_files(NAME TABLE function FILES path=source ...)
#
# A static library baleen_NAME that holds files: each `path` as its bytes, gzipped as well where that is smaller, and a hash. The library
# defines the function TABLE (declared by its user) over them, and files.txt beside it says which source each path has, one a line.
# What a gzipped file costs is paid at build time by cmake/WriteEmbeddedTable.cmake.
find_program(BALEEN_GZIP gzip)

function(embed_files name)
  cmake_parse_arguments(E "" "TABLE" "FILES" ${ARGN})
  if(NOT BALEEN_GZIP)
    message(FATAL_ERROR "gzip was not found; it packs the files of the page. Install the package gzip.")
  endif()
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name})
  set(sources "")
  set(lines "")
  foreach(entry IN LISTS E_FILES)
    string(REGEX REPLACE "^[^=]*=" "" source "${entry}")
    list(APPEND sources ${source})
    string(APPEND lines "${entry}\n")
  endforeach()
  file(CONFIGURE OUTPUT ${folder}/files.txt CONTENT "${lines}" @ONLY)
  add_custom_command(OUTPUT ${folder}/table.cc
    COMMAND ${CMAKE_COMMAND} -DLIST=${folder}/files.txt -DTABLE=${E_TABLE} -DGZIP=${BALEEN_GZIP} -DOUT=${folder}
            -P ${CMAKE_SOURCE_DIR}/cmake/WriteEmbeddedTable.cmake
    DEPENDS ${sources} ${folder}/files.txt ${CMAKE_SOURCE_DIR}/cmake/WriteEmbeddedTable.cmake
    COMMENT "Packing the files of ${name}" VERBATIM)
  add_library(baleen_${name} STATIC ${folder}/table.cc)
  target_include_directories(baleen_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
endfunction()

# find_package_file(OUT path package): the path of a file that a Debian package installs; configuring fails naming the package otherwise.
function(find_package_file out path package)
  if(NOT EXISTS ${path})
    message(FATAL_ERROR "${path} was not found; the page is built with it. Install the package ${package}: apt-get install ${package}")
  endif()
  set(${out} ${path} PARENT_SCOPE)
endfunction()
