# xgrammar's C++ core as the library xgrammar_core, if its sources are there (tools/fetch_xgrammar.sh). No Python, nothing of it is installed.
set(BALEEN_XGRAMMAR_SOURCES ${CMAKE_SOURCE_DIR}/out/xgrammar/xgrammar-0.2.8 CACHE PATH "The unpacked source archive of xgrammar 0.2.8")
file(GLOB xgrammar_header CONFIGURE_DEPENDS ${BALEEN_XGRAMMAR_SOURCES}/include/xgrammar/xgrammar.h)  # looked for at every build
if(xgrammar_header)
  file(GLOB_RECURSE xgrammar_sources ${BALEEN_XGRAMMAR_SOURCES}/cpp/*.cc)
  list(FILTER xgrammar_sources EXCLUDE REGEX "/cpp/tvm_ffi/")
  add_library(xgrammar_core STATIC ${xgrammar_sources})
  set_target_properties(xgrammar_core PROPERTIES CXX_STANDARD 17 CXX_CLANG_TIDY "")
  target_compile_options(xgrammar_core PRIVATE -w -O2)
  target_compile_definitions(xgrammar_core PUBLIC XGRAMMAR_ENABLE_CPPTRACE=0 XGRAMMAR_ENABLE_INTERNAL_CHECK=0)
  # Its messages and fatal errors come to src/constraint/xgrammar/xgrammar.cc, under names of ours.
  target_compile_definitions(xgrammar_core PRIVATE XGRAMMAR_LOG_CUSTOMIZE=1 LogFatalImpl=RaiseFatal LogMessageImpl=DropMessage)
  target_include_directories(xgrammar_core SYSTEM PUBLIC ${BALEEN_XGRAMMAR_SOURCES}/include ${BALEEN_XGRAMMAR_SOURCES}/3rdparty/picojson
    ${BALEEN_XGRAMMAR_SOURCES}/3rdparty/dlpack/include)
  target_link_libraries(xgrammar_core PUBLIC Threads::Threads)
  set(BALEEN_XGRAMMAR ON)
else()
  set(BALEEN_XGRAMMAR OFF)
  message(STATUS "xgrammar's sources are not in ${BALEEN_XGRAMMAR_SOURCES}: schemas, grammars and forced tool calls will be refused; "
    "run tools/fetch_xgrammar.sh")
endif()
