// Clocks the bench until it says that it is done.
#include "Vbench.h"
#include "verilated.h"

int main(int count, char **arguments) {
    Verilated::commandArgs(count, arguments);
    Vbench bench;
    bench.rst_ni = 1;
    bench.eval();
    bench.rst_ni = 0;
    for (long half = 0; !bench.done && half < 400000000; half++) {
        if (half == 10) bench.rst_ni = 1;
        bench.clk_i = half & 1;
        bench.eval();
    }
    return !bench.done;
}
