# The instruction sets: their compiler flags, in one place. A folder src/kernels/<isa>/ is compiled with them; nothing else is.
set(BALEEN_ISA_FLAGS_avx2 -mavx2 -mfma -mf16c)
set(BALEEN_ISA_FLAGS_avx512 -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl)
set(BALEEN_ISA_FLAGS_avx512_bf16 ${BALEEN_ISA_FLAGS_avx512} -mavx512bf16 -mavx512vbmi)
set(BALEEN_ISA_FLAGS_avx512_vnni ${BALEEN_ISA_FLAGS_avx512} -mavx512vnni -mavx512vbmi)
set(BALEEN_ISA_FLAGS_amx ${BALEEN_ISA_FLAGS_avx512} -mavx512bf16 -mavx512vnni -mavx512vbmi -mgfni -mamx-tile -mamx-bf16 -mamx-int8)
