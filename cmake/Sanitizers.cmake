# BALEEN_SANITIZE=address,undefined | thread: every target is built with it (presets asan and tsan).
set(BALEEN_SANITIZE "" CACHE STRING "Sanitizers for every target, as -fsanitize= takes them")
if(BALEEN_SANITIZE)
  add_compile_options(-fsanitize=${BALEEN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${BALEEN_SANITIZE})
endif()
