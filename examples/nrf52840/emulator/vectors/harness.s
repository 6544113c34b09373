@ Runs cases one after the other on a Cortex-M4 and records what each left behind.
@
@ A case starts by returning from an exception into it, with all registers as the case says, and ends with the exception
@ that its own fault or the undefined instruction after it raises. Layout of cases and results: `case.rs` beside the
@ generator.
    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

    .equ CASES,   0x20010000
    .equ RESULTS, 0x20200000
    .equ STATE,   0x20003000      @ cases left, next case, next result
    .equ SLOT,    0x20004000
    .equ DATA,    0x20008000
    .equ STACK,   0x20008FE0
    .equ SCB,     0xE000ED00

    .word 0x20400000
    .word reset + 1
    .rept 14
    .word fault + 1
    .endr

    .thumb_func
reset:
    ldr r0, =SCB
    mov r1, #0xF00000
    str r1, [r0, #0x88]           @ CPACR: floating point on
    mov r1, #0x70000
    str r1, [r0, #0x24]           @ SHCSR: all faults have their own exception
    ldr r0, =0xE000EF34
    movs r1, #0
    str r1, [r0]                  @ FPCCR: frames without floating point
    ldr r0, =SLOT - 0x1000        @ undefined instructions wherever a case may jump
    ldr r1, =0xDE00DE00
    mov r2, #0x800
1:  str r1, [r0], #4
    subs r2, #1
    bne 1b
    ldr r0, =STATE
    ldr r1, =CASES
    ldr r2, [r1], #4
    stmia r0!, {r2}
    ldr r2, =RESULTS
    stmia r0!, {r1, r2}
    svc 0                         @ into handler mode; nothing is recorded yet

    .thumb_func
fault:
    mrs r0, ipsr
    cmp r0, #11
    beq launch
    ldr r0, =STATE
    ldr r1, [r0, #8]
    mrs r2, psp
    str r2, [r1], #4
    mov r3, #8
1:  ldr r12, [r2], #4
    str r12, [r1], #4
    subs r3, #1
    bne 1b
    stmia r1!, {r4-r11}
    vmrs r2, fpscr
    str r2, [r1], #4
    vstmia r1!, {s0-s31}
    ldr r2, =DATA
    bl copy
    ldr r2, =STACK
    bl copy
    ldr r2, =SCB
    ldr r3, [r2, #0x28]           @ CFSR
    str r3, [r2, #0x28]
    ldr r4, [r2, #0x2C]           @ HFSR
    str r4, [r2, #0x2C]
    ldr r5, [r2, #0x38]           @ BFAR
    mrs r6, ipsr
    stmia r1!, {r3-r6}
    str r1, [r0, #8]

launch:
    ldr r0, =STATE
    ldr r1, [r0]
    cbz r1, done
    subs r1, #1
    str r1, [r0]
    ldr r1, [r0, #4]
    ldm r1!, {r4-r7}              @ code
    ldr r2, =SLOT
    stm r2, {r4-r7}
    movs r3, #16
    ldr r2, =DATA
    bl store
    ldr r2, =STACK
    bl store
    vldmia r1!, {s0-s31}
    ldr r2, [r1], #4
    vmsr fpscr, r2
    ldr r2, [r1], #4
    msr psp, r2
    mov r3, #8
1:  ldr r12, [r1], #4
    str r12, [r2], #4
    subs r3, #1
    bne 1b
    ldmia r1!, {r4-r11}
    str r1, [r0, #4]
    dsb
    isb
    clrex
    mvn lr, #2                    @ 0xFFFFFFFD: thread mode, process stack, no floating point
    bx lr

@ Sixteen words from r2 to r1.
copy:
    mov r3, #16
1:  ldr r12, [r2], #4
    str r12, [r1], #4
    subs r3, #1
    bne 1b
    bx lr

@ Sixteen words from r1 to r2.
store:
    mov r3, #16
1:  ldr r12, [r1], #4
    str r12, [r2], #4
    subs r3, #1
    bne 1b
    bx lr

done:
    ldr r4, [r0, #8]              @ the end of the results
    ldr r1, =open
    movs r0, #1                   @ SYS_OPEN
    bkpt 0xAB
    ldr r1, =write
    str r0, [r1]
    ldr r2, =RESULTS
    str r2, [r1, #4]
    subs r4, r2
    str r4, [r1, #8]
    movs r0, #5                   @ SYS_WRITE
    bkpt 0xAB
    movs r0, #0x18                @ SYS_EXIT
    ldr r1, =0x20026
    bkpt 0xAB
1:  b 1b

    .align 2
name:
    .asciz "results.bin"
    .align 2
open:
    .word name, 5, 11
write:
    .word 0, 0, 0
    .pool
