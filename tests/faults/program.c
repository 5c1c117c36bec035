/* SPDX-License-Identifier: MIT
 * Runs a whole program, whose main() has been renamed, again and again: the first time as it is,
 * then with the first call for memory failing, the second, and so on until none fails any more.
 * Each time it must come to the same as the first time, or say that something went wrong; either
 * way it has given back all memory and all descriptors. A program that serves is told to stop as
 * soon as it says that it is ready.
 * usage: PROGRAM once|always NAME ARGUMENT...
 */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"

#define OUTPUT_SIZE 65536
#define EXIT_CODE_MAX 3 /* of the tools: could not run. The sanitizers have a larger one */
#define WAIT_MS 20000
#define READY "event=ready "

int program_main(int argc, char *argv[]);

/* What the program leaves behind, as it sees it itself. */
struct leftover {
    bool returned;
    size_t calls;
    long memory; /* pieces */
    int descriptors;
};

/* What came of one run. */
struct outcome {
    char output[2][OUTPUT_SIZE]; /* standard output and standard error */
    size_t len[2];
    int status; /* as of waitpid */
    bool timed_out;
    struct leftover left;
};

static struct leftover *shared; /* with the child */

static int count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = -1; /* its own */

    if (directory == NULL)
        return -1;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static void run_child(size_t n, enum alloc_mode mode, const int outputs[2], int argc, char *argv[])
{
    dup2(outputs[0], STDOUT_FILENO);
    dup2(outputs[1], STDERR_FILENO);
    close(outputs[0]);
    close(outputs[1]);
    long live = alloc_live();
    alloc_fail_at(n, mode);
    int code = program_main(argc, argv);
    alloc_pause(true);
    shared->calls = alloc_calls();
    shared->memory = alloc_live() - live;
    shared->descriptors = count_descriptors();
    shared->returned = true;
    exit(code);
}

static void read_output(struct outcome *outcome, int which, struct pollfd *ready, pid_t pid)
{
    char *end = outcome->output[which] + outcome->len[which];
    ssize_t n = read(ready->fd, end, OUTPUT_SIZE - 1 - outcome->len[which]);

    if (n <= 0) {
        close(ready->fd);
        ready->fd = -1;
        return;
    }
    outcome->len[which] += (size_t)n;
    end[n] = '\0';
    if (strstr(outcome->output[which], READY) != NULL)
        kill(pid, SIGTERM);
}

static void read_outputs(struct outcome *outcome, int out, int err, pid_t pid)
{
    struct pollfd ready[] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};

    outcome->len[0] = outcome->len[1] = 0;
    outcome->output[0][0] = outcome->output[1][0] = '\0';
    outcome->timed_out = false;
    while (ready[0].fd >= 0 || ready[1].fd >= 0) {
        if (poll(ready, 2, WAIT_MS) <= 0) {
            outcome->timed_out = true;
            kill(pid, SIGKILL);
            close(out);
            close(err);
            return;
        }
        for (int i = 0; i < 2; i++)
            if (ready[i].revents != 0)
                read_output(outcome, i, &ready[i], pid);
    }
}

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void run(size_t n, enum alloc_mode mode, int argc, char *argv[], struct outcome *outcome)
{
    int out[2], err[2];

    *shared = (struct leftover){.returned = false};
    if (pipe(out) != 0 || pipe(err) != 0)
        die("pipe");
    alloc_fail_at(0, mode);
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        close(out[0]);
        close(err[0]);
        run_child(n, mode, (const int[]){out[1], err[1]}, argc, argv);
    }
    close(out[1]);
    close(err[1]);
    read_outputs(outcome, out[0], err[0], pid);
    if (waitpid(pid, &outcome->status, 0) != pid)
        die("waitpid");
    outcome->left = *shared;
}

/* True if what the program says when it is ready is the same, or both say nothing of the kind. */
static bool same_ready(const char *a, const char *b)
{
    const char *x = strstr(a, READY), *y = strstr(b, READY);

    if (x == NULL || y == NULL)
        return x == y;
    size_t len = strcspn(x, "\n");
    return len == strcspn(y, "\n") && memcmp(x, y, len) == 0;
}

/* What went wrong; NULL if nothing did. */
static const char *judge(const struct outcome *outcome, const struct outcome *good)
{
    if (outcome->timed_out)
        return "it does not end";
    if (!WIFEXITED(outcome->status))
        return "it crashes";
    if (WEXITSTATUS(outcome->status) > EXIT_CODE_MAX)
        return "a sanitizer complains";
    /* What ends in the middle leaves its memory to the system. */
    if (!outcome->left.returned && WEXITSTATUS(outcome->status) != EXIT_CODE_MAX)
        return "it ends in the middle";
    if (outcome->left.memory != 0)
        return "memory is left";
    if (outcome->left.descriptors > good->left.descriptors)
        return "descriptors are left open";
    if (WEXITSTATUS(outcome->status) < WEXITSTATUS(good->status))
        return "it says that all is better";
    if (outcome->status != good->status)
        return outcome->len[0] + outcome->len[1] > 0 ? NULL : "it fails without a word";
    if (strcmp(outcome->output[0], good->output[0]) != 0 ||
        !same_ready(outcome->output[1], good->output[1]))
        return "it succeeds with something else";
    return NULL;
}

static bool report(size_t n, const char *complaint, const struct outcome *outcome)
{
    if (complaint == NULL)
        return true;
    printf("call %zu: %s: status %d, pieces of memory left %ld, descriptors open %d\n%s%s", n,
           complaint, outcome->status, outcome->left.memory, outcome->left.descriptors,
           outcome->output[0], outcome->output[1]);
    return false;
}

int main(int argc, char *argv[])
{
    static struct outcome good, outcome;
    size_t n = 0, bad = 0, same = 0;

    if (argc < 3)
        return 2;
    enum alloc_mode mode = strcmp(argv[1], "always") == 0 ? ALLOC_ALWAYS : ALLOC_ONCE;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("mmap");
    setvbuf(stdout, NULL, _IONBF, 0);
    run(0, mode, argc - 2, argv + 2, &good);
    bool sound = report(0, judge(&good, &good), &good);
    while (sound) {
        run(++n, mode, argc - 2, argv + 2, &outcome);
        if (!alloc_has_failed())
            break;
        same += outcome.status == good.status;
        bad += !report(n, judge(&outcome, &good), &outcome);
    }
    printf("of %zu calls for memory %zu failed, %zu of them without harm\n", good.left.calls, n - 1,
           same);
    printf("%zu passed, %zu failed\n", n - 1 - bad, bad);
    return !sound || n == 1 || bad > 0;
}
