.section .init, "ax"
.globl _start
.org 0x80
_start: la sp, _stack
    call main
1:  j 1b
