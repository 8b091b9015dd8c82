#!/bin/bash
# Verilates the four benches into the folder BUILD from the cores' Python packages (pythondata-cpu-ibex, -cv32e40p,
# -picorv32; their folders of HDL sources are IBEX, CV32E40P and PICORV32).
set -e
here=$(dirname "$(realpath "$0")")
bench() {
    verilator_bin --cc --exe -O3 -Wno-fatal -Wno-lint -Wno-style -Wno-BLKANDNBLK --top-module bench --Mdir "$BUILD/$1" "${@:2}" \
        "$here/bench.cc"
    make -C "$BUILD/$1" -f Vbench.mk Vbench OPT_FAST=-O2
}
prim=$IBEX/vendor/lowrisc_ip/ip/prim/rtl
common=$IBEX/dv/uvm/core_ibex/common/prim
ibex=(-I$IBEX/rtl -I$prim -I$IBEX/vendor/lowrisc_ip/dv/sv/dv_utils -y "$IBEX/rtl" -y "$common" -y "$prim"
    -y "$IBEX/vendor/lowrisc_ip/ip/prim_generic/rtl" "$prim/prim_util_pkg.sv" "$common/prim_pkg.sv"
    "$prim/prim_ram_1p_pkg.sv" "$prim/prim_secded_pkg.sv" "$prim/prim_mubi_pkg.sv" "$prim/prim_count_pkg.sv"
    "$prim/prim_cipher_pkg.sv" "$IBEX/rtl/ibex_pkg.sv" "$IBEX/rtl/ibex_top.sv" "$here/ibex.sv")
bench ibex_small -GMul=2 "${ibex[@]}"
bench ibex_maxperf -GMul=3 -GTargetAlu=1 -GWriteback=1 "${ibex[@]}"
bench picorv32 "$PICORV32/picorv32.v" "$here/picorv32.v"
rtl=$CV32E40P/rtl
bench cv32e40p "-I$rtl/include" "$rtl/include/cv32e40p_apu_core_pkg.sv" "$rtl/include/cv32e40p_fpu_pkg.sv" \
    "$rtl/include/cv32e40p_pkg.sv" "$CV32E40P/bhv/cv32e40p_sim_clock_gate.sv" "$here/cv32e40p.sv" \
    "$rtl/cv32e40p_register_file_ff.sv" -y "$rtl" "$rtl/cv32e40p_top.sv"
