@ Exceptions in all their forms; what each finds is logged. Words of the log from LOG on, its end at LOG_END.
    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

    .equ LOG_END, 0x20003000
    .equ HOOK,    0x20003004      @ called in the handler, if not zero
    .equ SKIP,    0x20003008      @ bytes to skip after a fault
    .equ LOG,     0x20010000
    .equ SCB,     0xE000ED00
    .equ NVIC,    0xE000E100

    .macro log register
    push {r0, r1}
    mov r0, \register
    bl log_word
    pop {r0, r1}
    .endm

    .macro mark number
    push {r0, r1, lr}
    ldr r0, =\number
    bl log_word
    pop {r0, r1, lr}
    .endm

    .macro hook routine
    ldr r0, =HOOK
    ldr r1, =\routine
    str r1, [r0]
    .endm

    .macro skip bytes
    ldr r0, =SKIP
    movs r1, #\bytes
    str r1, [r0]
    .endm

    .macro scb offset, value
    ldr r0, =SCB + \offset
    ldr r1, =\value
    str r1, [r0]
    .endm

    .macro pend interrupts
    ldr r0, =NVIC + 0x100
    ldr r1, =\interrupts
    str r1, [r0]
    dsb
    isb
    .endm

    .word 0x20002000
    .word reset + 1
    .rept 46
    .word handler + 1
    .endr

    .thumb_func
log_word:
    push {r2}
    ldr r1, =LOG_END
    ldr r2, [r1]
    str r0, [r2], #4
    str r2, [r1]
    pop {r2}
    bx lr

@ Logs its number and the code to return with; for faults also status, address and frame; then calls the hook.
    .thumb_func
handler:
    push {r4-r7, lr}
    mov r5, lr
    tst r5, #4
    ite eq
    addeq r4, sp, #20
    mrsne r4, psp
    mrs r6, ipsr
    orr r0, r6, #0xAA000000
    bl log_word
    mov r0, r5
    bl log_word
    cmp r6, #3
    blo 2f
    cmp r6, #6
    bhi 2f
    ldr r7, =SCB
    ldr r0, [r7, #0x28]
    str r0, [r7, #0x28]
    bl log_word
    ldr r0, [r7, #0x2C]
    str r0, [r7, #0x2C]
    bl log_word
    ldr r0, [r7, #0x24]
    bl log_word
    ldr r0, [r4, #24]             @ where it happened
    bl log_word
    ldr r0, [r4, #28]
    bl log_word
    ldr r0, [r4, #24]
    ldr r1, =SKIP
    ldr r1, [r1]
    add r0, r1
    str r0, [r4, #24]
    ldr r0, [r4, #28]             @ thumb state, whatever it was
    orr r0, #0x01000000
    str r0, [r4, #28]
2:  ldr r0, =HOOK
    ldr r1, [r0]
    movs r2, #0
    str r2, [r0]
    cbz r1, 3f
    orr r1, #1
    blx r1
3:  orr r0, r6, #0xBB000000
    bl log_word
    pop {r4-r7, pc}

    .thumb_func
reset:
    ldr r0, =LOG_END
    ldr r1, =LOG
    str r1, [r0]
    movs r1, #0
    str r1, [r0, #4]
    str r1, [r0, #8]
    scb 0x88, 0xF00000
    dsb
    isb

    mark 1                        @ a call on the main stack, aligned and not
    svc 1
    log sp
    sub sp, #4
    hook frame
    svc 2
    log sp
    add sp, #4
    hook frame
    svc 3

    mark 2                        @ on the process stack
    ldr r0, =0x20001004
    msr psp, r0
    movs r0, #2
    msr control, r0
    isb
    hook frame
    svc 4
    log sp
    mrs r0, control
    log r0
    mrs r0, msp
    log r0

    mark 3                        @ in an IT block, with flags
    ldr r0, =0xF8050000
    msr apsr_nzcvqg, r0
    movs r2, #0
    cmp r2, #0
    hook frame
    itete eq
    svceq 5
    addne r2, #1
    addeq r2, #2
    addne r2, #4
    log r2
    movs r0, #0
    msr control, r0
    isb

    mark 4                        @ three at once, by priority
    ldr r0, =NVIC + 0x300
    ldr r1, =0x40A0C0E0           @ interrupts 0 to 3
    str r1, [r0]
    ldr r1, =0x80408080           @ 4 to 7
    str r1, [r0, #4]
    ldr r1, [r0]
    log r1
    ldr r0, =NVIC
    movs r1, #0xFF
    str r1, [r0]
    scb 0x20, 0xC0E00000          @ SysTick and PendSV
    cpsid i
    pend 0xA9
    scb 0x04, 0x14000000
    ldr r0, =SCB
    ldr r1, [r0, #4]
    log r1
    cpsie i
    isb

    mark 5                        @ nesting: a more urgent one at once, an equal one afterwards
    hook pend_more
    pend 0x20
    mark 6                        @ BASEPRI
    movs r0, #0x80
    msr basepri, r0
    pend 0x20
    mark 0x601
    pend 0x40
    movs r0, #0xA0
    msr basepri_max, r0
    mrs r1, basepri
    log r1
    movs r0, #0
    msr basepri, r0
    isb

    mark 7                        @ FAULTMASK, and how a handler ends it
    cpsid f
    pend 0x08
    mrs r0, faultmask
    log r0
    cpsie f
    isb
    hook mask_faults
    svc 7
    mrs r0, faultmask
    log r0

    mark 8                        @ priority groups: 0x40 and 0x60 do not preempt each other, but 0x40 goes first
    scb 0x0C, 0x05FA0500
    ldr r0, =NVIC + 0x304
    ldr r1, =0x80406020
    str r1, [r0]
    hook pend_group
    pend 0x20
    cpsid i
    pend 0x60
    cpsie i
    isb
    scb 0x0C, 0x05FA0000

    mark 9                        @ faults
    scb 0x24, 0x70000
    skip 2
    udf #1
    skip 4
    udf.w #1
    scb 0x14, 0x218
    movs r2, #0
    skip 4
    udiv r3, r2, r2
    ldr r2, =0x20001001
    skip 2
    ldr r3, [r2]
    scb 0x14, 0x200
    svc 8
    ldr r2, =0x20001001
    ldr r3, [r2]
    log r3
    skip 4
    ldrd r3, r4, [pc, #-4]
    ldr r2, =0xB0000000
    skip 2
    ldr r3, [r2]
    ldr r0, =SCB
    ldr r1, [r0, #0x38]
    log r1
    skip 2
    str r3, [r2]
    skip 4
    mcr p4, 0, r0, c0, c0, 0

    mark 10                       @ a branch to an even address
    adr r2, even
    bic r2, #1
    skip 0
    bx r2
    .align 2
even:
    mark 1001

    mark 11                       @ no handler of their own: hard faults
    scb 0x24, 0
    skip 2
    udf #2
    cpsid i
    udf #3
    skip 0
    svc 9                         @ cannot be taken: a hard fault after the call
    cpsie i
    scb 0x24, 0x70000

    mark 12                       @ a return code that means nothing
    skip 0
    hook bad_return
    svc 12
    .align 2
    .thumb_func
after_bad_return:
    mark 1201

    mark 13                       @ floating point: frames keep half of the registers
    ldr r0, =0xE000EF3C
    ldr r1, =0x00C00000
    str r1, [r0]                  @ new contexts round to zero
    mrs r0, control
    log r0
    vmov.f32 s0, #1.5
    vmov.f32 s15, #2.5
    vmov.f32 s16, #3.5
    ldr r0, =0x01400000
    vmsr fpscr, r0
    mrs r0, control
    log r0
    hook use_floats
    svc 13
    vmov r0, s0
    log r0
    vmov r0, s15
    log r0
    vmov r0, s16
    log r0
    vmrs r0, fpscr
    log r0
    log sp
    sub sp, #4
    hook frame
    svc 13
    add sp, #4
    hook leave_floats
    svc 14
    mrs r0, control
    log r0
    movs r0, #0
    msr control, r0
    isb
    hook frame
    svc 15

    mark 14                       @ floating point switched off
    scb 0x88, 0
    dsb
    isb
    skip 4
    vmov.f32 s0, #1.0
    scb 0x88, 0xF00000
    dsb
    isb

    mark 15                       @ events and sleep
    sev
    wfe
    cpsid i
    pend 0x08
    wfi
    mark 1501
    cpsie i
    isb

    mark 16                       @ without privilege
    movs r0, #1
    msr control, r0
    isb
    cpsid i
    mrs r0, primask
    log r0
    movs r0, #2
    msr control, r0
    mrs r0, control
    log r0
    ldr r2, =SCB
    skip 2
    ldr r3, [r2]
    hook make_privileged
    svc 16
    mrs r0, control
    log r0

    mark 17                       @ NMI, and software interrupts
    scb 0x04, 0x80000000
    dsb
    isb
    ldr r0, =0xE000EF00
    movs r1, #2
    str r1, [r0]
    dsb
    isb
    hook nested_return
    svc 17
    mark 18
    b done

@ Logs the frame of the exception: R4 points to it.
    .thumb_func
frame:
    push {r4-r7, lr}
    movs r5, #8
1:  ldr r0, [r4], #4
    bl log_word
    subs r5, #1
    bne 1b
    log r4
    ldr r7, =SCB
    ldr r0, [r7, #4]
    bl log_word
    ldr r0, [r7, #0x24]
    bl log_word
    pop {r4-r7, pc}

    .thumb_func
pend_more:
    push {lr}
    ldr r0, =NVIC + 0x200
    ldr r2, [r0]
    log r2
    pend 0xD0
    mark 501
    ldr r0, =SCB
    ldr r2, [r0, #4]
    log r2
    pop {pc}

    .thumb_func
mask_faults:
    push {lr}
    cpsid f
    mrs r0, faultmask
    bl log_word
    pend 0x08
    pop {pc}

    .thumb_func
pend_group:
    push {lr}
    pend 0x40
    mark 801
    pop {pc}

    .thumb_func
bad_return:
    movs r0, #0
    ldr r1, =after_bad_return + 1
    str r1, [r4, #24]
    hook fix_return
    ldr r0, =0xFFFFFFF5
    add sp, #20                   @ past what the handler pushed
    bx r0

    .thumb_func
fix_return:
    ldr r1, [sp, #16]
    push {lr}
    log r1
    ldr r1, =0xFFFFFFF9
    str r1, [sp, #20]
    pop {pc}

    .thumb_func
use_floats:
    push {lr}
    vmov r0, s0
    bl log_word
    vmrs r0, fpscr
    bl log_word
    mrs r0, control
    bl log_word
    ldr r0, [r4, #32]             @ kept in the frame
    bl log_word
    ldr r0, [r4, #92]
    bl log_word
    ldr r0, [r4, #96]
    bl log_word
    vmov.f32 s0, #9.0
    vmov.f32 s15, #9.0
    vmov.f32 s16, #9.0
    pop {pc}

@ Takes the floats out of the frame: the code to return with says so.
    .thumb_func
leave_floats:
    bx lr

    .thumb_func
make_privileged:
    movs r0, #0
    msr control, r0
    bx lr

@ Pends something more urgent from within, so that both are active.
    .thumb_func
nested_return:
    push {lr}
    pend 0x20
    ldr r0, =SCB
    ldr r0, [r0, #4]
    bl log_word
    pop {pc}

done:
    ldr r0, =LOG_END
    ldr r4, [r0]
    ldr r1, =open
    movs r0, #1                   @ SYS_OPEN
    bkpt 0xAB
    ldr r1, =0x20003100
    str r0, [r1]
    ldr r2, =LOG
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
    .pool
