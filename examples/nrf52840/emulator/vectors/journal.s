@ Counts to twenty in flash and survives a power cut anywhere: a journal in two pages, of eight records each. With a zero at
@ CARELESS it keeps one page, erased before each record, and does not survive.
@
@ A record is a number and its complement. COUNTED holds the last number recorded, FOUND the one found at the start.
    .syntax unified
    .cpu cortex-m4
    .thumb

    .equ CONFIG,   0x4001E504
    .equ PAGES,    0x80000
    .equ CARELESS, 0x7F000
    .equ COUNTED,  0x20000000
    .equ FOUND,    0x20000004

    .word 0x20040000
    .word start + 1

    .thumb_func
start:
    bl find
    ldr r1, =FOUND
    str r0, [r1]
1:  ldr r1, =COUNTED
    str r0, [r1]
    cmp r0, #20
    bhs 2f
    adds r0, #1
    bl record
    b 1b
2:  bkpt 0

@ R0: the highest number in either page; R4: where it stands, or zero.
    .thumb_func
find:
    movs r0, #0
    movs r4, #0
    ldr r1, =PAGES
1:  ldr r2, [r1]
    mvns r3, r2
    lsrs r3, #16
    uxth r2, r2
    cmp r2, r3
    bne 2f
    cmp r2, r0
    bls 2f
    mov r0, r2
    mov r4, r1
2:  adds r1, #4
    tst r1, #31
    bne 1b
    ldr r2, =PAGES + 32           @ the first page is done, or the second
    cmp r1, r2
    ldr r1, =PAGES + 0x1000
    beq 1b
    bx lr

@ Appends R0 behind R4, in the other page if this one is full or torn there.
    .thumb_func
record:
    push {lr}
    ldr r1, =CARELESS
    ldr r1, [r1]
    cbz r1, 3f
    cbz r4, 3f
    adds r1, r4, #4
    tst r1, #31
    beq 2f
    ldr r2, [r1]
    adds r2, #1
    bne 2f
    mov r4, r1
    b 4f
2:  eor r4, #0x1000
    bfc r4, #0, #12
    bl erase
    b 4f
3:  ldr r4, =PAGES
    bl erase
4:  ldr r1, =CONFIG
    movs r2, #1
    str r2, [r1]
    mvns r2, r0
    lsls r2, #16
    orrs r2, r0
    str r2, [r4]
    movs r2, #0
    str r2, [r1]
    pop {pc}

    .thumb_func
erase:
    ldr r1, =CONFIG
    movs r2, #2
    str r2, [r1]
    str r4, [r1, #4]
    bx lr
    .pool
