@ The work of the speed measurement: what `reference` in `src/bin/run/speed.rs` does, over a table in RAM, for ever. Compiled
@ code looks like this: loads, shifts, exclusive-ors, a compare and a branch, and a call per round.
    .syntax unified
    .cpu cortex-m4
    .thumb

    .word 0x20040000
    .word start + 1

    .thumb_func
start:
    ldr r4, =0x20000000           @ 256 words, as they are
    movs r5, #1                   @ the state
    movs r6, #0                   @ rounds
1:  mov r0, r4
    mov r1, r5
    bl round
    mov r5, r0
    adds r6, #1
    ldr r2, =0x20001000
    strd r5, r6, [r2]
    b 1b

    .thumb_func
round:
    push {r4, r5, lr}
    movs r2, #0
2:  ldr r3, [r0, r2, lsl #2]
    eors r3, r1
    ror r3, r3, #7
    add r3, r3, r1, lsl #3
    eor r1, r3, r3, lsr #11
    str r1, [r0, r2, lsl #2]
    adds r2, #1
    cmp r2, #256
    bne 2b
    mov r0, r1
    pop {r4, r5, pc}
    .pool
