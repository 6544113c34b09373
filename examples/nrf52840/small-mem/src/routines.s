    .thumb

    // memcpy(to, from, n) returns `to`; the others of its kind return nothing.
    .section .text.small_mem_copy, "ax", %progbits
    .global memcpy, __aeabi_memcpy, __aeabi_memcpy4, __aeabi_memcpy8
    .type memcpy, %function
    .type __aeabi_memcpy, %function
    .type __aeabi_memcpy4, %function
    .type __aeabi_memcpy8, %function
    .p2align 2
memcpy:
__aeabi_memcpy:
__aeabi_memcpy4:
__aeabi_memcpy8:
    mov     r12, r0
    orr     r3, r0, r1
    lsls    r3, r3, #30
    beq     2f
    b       4f
1:  ldmia   r1!, {r3}
    stmia   r0!, {r3}
2:  subs    r2, #4
    bhs     1b
    adds    r2, #4
    b       4f
3:  ldrb    r3, [r1], #1
    strb    r3, [r0], #1
4:  subs    r2, #1
    bhs     3b
    mov     r0, r12
    bx      lr
    .size memcpy, . - memcpy

    // __aeabi_memclr(to, n) and __aeabi_memset(to, n, byte).
    .section .text.small_mem_fill, "ax", %progbits
    .global __aeabi_memclr, __aeabi_memclr4, __aeabi_memclr8
    .global __aeabi_memset, __aeabi_memset4, __aeabi_memset8
    .type __aeabi_memclr, %function
    .type __aeabi_memclr4, %function
    .type __aeabi_memclr8, %function
    .type __aeabi_memset, %function
    .type __aeabi_memset4, %function
    .type __aeabi_memset8, %function
    .p2align 2
__aeabi_memclr:
__aeabi_memclr4:
__aeabi_memclr8:
    movs    r2, #0
__aeabi_memset:
__aeabi_memset4:
__aeabi_memset8:
    lsls    r3, r0, #30
    bne     4f
    uxtb    r2, r2
    orr     r2, r2, r2, lsl #8
    orr     r2, r2, r2, lsl #16
    b       2f
1:  stmia   r0!, {r2}
2:  subs    r1, #4
    bhs     1b
    adds    r1, #4
    b       4f
3:  strb    r2, [r0], #1
4:  subs    r1, #1
    bhs     3b
    bx      lr
    .size __aeabi_memclr, . - __aeabi_memclr

    // memcmp(a, b, n): below, above or equal to zero as the first byte that differs in `a` is to that in `b`.
    .section .text.small_mem_compare, "ax", %progbits
    .global memcmp, bcmp
    .type memcmp, %function
    .type bcmp, %function
    .p2align 2
memcmp:
bcmp:
1:  subs    r2, #1
    blo     2f
    ldrb    r3, [r0], #1
    ldrb    r12, [r1], #1
    subs    r3, r3, r12
    beq     1b
    mov     r0, r3
    bx      lr
2:  movs    r0, #0
    bx      lr
    .size memcmp, . - memcmp
