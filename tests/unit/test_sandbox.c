/* SPDX-License-Identifier: MIT
 * The sandbox, tried from inside: each attempt is made by a forked child in a worker's place. With
 * all layers on, the attempt kills it; with one layer alone, that layer must refuse it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "sandbox_filter.h"

static bool without_filter;

static bool filter_enter(void)
{
    return without_filter || sandbox_filter_enter();
}

/* The program links the module too, so its copy in here has other names. */
#define sandbox_find_user tested_find_user
#define sandbox_missing tested_missing
#define sandbox_lacks_layer tested_lacks_layer
#define sandbox_enter tested_enter
#define sandbox_filter_enter filter_enter
#include "sandbox.c"
#undef sandbox_filter_enter

#define NOBODY 65534
#define DESCRIPTORS 32
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define SUCCEEDED 0
#define NOT_LOCKED 200 /* exit code of a child whose sandbox did not come up */

/* Opened before the sandbox, as a worker's are: a socket that listens at `target`, one that does
 * nothing yet, two that are connected, an epoll instance. */
static int listener = -1, idle = -1, pair[2] = {-1, -1}, epoll = -1;
static struct sockaddr_in target;
/* What is outside: the parent, a Unix socket of its that listens. */
static pid_t parent;
static int abstract_listener = -1;
static struct sockaddr_un abstract_target = {.sun_family = AF_UNIX};
static socklen_t abstract_target_len = sizeof abstract_target;
static char private_file[] = "/tmp/mta-stsd-test-XXXXXX";

static struct sandbox whole_sandbox(void)
{
    return (struct sandbox){.mode = CONFIG_SANDBOX_STRICT,
                            .change_user = geteuid() == 0,
                            .uid = NOBODY,
                            .gid = NOBODY,
                            .descriptors = DESCRIPTORS};
}

static bool enter(enum config_sandbox mode)
{
    struct sandbox sandbox = whole_sandbox();

    sandbox.mode = mode;
    return sandbox_enter(&sandbox) == NULL;
}

static bool enter_all(void)
{
    return enter(CONFIG_SANDBOX_STRICT);
}

static bool enter_all_but_filter(void)
{
    without_filter = true;
    return enter(CONFIG_SANDBOX_STRICT);
}

static bool enter_off(void)
{
    return enter(CONFIG_SANDBOX_OFF);
}

static bool enter_filter_only(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && sandbox_filter_enter();
}

static bool enter_landlock_only(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && enter_landlock();
}

static bool enter_user_only(void)
{
    struct sandbox sandbox = whole_sandbox();

    return become_user(&sandbox);
}

/* With standard error being what fd is: whether files may grow depends on it. */
static bool enter_limits_only(int fd)
{
    struct sandbox sandbox = whole_sandbox();

    return dup2(fd, STDERR_FILENO) >= 0 && limit_resources(&sandbox);
}

static bool enter_limits_with_a_log_socket(void)
{
    return enter_limits_only(pair[0]);
}

static bool enter_limits_with_a_log_file(void)
{
    return enter_limits_only(open(private_file, O_WRONLY | O_CLOEXEC));
}

static bool change_nothing(void)
{
    return true;
}

/* Makes system calls fail as on a kernel that does not know them. */
static bool forbid_call(long number)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {COUNT_OF(code), code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

static bool forbid_landlock(void)
{
    return forbid_call(SYS_landlock_create_ruleset);
}

static bool forbid_seccomp(void)
{
    return forbid_call(SYS_seccomp);
}

static bool forbid_both(void)
{
    return forbid_landlock() && forbid_seccomp();
}

static bool enter_auto_without_landlock(void)
{
    return forbid_landlock() && enter(CONFIG_SANDBOX_AUTO);
}

static bool enter_auto_without_seccomp(void)
{
    return forbid_seccomp() && enter(CONFIG_SANDBOX_AUTO);
}

/* Prepares a child, has it make the attempt and gives its wait status. */
static int try_in_child(bool (*prepare)(void), int (*attempt)(void))
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    /* Not by _exit, before which AddressSanitizer makes a call that is not allowed. */
    if (pid == 0)
        syscall(SYS_exit_group, prepare() ? attempt() : NOT_LOCKED);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void expect_killed(bool (*prepare)(void), int (*attempt)(void), const char *name)
{
    int status = try_in_child(prepare, attempt);

    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
        fail_msg("%s: wait status %#x instead of SIGSYS", name, (unsigned)status);
}

static void expect_exit(bool (*prepare)(void), int (*attempt)(void), int code, const char *name)
{
    int status = try_in_child(prepare, attempt);

    if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
        fail_msg("%s: wait status %#x instead of exit code %d", name, (unsigned)status, code);
}

/* The exit code of an attempt: that it succeeded, or errno. */
static int outcome(bool succeeded)
{
    return succeeded ? SUCCEEDED : errno;
}

static int attempt_open(void)
{
    return outcome(open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0);
}

static int attempt_create(void)
{
    return outcome(open("/tmp/mta-stsd-test-new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0);
}

static int attempt_open_private(void)
{
    return outcome(open(private_file, O_RDONLY | O_CLOEXEC) >= 0);
}

static int attempt_unlink(void)
{
    return outcome(unlink(private_file) == 0);
}

static int attempt_truncate(void)
{
    return outcome(truncate(private_file, 0) == 0);
}

static int attempt_socket(void)
{
    return outcome(socket(AF_INET, SOCK_STREAM, 0) >= 0);
}

static int attempt_connect(void)
{
    return outcome(connect(idle, (const struct sockaddr *)&target, sizeof target) == 0);
}

static int attempt_connect_abstract(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    return outcome(connect(fd, (const struct sockaddr *)&abstract_target, abstract_target_len) ==
                   0);
}

/* TCP fast open connects without connect(2), which Landlock does not see either. */
static int attempt_fast_open(void)
{
    return outcome(sendto(idle, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL,
                          (const struct sockaddr *)&target, sizeof target) == 1);
}

static int attempt_bind(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    return outcome(bind(idle, (const struct sockaddr *)&any, sizeof any) == 0);
}

static int attempt_listen(void)
{
    return outcome(listen(idle, 1) == 0);
}

/* The listening sockets are shared: this would take them from the other workers as well. */
static int attempt_shut_listener(void)
{
    return outcome(shutdown(listener, SHUT_RD) == 0);
}

static int attempt_shut_listener_both_ways(void)
{
    return outcome(shutdown(listener, SHUT_RDWR) == 0);
}

static int attempt_attach_filter(void)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {1, &drop};

    return outcome(setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) ==
                   0);
}

static int attempt_congestion(void)
{
    return outcome(setsockopt(idle, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0);
}

static int attempt_execve(void)
{
    char name[] = "true", *argv[] = {name, NULL}, *envp[] = {NULL};

    execve("/bin/true", argv, envp);
    return errno;
}

static int attempt_fork(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    return outcome(pid > 0);
}

static int attempt_clone(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

    if (pid == 0)
        _exit(0);
    return outcome(pid > 0);
}

static int attempt_unshare(void)
{
    return outcome(unshare(CLONE_NEWUSER) == 0);
}

static int attempt_ptrace(void)
{
    return outcome(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
}

static int attempt_read_parent(void)
{
    return outcome(syscall(SYS_process_vm_readv, parent, NULL, 0, NULL, 0, 0) == 0);
}

static int attempt_mprotect(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return outcome(page != MAP_FAILED && mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
}

static int attempt_mmap(void)
{
    return outcome(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
                   MAP_FAILED);
}

/* Signal 0 asks for the right alone. */
static int attempt_kill(void)
{
    return outcome(kill(parent, 0) == 0);
}

static int attempt_setuid(void)
{
    return outcome(setuid(0) == 0);
}

static int attempt_become_nobody(void)
{
    return outcome(setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

static int attempt_prctl(void)
{
    return outcome(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
}

static int attempt_unknown_call(void)
{
    return outcome(syscall(4095) == 0);
}

#ifdef __x86_64__
/* The same number means another call in the table for 32-bit programs: getpid there, writev here.
 */
static int attempt_32_bit_call(void)
{
    long result = 20;

    __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    return result > 0 ? SUCCEEDED : ENOSYS;
}

static int attempt_x32_call(void)
{
    return outcome(syscall(0x40000000 + SYS_read, pair[0], NULL, 0) >= 0);
}
#endif

static const struct {
    const char *name;
    int (*attempt)(void);
} deadly[] = {
    {"open", attempt_open},
    {"create", attempt_create},
    {"unlink", attempt_unlink},
    {"truncate", attempt_truncate},
    {"socket", attempt_socket},
    {"connect", attempt_connect},
    {"connect by TCP fast open", attempt_fast_open},
    {"bind", attempt_bind},
    {"listen", attempt_listen},
    {"shutdown of a listener", attempt_shut_listener},
    {"shutdown of a listener, both ways", attempt_shut_listener_both_ways},
    {"setsockopt SO_ATTACH_FILTER", attempt_attach_filter},
    {"setsockopt TCP_CONGESTION", attempt_congestion},
    {"execve", attempt_execve},
    {"fork", attempt_fork},
    {"clone", attempt_clone},
    {"unshare", attempt_unshare},
    {"ptrace", attempt_ptrace},
    {"process_vm_readv", attempt_read_parent},
    {"mprotect PROT_EXEC", attempt_mprotect},
    {"mmap PROT_EXEC", attempt_mmap},
    {"kill", attempt_kill},
    {"setuid", attempt_setuid},
    {"prctl", attempt_prctl},
    {"a call that no kernel has", attempt_unknown_call},
#ifdef __x86_64__
    {"a call by the x32 table", attempt_x32_call},
#endif
};

/* Everything that a worker does: waits, accepts, reads, writes, allocates, ends. The exit code says
 * which of it failed. */
static int serve_a_little(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct timespec now;
    char byte = 'x';
    int on = 1;

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0 ||
        epoll_wait(epoll, &event, 1, 1000) != 1)
        return 1;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        shutdown(fd, SHUT_WR) != 0 || close(fd) != 0)
        return 2;
    if (send(pair[0], &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1 ||
        recv(pair[1], &byte, 1, MSG_DONTWAIT) != 1 || write(pair[1], &byte, 1) != 1 ||
        read(pair[0], &byte, 1) != 1)
        return 3;
    void *large = malloc(8u << 20);
    if (large == NULL)
        return 4;
    explicit_bzero(large, 8u << 20);
    free(large);
    return clock_gettime(CLOCK_MONOTONIC, &now) == 0 && getrandom(&byte, 1, 0) == 1 ? SUCCEEDED : 5;
}

static bool has_limit(int resource, rlim_t value)
{
    struct rlimit limits;

    return getrlimit((__rlimit_resource_t)resource, &limits) == 0 && limits.rlim_cur == value &&
           limits.rlim_max == value;
}

static bool has_no_capability(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, data) != 0)
        return false;
    for (size_t i = 0; i < COUNT_OF(data); i++)
        if (data[i].effective != 0 || data[i].permitted != 0 || data[i].inheritable != 0)
            return false;
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) != 0)
            return false;
    return true;
}

/* These look at their own process; the exit code says what is not as it should be. */
static int look_at_limits(void)
{
    if (!has_limit(RLIMIT_CORE, 0))
        return 1;
    if (!has_limit(RLIMIT_NOFILE, DESCRIPTORS))
        return 2;
    return has_limit(RLIMIT_NPROC, 0) ? SUCCEEDED : 3;
}

static int look_at_privileges(void)
{
    if (prctl(PR_GET_DUMPABLE) != 0)
        return 1;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return 2;
    return has_no_capability() ? SUCCEEDED : 3;
}

static int look_at_user(void)
{
    uid_t ruid, euid, suid;
    gid_t rgid, egid, sgid;

    if (getresuid(&ruid, &euid, &suid) != 0 || ruid != NOBODY || euid != NOBODY || suid != NOBODY)
        return 1;
    if (getresgid(&rgid, &egid, &sgid) != 0 || rgid != NOBODY || egid != NOBODY || sgid != NOBODY)
        return 2;
    if (getgroups(0, NULL) != 0)
        return 3;
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 0)
            return 4;
    return SUCCEEDED;
}

static int look_at_what_off_leaves(void)
{
    if (geteuid() == 0)
        return 1;
    if (has_limit(RLIMIT_NOFILE, DESCRIPTORS) || has_limit(RLIMIT_NPROC, 0))
        return 2;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ? attempt_open() : 3;
}

/* Takes descriptors until there are no more: the last one must be the last that is allowed. */
static int fill_descriptors(void)
{
    int last = -1, fd;

    while ((fd = dup(pair[0])) >= 0)
        last = fd;
    return errno == EMFILE && last == DESCRIPTORS - 1 ? SUCCEEDED : 1;
}

static int grow_a_file(void)
{
    int fd = open(private_file, O_WRONLY | O_CLOEXEC);

    signal(SIGXFSZ, SIG_IGN);
    return outcome(write(fd, "x", 1) == 1);
}

static int expect_missing(const char *expected)
{
    char missing[64];

    sandbox_missing(missing, sizeof missing);
    return strcmp(missing, expected) == 0 ? SUCCEEDED : 1;
}

static int miss_landlock(void)
{
    return expect_missing("landlock");
}

static int miss_seccomp(void)
{
    return expect_missing("seccomp");
}

static int miss_both(void)
{
    return expect_missing("landlock seccomp");
}

/* What sandbox_enter says that it failed at. */
static int expect_failure(const char *part)
{
    struct sandbox sandbox = whole_sandbox();
    const char *failed = sandbox_enter(&sandbox);

    return failed != NULL && strcmp(failed, part) == 0 ? SUCCEEDED : 1;
}

static int fail_at_landlock(void)
{
    return expect_failure("landlock");
}

static int fail_at_seccomp(void)
{
    return expect_failure("seccomp");
}

/* A hard limit can only be raised with CAP_SYS_RESOURCE. */
static int fail_at_limits(void)
{
    return limit(RLIMIT_NOFILE, DESCRIPTORS - 1) && drop_capabilities() ? expect_failure("limits")
                                                                        : 2;
}

static int fail_at_user(void)
{
    return drop_capabilities() ? expect_failure("user") : 2;
}

/* With capabilities that survive the change of user there is a way back to root. */
static int fail_at_proof(void)
{
    return prctl(PR_SET_SECUREBITS, 1 << 2 /* SECBIT_NO_SETUID_FIXUP */, 0, 0, 0) == 0
               ? expect_failure("user")
               : 2;
}

static void skip_unless(bool possible, const char *why_not)
{
    const char *preload = getenv("LD_PRELOAD");

    if (preload != NULL && strstr(preload, "vgpreload") != NULL)
        why_not = "valgrind makes system calls of its own";
    else if (possible)
        return;
    print_message("skipped: %s\n", why_not);
    skip();
}

static void need_root(void)
{
    skip_unless(geteuid() == 0, "only root can become another user");
}

static void need_landlock(int abi)
{
    skip_unless(landlock_abi() >= abi, "this kernel's Landlock is missing or too old");
}

static void need_whole_sandbox(void)
{
    skip_unless(landlock_abi() > 0 && sandbox_filter_available(),
                "this kernel or machine lacks Landlock or seccomp");
}

static void test_every_other_call_kills_the_worker(void **state)
{
    (void)state;
    need_whole_sandbox();
    for (size_t i = 0; i < COUNT_OF(deadly); i++)
        expect_killed(enter_all, deadly[i].attempt, deadly[i].name);
}

static void test_seccomp_alone_kills_for_every_other_call(void **state)
{
    (void)state;
    need_whole_sandbox();
    for (size_t i = 0; i < COUNT_OF(deadly); i++)
        expect_killed(enter_filter_only, deadly[i].attempt, deadly[i].name);
}

static void test_a_call_by_the_32_bit_table_kills_the_worker(void **state)
{
    (void)state;
    need_whole_sandbox();
#ifdef __x86_64__
    skip_unless(try_in_child(change_nothing, attempt_32_bit_call) == 0,
                "this kernel runs no 32-bit programs");
    expect_killed(enter_all, attempt_32_bit_call, "int 0x80");
#else
    skip_unless(false, "this machine has no such table");
#endif
}

static void test_a_locked_up_worker_can_serve(void **state)
{
    int client = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    need_whole_sandbox();
    assert_int_equal(connect(client, (const struct sockaddr *)&target, sizeof target), 0);
    expect_exit(enter_all, serve_a_little, SUCCEEDED, "serve");
    close(client);
}

static void test_landlock_alone_refuses_files(void **state)
{
    (void)state;
    need_landlock(1);
    expect_exit(enter_landlock_only, attempt_open, EACCES, "open");
    expect_exit(enter_landlock_only, attempt_create, EACCES, "create");
    expect_exit(enter_landlock_only, attempt_unlink, EACCES, "unlink");
    expect_exit(enter_landlock_only, attempt_execve, EACCES, "execve");
}

static void test_landlock_alone_refuses_truncation(void **state)
{
    (void)state;
    need_landlock(3);
    expect_exit(enter_landlock_only, attempt_truncate, EACCES, "truncate");
}

static void test_landlock_alone_refuses_tcp(void **state)
{
    (void)state;
    need_landlock(4);
    expect_exit(enter_landlock_only, attempt_bind, EACCES, "bind");
    expect_exit(enter_landlock_only, attempt_connect, EACCES, "connect");
}

static void test_landlock_alone_refuses_signals_and_abstract_sockets(void **state)
{
    (void)state;
    need_landlock(6);
    expect_exit(enter_landlock_only, attempt_kill, EPERM, "kill");
    expect_exit(enter_landlock_only, attempt_connect_abstract, EPERM, "connect");
}

static void test_the_user_alone_is_refused_what_is_roots(void **state)
{
    (void)state;
    need_root();
    expect_exit(enter_user_only, attempt_open_private, EACCES, "open");
    expect_exit(enter_user_only, attempt_setuid, EPERM, "setuid");
    expect_exit(enter_user_only, attempt_kill, EPERM, "kill");
}

static void test_the_user_is_changed_in_every_respect(void **state)
{
    (void)state;
    need_root();
    expect_exit(enter_user_only, look_at_user, SUCCEEDED, "user");
}

static void test_without_capabilities_root_cannot_change_its_user(void **state)
{
    (void)state;
    need_root();
    expect_exit(drop_capabilities, attempt_become_nobody, EPERM, "setresuid");
}

static void test_limits_alone_stop_at_the_exact_descriptor(void **state)
{
    (void)state;
    skip_unless(true, "");
    expect_exit(enter_limits_with_a_log_socket, fill_descriptors, SUCCEEDED, "dup");
}

static void test_limits_alone_keep_files_from_growing(void **state)
{
    (void)state;
    skip_unless(true, "");
    expect_exit(enter_limits_with_a_log_socket, grow_a_file, EFBIG, "write");
}

static void test_a_log_in_a_file_may_grow(void **state)
{
    (void)state;
    skip_unless(true, "");
    expect_exit(enter_limits_with_a_log_file, grow_a_file, SUCCEEDED, "write");
}

static void test_limits_are_exact(void **state)
{
    (void)state;
    need_whole_sandbox();
    expect_exit(enter_all_but_filter, look_at_limits, SUCCEEDED, "limits");
}

static void test_no_process_can_be_started_by_the_limits(void **state)
{
    (void)state;
    need_whole_sandbox();
    need_root(); /* else this user's processes may be root's, which have no such limit */
    expect_exit(enter_all_but_filter, attempt_fork, EAGAIN, "fork");
}

static void test_nothing_is_left_of_privileges(void **state)
{
    (void)state;
    need_whole_sandbox();
    expect_exit(enter_all_but_filter, look_at_privileges, SUCCEEDED, "privileges");
}

static void test_off_changes_the_user_only(void **state)
{
    (void)state;
    need_root();
    expect_exit(enter_off, look_at_what_off_leaves, SUCCEEDED, "off");
}

static void test_this_kernel_s_missing_parts_are_named(void **state)
{
    (void)state;
    need_whole_sandbox();
    expect_exit(forbid_landlock, miss_landlock, SUCCEEDED, "landlock");
    expect_exit(forbid_seccomp, miss_seccomp, SUCCEEDED, "seccomp");
    expect_exit(forbid_both, miss_both, SUCCEEDED, "both");
}

static void test_strict_fails_at_what_the_kernel_lacks(void **state)
{
    (void)state;
    need_whole_sandbox();
    expect_exit(forbid_landlock, fail_at_landlock, SUCCEEDED, "landlock");
    expect_exit(forbid_seccomp, fail_at_seccomp, SUCCEEDED, "seccomp");
}

static void test_auto_does_without_what_the_kernel_lacks(void **state)
{
    (void)state;
    need_whole_sandbox();
    expect_killed(enter_auto_without_landlock, attempt_open, "seccomp");
    expect_exit(enter_auto_without_seccomp, attempt_open, EACCES, "landlock");
}

static void test_a_limit_that_cannot_be_had_is_a_failure(void **state)
{
    (void)state;
    need_whole_sandbox();
    expect_exit(change_nothing, fail_at_limits, SUCCEEDED, "limits");
}

static void test_a_user_who_cannot_be_become_is_a_failure(void **state)
{
    (void)state;
    need_root();
    expect_exit(change_nothing, fail_at_user, SUCCEEDED, "user");
}

static void test_a_way_back_to_root_is_a_failure(void **state)
{
    (void)state;
    need_root();
    expect_exit(change_nothing, fail_at_proof, SUCCEEDED, "user");
}

#define UNKNOWN "is not in /etc/passwd; write uid:gid where there is no such file"
#define NEITHER "is neither a name nor uid:gid"
#define ROOT "is root: name a user without rights"

static void test_find_user(void **state)
{
    static const struct {
        const char *user, *why;
        uid_t uid;
        gid_t gid;
    } cases[] = {
        {"nobody", NULL, 65534, 65534},
        {"daemon", NULL, 1, 1},
        {"1:2", NULL, 1, 2},
        {"65534:65534", NULL, 65534, 65534},
        {"4294967294:4294967294", NULL, 4294967294u, 4294967294u},
        {"007:08", NULL, 7, 8},
        {"root", ROOT, 0, 0},
        {"0:0", ROOT, 0, 0},
        {"0:1", ROOT, 0, 0},
        {"1:0", ROOT, 0, 0},
        {"000:1", ROOT, 0, 0},
        {"no-such-user", UNKNOWN, 0, 0},
        {"", UNKNOWN, 0, 0},
        {"1", UNKNOWN, 0, 0},
        {"Nobody", UNKNOWN, 0, 0},
        {"nobody ", UNKNOWN, 0, 0},
        {"4294967295:1", NEITHER, 0, 0}, /* (uid_t)-1: "leave it as it is" to setresuid */
        {"1:4294967295", NEITHER, 0, 0},
        {"4294967296:1", NEITHER, 0, 0}, /* 0 in 32 bits */
        {"1:4294967297", NEITHER, 0, 0},
        {"18446744073709551617:1", NEITHER, 0, 0}, /* 1 in 64 bits */
        {":", NEITHER, 0, 0},
        {"1:", NEITHER, 0, 0},
        {":1", NEITHER, 0, 0},
        {"1:1:1", NEITHER, 0, 0},
        {"-1:1", NEITHER, 0, 0},
        {"+1:1", NEITHER, 0, 0},
        {" 1:1", NEITHER, 0, 0},
        {"1: 1", NEITHER, 0, 0},
        {"0x1:1", NEITHER, 0, 0},
        {"nobody:nogroup", NEITHER, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sandbox sandbox = {.uid = 0};
        const char *why = sandbox_find_user(cases[i].user, &sandbox);
        if ((why == NULL) != (cases[i].why == NULL) ||
            (why != NULL && strcmp(why, cases[i].why) != 0))
            fail_msg("\"%s\": %s", cases[i].user, why == NULL ? "accepted" : why);
        assert_int_equal(sandbox.change_user, why == NULL);
        if (why == NULL) {
            assert_int_equal(sandbox.uid, cases[i].uid);
            assert_int_equal(sandbox.gid, cases[i].gid);
        }
    }
}

static int open_everything(void **state)
{
    socklen_t len = sizeof target;
    int fd = mkstemp(private_file); /* mode 0600 */

    (void)state;
    target = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    idle = socket(AF_INET, SOCK_STREAM, 0);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    parent = getpid();
    if (fd < 0 || close(fd) != 0 || epoll < 0 || idle < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 ||
        bind(listener, (const struct sockaddr *)&target, sizeof target) != 0 ||
        listen(listener, 8) != 0)
        return -1;
    /* Without a name the kernel chooses an abstract one (unix(7), autobind). */
    abstract_listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(abstract_listener, (const struct sockaddr *)&abstract_target,
             sizeof abstract_target.sun_family) != 0 ||
        listen(abstract_listener, 8) != 0 ||
        getsockname(abstract_listener, (struct sockaddr *)&abstract_target, &abstract_target_len) !=
            0)
        return -1;
    return getsockname(listener, (struct sockaddr *)&target, &len);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(private_file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_other_call_kills_the_worker),
        cmocka_unit_test(test_seccomp_alone_kills_for_every_other_call),
        cmocka_unit_test(test_a_call_by_the_32_bit_table_kills_the_worker),
        cmocka_unit_test(test_a_locked_up_worker_can_serve),
        cmocka_unit_test(test_landlock_alone_refuses_files),
        cmocka_unit_test(test_landlock_alone_refuses_truncation),
        cmocka_unit_test(test_landlock_alone_refuses_tcp),
        cmocka_unit_test(test_landlock_alone_refuses_signals_and_abstract_sockets),
        cmocka_unit_test(test_the_user_alone_is_refused_what_is_roots),
        cmocka_unit_test(test_the_user_is_changed_in_every_respect),
        cmocka_unit_test(test_without_capabilities_root_cannot_change_its_user),
        cmocka_unit_test(test_limits_alone_stop_at_the_exact_descriptor),
        cmocka_unit_test(test_limits_alone_keep_files_from_growing),
        cmocka_unit_test(test_a_log_in_a_file_may_grow),
        cmocka_unit_test(test_limits_are_exact),
        cmocka_unit_test(test_no_process_can_be_started_by_the_limits),
        cmocka_unit_test(test_nothing_is_left_of_privileges),
        cmocka_unit_test(test_off_changes_the_user_only),
        cmocka_unit_test(test_this_kernel_s_missing_parts_are_named),
        cmocka_unit_test(test_strict_fails_at_what_the_kernel_lacks),
        cmocka_unit_test(test_auto_does_without_what_the_kernel_lacks),
        cmocka_unit_test(test_a_limit_that_cannot_be_had_is_a_failure),
        cmocka_unit_test(test_a_user_who_cannot_be_become_is_a_failure),
        cmocka_unit_test(test_a_way_back_to_root_is_a_failure),
        cmocka_unit_test(test_find_user),
    };

    return cmocka_run_group_tests(tests, open_everything, remove_file);
}
