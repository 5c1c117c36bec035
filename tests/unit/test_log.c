/* SPDX-License-Identifier: MIT
 * log.c: the lines, and that no reader of them can stop the writer. Each test gives this process a
 * standard error of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>

/* The program links the module too, so its copy in here has other names. */
#define log_set_level tested_set_level
#define log_open tested_open
#define log_fd tested_fd
#define log_begin tested_begin
#define log_word tested_word
#define log_number tested_number
#define log_quoted tested_quoted
#define log_end tested_end
#define log_text tested_text
#define log_findings tested_findings
#include "log.c"

#define PATIENCE 10 /* seconds until something that must not wait has waited too long */
#define TAKEN_MAX (1u << 20)

static int kept_stderr = -1;
static int reader = -1; /* the other end of standard error */

static void become_stderr(int fd)
{
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    close(fd);
    log_open();
}

static void log_to_pipe(void)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    reader = ends[0];
    assert_int_equal(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
    become_stderr(ends[1]);
}

static void log_to_socket(void)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    reader = ends[0];
    assert_int_equal(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
    become_stderr(ends[1]);
}

/* Everything that has been logged by now. */
static char *take_log(void)
{
    static char taken[TAKEN_MAX];
    size_t len = 0;
    ssize_t n;

    while (len < sizeof taken - 1 && (n = read(reader, taken + len, sizeof taken - 1 - len)) > 0)
        len += (size_t)n;
    taken[len] = '\0';
    return taken;
}

static void expect_log(const char *expected)
{
    assert_string_equal(take_log(), expected);
}

/* Logs until the reader's end is full and lines are lost; the number of lines that were not. */
static unsigned fill(void)
{
    unsigned written = 0;

    alarm(PATIENCE);
    while (out.lost == 0) {
        log_text(LOG_INFO, "fill", "%01000d", 0);
        written++;
    }
    alarm(0);
    return written - 1;
}

static unsigned count_lines(const char *text, const char *beginning)
{
    unsigned count = 0;

    for (const char *at = text; (at = strstr(at, beginning)) != NULL; at++)
        count += at == text || at[-1] == '\n';
    return count;
}

static void test_a_line_golden(void **state)
{
    struct log_line line;

    (void)state;
    log_to_pipe();
    log_begin(&line, LOG_WARNING, "fetch");
    log_word(&line, "domain", "example.com");
    log_number(&line, "status", -200);
    log_quoted(&line, "agent", "a b", 3);
    log_end(&line);
    expect_log("level=warning event=fetch domain=example.com status=-200 agent=\"a b\"\n");
}

static void test_a_text_golden(void **state)
{
    (void)state;
    log_to_pipe();
    log_text(LOG_ERROR, "metrics", "cannot write %s: %d", "a file", 5);
    expect_log("level=error event=metrics text=\"cannot write a file: 5\"\n");
}

static void test_hostile_bytes_stay_inside_their_quotes(void **state)
{
    static const char agent[] = "x\" level=error\n\x1b[2J\\\xff\0y";
    struct log_line line;

    (void)state;
    log_to_pipe();
    log_begin(&line, LOG_INFO, "fetch");
    log_quoted(&line, "agent", agent, sizeof agent - 1);
    log_end(&line);
    expect_log("level=info event=fetch "
               "agent=\"x\\\" level=error\\x0a\\x1b[2J\\x5c\\xff\\x00y\"\n");
}

static void test_a_text_is_escaped_too(void **state)
{
    (void)state;
    log_to_pipe();
    log_text(LOG_INFO, "x", "%s", "a\"\nb");
    expect_log("level=info event=x text=\"a\\\"\\x0ab\"\n");
}

static void test_a_quoted_value_is_cut_at_200_characters(void **state)
{
    char value[300], expected[300];
    struct log_line line;

    (void)state;
    log_to_pipe();
    memset(value, 'v', sizeof value);
    log_begin(&line, LOG_INFO, "x");
    log_quoted(&line, "k", value, sizeof value);
    log_end(&line);
    snprintf(expected, sizeof expected, "level=info event=x k=\"%.200s\"\n", value);
    expect_log(expected);
}

static void test_a_cut_does_not_go_through_an_escape(void **state)
{
    char value[202];
    struct log_line line;

    (void)state;
    log_to_pipe();
    memset(value, 'v', sizeof value);
    value[197] = '\xff'; /* four characters, and three are left */
    log_begin(&line, LOG_INFO, "x");
    log_quoted(&line, "k", value, sizeof value);
    log_end(&line);
    const char *log = take_log();
    assert_null(strchr(log, '\\'));
    assert_string_equal(log + strlen(log) - 3, "v\"\n");
}

static void test_what_does_not_fit_into_a_line_is_left_out_whole(void **state)
{
    char value[200];
    struct log_line line;

    (void)state;
    log_to_pipe();
    memset(value, 'v', sizeof value);
    log_begin(&line, LOG_INFO, "x");
    for (int i = 0; i < 10; i++)
        log_quoted(&line, "k", value, sizeof value);
    log_number(&line, "n", 1);
    log_end(&line);
    const char *log = take_log();
    assert_true(strlen(log) <= LOG_LINE_MAX);
    assert_int_equal(count_lines(log, "level="), 1);
    assert_string_equal(log + strlen(log) - 7, "v\" n=1\n");
}

static void test_a_long_text_is_cut_and_the_line_ends(void **state)
{
    (void)state;
    log_to_pipe();
    log_text(LOG_INFO, "x", "%05000d", 0);
    const char *log = take_log();
    assert_true(strlen(log) <= LOG_LINE_MAX);
    assert_int_equal(count_lines(log, "level="), 1);
    assert_string_equal(log + strlen(log) - 3, "0\"\n");
}

static void test_lines_above_the_level_are_dropped(void **state)
{
    (void)state;
    log_to_pipe();
    log_set_level(LOG_ERROR);
    log_text(LOG_DEBUG, "a", "x");
    log_text(LOG_INFO, "b", "x");
    log_text(LOG_WARNING, "c", "x");
    log_text(LOG_ERROR, "d", "x");
    expect_log("level=error event=d text=\"x\"\n");
    log_set_level(LOG_DEBUG);
    log_text(LOG_DEBUG, "e", "x");
    expect_log("level=debug event=e text=\"x\"\n");
}

static void test_findings_golden(void **state)
{
    struct finding_list findings = {0};

    (void)state;
    log_to_pipe();
    log_set_level(LOG_DEBUG);
    finding_add(&findings, FINDING_ERROR, "MX", (struct place){"a b.ini", 12, 0}, "not \"%s\"",
                "x");
    finding_add(&findings, FINDING_WARNING, "AGE", (struct place){NULL, 0, 0}, "short");
    finding_add(&findings, FINDING_INFO, "ORDER", (struct place){"a.ini", 0, 3}, "first");
    findings.out_of_memory = true;
    log_findings(&findings);
    expect_log("level=error event=finding code=MX file=\"a b.ini\" line=12 text=\"not \\\"x\\\"\"\n"
               "level=warning event=finding code=AGE text=\"short\"\n"
               "level=debug event=finding code=ORDER file=\"a.ini\" text=\"first\"\n"
               "level=error event=finding text=\"out of memory; findings are missing\"\n");
    finding_list_free(&findings);
}

static void test_a_full_pipe_is_not_waited_for(void **state)
{
    (void)state;
    log_to_pipe();
    unsigned written = fill();
    assert_true(written > 0);
    const char *log = take_log();
    assert_int_equal(count_lines(log, "level=info event=fill"), written);
    assert_int_equal(log[strlen(log) - 1], '\n');
}

static void test_a_full_socket_is_not_waited_for(void **state)
{
    (void)state;
    log_to_socket();
    unsigned written = fill();
    assert_true(written > 0);
    assert_int_equal(count_lines(take_log(), "level=info event=fill"), written);
}

static void test_lost_lines_are_counted_behind_the_next_one(void **state)
{
    (void)state;
    log_to_pipe();
    fill(); /* loses one */
    for (int i = 0; i < 41; i++)
        log_text(LOG_INFO, "more", "%01000d", 0);
    take_log();
    log_text(LOG_INFO, "again", "x");
    expect_log("level=info event=again text=\"x\"\n"
               "level=warning event=log_lost lines=42\n");
    log_text(LOG_INFO, "again", "x");
    expect_log("level=info event=again text=\"x\"\n");
}

static void test_lines_lost_to_the_level_are_not_counted(void **state)
{
    (void)state;
    log_to_pipe();
    fill();
    log_text(LOG_DEBUG, "more", "x");
    take_log();
    log_text(LOG_INFO, "again", "x");
    assert_int_equal(count_lines(take_log(), "level=warning event=log_lost lines=1\n"), 1);
}

static void test_a_pipe_shared_with_others_stays_as_it_is(void **state)
{
    (void)state;
    log_to_pipe();
    assert_int_equal(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(fcntl(log_fd(), F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(fcntl(log_fd(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void test_a_reader_that_is_gone_is_passed_over(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as main does */
    log_to_pipe();
    close(reader);
    reader = -1;
    log_text(LOG_INFO, "x", "x");
    assert_int_equal(out.lost, 1);
    log_to_socket();
    close(reader);
    reader = -1;
    log_text(LOG_INFO, "x", "x");
    assert_int_equal(out.lost, 2);
}

static void test_a_closed_standard_error_is_passed_over(void **state)
{
    (void)state;
    close(STDERR_FILENO);
    log_open();
    log_text(LOG_INFO, "x", "x");
    assert_int_equal(out.lost, 1);
}

static void test_a_file_is_written_to(void **state)
{
    char name[] = "/tmp/mta-stsd-test-XXXXXX";
    int fd = mkstemp(name);

    (void)state;
    reader = open(name, O_RDONLY);
    unlink(name);
    become_stderr(fd);
    log_text(LOG_INFO, "a", "x");
    log_text(LOG_INFO, "b", "x");
    expect_log("level=info event=a text=\"x\"\nlevel=info event=b text=\"x\"\n");
}

static int set_up(void **state)
{
    (void)state;
    kept_stderr = dup(STDERR_FILENO);
    out.level = LOG_INFO;
    out.fd = STDERR_FILENO;
    out.is_socket = false;
    out.lost = 0;
    return kept_stderr < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (reader >= 0)
        close(reader);
    reader = -1;
    if (out.fd != STDERR_FILENO)
        close(out.fd);
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_line_golden),
        TEST(test_a_text_golden),
        TEST(test_hostile_bytes_stay_inside_their_quotes),
        TEST(test_a_text_is_escaped_too),
        TEST(test_a_quoted_value_is_cut_at_200_characters),
        TEST(test_a_cut_does_not_go_through_an_escape),
        TEST(test_what_does_not_fit_into_a_line_is_left_out_whole),
        TEST(test_a_long_text_is_cut_and_the_line_ends),
        TEST(test_lines_above_the_level_are_dropped),
        TEST(test_findings_golden),
        TEST(test_a_full_pipe_is_not_waited_for),
        TEST(test_a_full_socket_is_not_waited_for),
        TEST(test_lost_lines_are_counted_behind_the_next_one),
        TEST(test_lines_lost_to_the_level_are_not_counted),
        TEST(test_a_pipe_shared_with_others_stays_as_it_is),
        TEST(test_a_reader_that_is_gone_is_passed_over),
        TEST(test_a_closed_standard_error_is_passed_over),
        TEST(test_a_file_is_written_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
