/* SPDX-License-Identifier: MIT
 * check/jobs.c: children that do what they should, and children that do not. A child tells what it
 * did in shared memory; where it must wait, it waits on a semaphore with a deadline.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check/jobs.h"
#include "monotonic.h"

#define LIMIT_MS 30000 /* of what must not end by it */
#define KILLED_MS 4000 /* of one that does; under valgrind a child takes its time to begin */
#define JOBS_MAX 32

struct facts {
    bool begun, done;
    int value;
    pid_t pid, parent;
};

/* All in memory that the children share. */
static struct shared {
    struct facts facts[JOBS_MAX];
    sem_t gate;
    atomic_int running, most;
} * shared;

/* What `progress` was told. */
static struct job *watched; /* NULL: nothing is watched */
static size_t calls, last_ended, last_count, most_at_once;
static bool went_back;

static int set_up(void **state)
{
    (void)state;
    shared = jobs_memory(sizeof *shared);
    if (shared == NULL || sem_init(&shared->gate, 1, 0) != 0)
        return -1;
    watched = NULL;
    calls = last_ended = last_count = most_at_once = 0;
    went_back = false;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    jobs_memory_free(shared, sizeof *shared);
    return 0;
}

static void fill(const void *what, void *facts)
{
    struct facts *f = facts;

    f->begun = true;
    f->value = *(const int *)what * 2;
    f->pid = getpid();
    f->parent = getppid();
    f->done = true;
}

/* As the kernel would have it: no report of a sanitizer, no core file. */
static void crash(const void *what, void *facts)
{
    const struct rlimit none = {0, 0};
    struct facts *f = facts;

    (void)what;
    f->begun = true;
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGSEGV, SIG_DFL);
    kill(getpid(), SIGSEGV);
    f->done = true;
}

static void give_up(const void *what, void *facts)
{
    (void)what;
    ((struct facts *)facts)->begun = true;
    _exit(EXIT_FAILURE);
}

/* Never ends, and does not listen to a polite signal. */
static void hang(const void *what, void *facts)
{
    struct facts *f = facts;

    (void)what;
    signal(SIGTERM, SIG_IGN);
    f->pid = getpid();
    f->begun = true;
    for (;;)
        pause();
}

/* Waits until the parent has looked once more, so that those beside it are running too. */
static void wait_at_gate(const void *what, void *facts)
{
    struct timespec deadline;
    int running = atomic_fetch_add(&shared->running, 1) + 1, most = atomic_load(&shared->most);

    (void)what;
    while (running > most && !atomic_compare_exchange_weak(&shared->most, &most, running)) {
    }
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += LIMIT_MS / 1000 / 2;
    ((struct facts *)facts)->done = sem_timedwait(&shared->gate, &deadline) == 0;
    atomic_fetch_sub(&shared->running, 1);
}

static void tell_signals(const void *what, void *facts)
{
    sigset_t blocked;
    struct facts *f = facts;

    (void)what;
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    f->value = sigismember(&blocked, SIGCHLD);
    f->done = true;
}

static void make_jobs(struct job *jobs, size_t count, void (*run)(const void *, void *),
                      const void *what)
{
    assert_true(count <= JOBS_MAX);
    for (size_t i = 0; i < count; i++)
        jobs[i] = (struct job){
            .run = run, .what = what, .facts = &shared->facts[i], .limit_ms = LIMIT_MS};
}

/* Counts the jobs that have been started and not been reaped, and lets one through the gate for
 * each. */
static void watch(size_t ended, size_t count)
{
    size_t running = 0;

    for (size_t i = 0; watched != NULL && i < count; i++)
        running += watched[i].pid > 0;
    for (size_t i = 0; i < running; i++)
        sem_post(&shared->gate);
    most_at_once = running > most_at_once ? running : most_at_once;
    went_back = went_back || ended < last_ended;
    calls++;
    last_ended = ended;
    last_count = count;
}

static void expect_no_child_left(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void test_memory_is_zeroed(void **state)
{
    unsigned char *memory = jobs_memory(100000);

    (void)state;
    assert_non_null(memory);
    for (size_t i = 0; i < 100000; i++)
        assert_int_equal(memory[i], 0);
    jobs_memory_free(memory, 100000);
    jobs_memory_free(NULL, 100000);
}

static void test_memory_that_cannot_be_had_is_null(void **state)
{
    (void)state;
    assert_null(jobs_memory(SIZE_MAX / 2));
}

static void test_a_child_fills_facts_in(void **state)
{
    static const int numbers[] = {1, 20, 300};
    struct job jobs[3];

    (void)state;
    make_jobs(jobs, 3, fill, NULL);
    for (size_t i = 0; i < 3; i++)
        jobs[i].what = &numbers[i];
    jobs_run(jobs, 3, 8, NULL);
    for (size_t i = 0; i < 3; i++) {
        assert_true(shared->facts[i].done);
        assert_int_equal(shared->facts[i].value, 2 * numbers[i]);
    }
    expect_no_child_left();
}

static void test_each_job_is_a_child_of_its_own(void **state)
{
    static const int number = 1;
    struct job jobs[2];

    (void)state;
    make_jobs(jobs, 2, fill, &number);
    jobs_run(jobs, 2, 1, NULL);
    assert_int_equal(shared->facts[0].parent, getpid());
    assert_int_equal(shared->facts[1].parent, getpid());
    assert_int_not_equal(shared->facts[0].pid, getpid());
    assert_int_not_equal(shared->facts[1].pid, getpid());
    assert_int_not_equal(shared->facts[0].pid, shared->facts[1].pid);
}

static void test_no_jobs_are_done_at_once(void **state)
{
    (void)state;
    jobs_run(NULL, 0, 8, watch);
    assert_int_equal(calls, 0);
}

static void test_a_crash_leaves_its_own_facts_not_done_and_no_others(void **state)
{
    static const int number = 21;
    struct job jobs[5];

    (void)state;
    make_jobs(jobs, 5, fill, &number);
    jobs[1].run = crash;
    jobs[3].run = crash;
    jobs_run(jobs, 5, 2, NULL);
    for (size_t i = 0; i < 5; i++) {
        assert_true(shared->facts[i].begun);
        assert_true(shared->facts[i].done == (i % 2 == 0));
        assert_int_equal(shared->facts[i].value, i % 2 == 0 ? 42 : 0);
    }
    expect_no_child_left();
}

static void test_a_child_that_exits_early_ends_its_job(void **state)
{
    struct job job;

    (void)state;
    make_jobs(&job, 1, give_up, NULL);
    jobs_run(&job, 1, 1, watch);
    assert_true(shared->facts[0].begun);
    assert_false(shared->facts[0].done);
    assert_int_equal(last_ended, 1);
}

static void test_a_child_over_its_limit_is_killed(void **state)
{
    static const int number = 21;
    struct job jobs[3];
    int64_t start = monotonic_ms();

    (void)state;
    make_jobs(jobs, 3, fill, &number);
    jobs[1].run = hang;
    jobs[1].limit_ms = KILLED_MS;
    jobs_run(jobs, 3, 3, NULL);
    assert_in_range(monotonic_ms() - start, KILLED_MS, LIMIT_MS);
    assert_true(shared->facts[0].done);
    assert_true(shared->facts[1].begun);
    assert_false(shared->facts[1].done);
    assert_true(shared->facts[2].done);
    assert_int_equal(kill(shared->facts[1].pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    expect_no_child_left();
}

static void test_the_killed_make_room_for_others(void **state)
{
    static const int number = 21;
    struct job jobs[4];

    (void)state;
    make_jobs(jobs, 4, hang, &number);
    for (size_t i = 0; i < 3; i++)
        jobs[i].limit_ms = 1;
    jobs[3].run = fill;
    jobs_run(jobs, 4, 1, watch);
    assert_true(shared->facts[3].done);
    assert_int_equal(last_ended, 4);
}

static void test_at_most_so_many_run_at_once(void **state)
{
    struct job jobs[7];

    (void)state;
    make_jobs(jobs, 7, wait_at_gate, NULL);
    watched = jobs;
    jobs_run(jobs, 7, 3, watch);
    assert_int_equal(most_at_once, 3);
    assert_in_range(atomic_load(&shared->most), 1, 3);
    for (size_t i = 0; i < 7; i++)
        assert_true(shared->facts[i].done);
}

static void test_fewer_jobs_than_may_run_all_run_at_once(void **state)
{
    struct job jobs[3];

    (void)state;
    make_jobs(jobs, 3, wait_at_gate, NULL);
    watched = jobs;
    jobs_run(jobs, 3, 64, watch);
    assert_int_equal(most_at_once, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(shared->facts[i].done);
}

static void test_more_jobs_than_at_once_are_all_run(void **state)
{
    static const int number = 4;
    struct job jobs[JOBS_MAX];

    (void)state;
    make_jobs(jobs, JOBS_MAX, fill, &number);
    jobs_run(jobs, JOBS_MAX, 2, watch);
    for (size_t i = 0; i < JOBS_MAX; i++)
        assert_int_equal(shared->facts[i].value, 8);
    expect_no_child_left();
}

static void test_progress_counts_up_to_all(void **state)
{
    static const int number = 4;
    struct job jobs[10];

    (void)state;
    make_jobs(jobs, 10, fill, &number);
    jobs[5].run = crash;
    jobs_run(jobs, 10, 4, watch);
    assert_in_range(calls, 1, SIZE_MAX);
    assert_false(went_back);
    assert_int_equal(last_ended, 10);
    assert_int_equal(last_count, 10);
}

static void test_signals_are_as_before_here_and_in_the_child(void **state)
{
    struct job job;
    sigset_t blocked;

    (void)state;
    make_jobs(&job, 1, tell_signals, NULL);
    jobs_run(&job, 1, 1, NULL);
    assert_true(shared->facts[0].done);
    assert_int_equal(shared->facts[0].value, 0);
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    assert_int_equal(sigismember(&blocked, SIGCHLD), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_memory_is_zeroed),
        TEST(test_memory_that_cannot_be_had_is_null),
        TEST(test_a_child_fills_facts_in),
        TEST(test_each_job_is_a_child_of_its_own),
        TEST(test_no_jobs_are_done_at_once),
        TEST(test_a_crash_leaves_its_own_facts_not_done_and_no_others),
        TEST(test_a_child_that_exits_early_ends_its_job),
        TEST(test_a_child_over_its_limit_is_killed),
        TEST(test_the_killed_make_room_for_others),
        TEST(test_at_most_so_many_run_at_once),
        TEST(test_fewer_jobs_than_may_run_all_run_at_once),
        TEST(test_more_jobs_than_at_once_are_all_run),
        TEST(test_progress_counts_up_to_all),
        TEST(test_signals_are_as_before_here_and_in_the_child),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
