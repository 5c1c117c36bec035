/* SPDX-License-Identifier: MIT
 * The system calls that a locked-up worker may make, as a raw BPF program for seccomp(2): the calls
 * of the event loop, of the allocator and of the log. All others kill the process, and so do some
 * of these with arguments that no worker needs.
 */
#include "sandbox_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#define FILTER_NUMBER_MAX 0x3fffffff /* above: the x32 calls, another table */
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#define FILTER_NUMBER_MAX 0x7fffffff
#endif

#ifdef FILTER_ARCH

static const uint32_t allowed[] = {
    /* connections */
    SYS_accept4,
    SYS_recvfrom,
    SYS_sendto,
    SYS_shutdown,
    SYS_setsockopt,
    SYS_close,
    SYS_read,
    SYS_write,
    /* the event loop and the log */
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_ppoll,
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
#endif
#ifdef SYS_poll
    SYS_poll,
#endif
    /* time and random numbers; Mbed TLS 3.6 looks whether it has been forked */
    SYS_clock_gettime,
    SYS_gettimeofday,
    SYS_getrandom,
    SYS_getpid,
#ifdef SYS_time
    SYS_time,
#endif
    /* the allocator */
    SYS_brk,
    SYS_mmap,
    SYS_mprotect,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    /* the library's locks, signals and the end */
    SYS_futex,
    SYS_rt_sigreturn,
    SYS_rt_sigprocmask,
    SYS_restart_syscall,
    SYS_exit,
    SYS_exit_group,
};

/* What the arguments of a call must be: their low halves, all of them flags or numbers. */
static const struct rule {
    uint32_t call, argument, mask, value;
} rules[] = {
    {SYS_mmap, 2, PROT_EXEC, 0},
    {SYS_mprotect, 2, PROT_EXEC, 0},
    /* It connects without connect(2), which not even Landlock sees. */
    {SYS_sendto, 3, MSG_FASTOPEN, 0},
    /* The other ways take a listening socket out of service, for all workers. */
    {SYS_shutdown, 1, UINT32_MAX, SHUT_WR},
    {SYS_setsockopt, 1, UINT32_MAX, IPPROTO_TCP},
    {SYS_setsockopt, 2, UINT32_MAX, TCP_NODELAY},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PROGRAM_MAX (8 + 2 * COUNT(allowed) + 6 * COUNT(rules))

struct program {
    struct sock_filter code[PROGRAM_MAX];
    unsigned short len;
};

static void emit(struct program *program, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
    program->code[program->len++] = (struct sock_filter){code, jt, jf, k};
}

static void emit_load(struct program *program, size_t offset)
{
    emit(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void emit_return(struct program *program, uint32_t action)
{
    emit(program, BPF_RET | BPF_K, action, 0, 0);
}

static void build(struct program *program)
{
    emit_load(program, offsetof(struct seccomp_data, arch));
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, FILTER_ARCH, 1, 0);
    emit_return(program, SECCOMP_RET_KILL_PROCESS);
    emit_load(program, offsetof(struct seccomp_data, nr));
    emit(program, BPF_JMP | BPF_JGT | BPF_K, FILTER_NUMBER_MAX, 0, 1);
    emit_return(program, SECCOMP_RET_KILL_PROCESS);
    for (size_t i = 0; i < COUNT(rules); i++) {
        emit(program, BPF_JMP | BPF_JEQ | BPF_K, rules[i].call, 0, 5);
        /* The machines above are little-endian. */
        emit_load(program, offsetof(struct seccomp_data, args) + 8 * rules[i].argument);
        emit(program, BPF_ALU | BPF_AND | BPF_K, rules[i].mask, 0, 0);
        emit(program, BPF_JMP | BPF_JEQ | BPF_K, rules[i].value, 1, 0);
        emit_return(program, SECCOMP_RET_KILL_PROCESS);
        emit_load(program, offsetof(struct seccomp_data, nr));
    }
    for (size_t i = 0; i < COUNT(allowed); i++) {
        emit(program, BPF_JMP | BPF_JEQ | BPF_K, allowed[i], 0, 1);
        emit_return(program, SECCOMP_RET_ALLOW);
    }
    emit_return(program, SECCOMP_RET_KILL_PROCESS);
}

bool sandbox_filter_available(void)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;

    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

bool sandbox_filter_enter(void)
{
    struct program program = {.len = 0};

    build(&program);
    struct sock_fprog filter = {program.len, program.code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}

#else

bool sandbox_filter_available(void)
{
    return false;
}

bool sandbox_filter_enter(void)
{
    errno = ENOSYS;
    return false;
}

#endif
