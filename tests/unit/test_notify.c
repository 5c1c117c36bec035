/* SPDX-License-Identifier: MIT
 * notify.c: sockets handed over by LISTEN_FDS, states told over NOTIFY_SOCKET.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

/* The program links the module too, so its copy in here has other names. */
#define notify_take_listeners tested_take_listeners
#define notify_open tested_open
#define notify_send tested_send
#include "notify.c"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define PATIENCE 10 /* seconds until something that must not wait has waited too long */

static struct finding_list findings;
static int fds[NOTIFY_LISTEN_MAX];
static size_t count;

static int open_socket(int type, bool listening)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, type, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&any, sizeof any), 0);
    if (listening)
        assert_int_equal(listen(fd, 1), 0);
    return fd;
}

/* Moves a descriptor to where the service manager would have put it. */
static void hand_over(int fd, int place)
{
    if (fd == place)
        return;
    assert_int_equal(dup2(fd, place), place);
    close(fd);
}

static void close_handed_over(void)
{
    for (int fd = FIRST_FD; fd < FIRST_FD + NOTIFY_LISTEN_MAX + 1; fd++)
        close(fd);
}

static bool take(const char *pid, const char *number)
{
    char own[24];

    snprintf(own, sizeof own, "%d", (int)getpid());
    if (pid != NULL)
        setenv("LISTEN_PID", strcmp(pid, "own") == 0 ? own : pid, 1);
    if (number != NULL)
        setenv("LISTEN_FDS", number, 1);
    setenv("LISTEN_FDNAMES", "names", 1);
    return notify_take_listeners(fds, &count, &findings);
}

static void test_without_variables_nothing_is_taken(void **state)
{
    (void)state;
    assert_true(take(NULL, NULL));
    assert_int_equal(count, 0);
    assert_int_equal(findings.count, 0);
}

static void test_listening_sockets_are_taken_in_order(void **state)
{
    (void)state;
    hand_over(open_socket(SOCK_STREAM, true), FIRST_FD);
    hand_over(open_socket(SOCK_STREAM, true), FIRST_FD + 1);
    assert_true(take("own", "2"));
    assert_int_equal(count, 2);
    assert_int_equal(fds[0], FIRST_FD);
    assert_int_equal(fds[1], FIRST_FD + 1);
    assert_int_equal(findings.count, 0);
}

static void test_taken_sockets_do_not_block_and_are_closed_on_exec(void **state)
{
    (void)state;
    hand_over(open_socket(SOCK_STREAM, true), FIRST_FD);
    assert_true(take("own", "1"));
    assert_int_equal(fcntl(FIRST_FD, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(fcntl(FIRST_FD, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void test_as_many_as_there_is_room_for_are_taken(void **state)
{
    int fd = open_socket(SOCK_STREAM, true);

    (void)state;
    for (int place = FIRST_FD; place < FIRST_FD + NOTIFY_LISTEN_MAX; place++)
        if (place != fd)
            assert_int_equal(dup2(fd, place), place);
    assert_true(take("own", "64"));
    assert_int_equal(count, NOTIFY_LISTEN_MAX);
}

static void test_the_variables_are_removed(void **state)
{
    static const char *const pids[] = {"own", "1", "nonsense"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(pids); i++) {
        take(pids[i], "0");
        assert_null(getenv("LISTEN_PID"));
        assert_null(getenv("LISTEN_FDS"));
        assert_null(getenv("LISTEN_FDNAMES"));
    }
}

static void test_another_process_s_sockets_are_left_alone(void **state)
{
    static const char *const pids[] = {"1", "", "0", "nonsense", "-1", "99999999999999999999"};

    (void)state;
    hand_over(open_socket(SOCK_STREAM, true), FIRST_FD);
    for (size_t i = 0; i < COUNT_OF(pids); i++) {
        assert_true(take(pids[i], "1"));
        assert_int_equal(count, 0);
        assert_int_equal(findings.count, 0);
        assert_int_equal(fcntl(FIRST_FD, F_GETFL) & O_NONBLOCK, 0);
    }
}

static void test_no_number_of_sockets_means_none(void **state)
{
    (void)state;
    assert_true(take("own", NULL));
    assert_int_equal(count, 0);
    assert_true(take("own", "0"));
    assert_int_equal(count, 0);
}

static void test_a_number_that_is_none_or_too_large_is_an_error(void **state)
{
    static const char *const numbers[] = {"",   "x",    "-1",         "1x",
                                          "65", "1000", "4294967297", "18446744073709551617"};

    (void)state;
    hand_over(open_socket(SOCK_STREAM, true), FIRST_FD);
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        char text[128];
        snprintf(text, sizeof text, "LISTEN_FDS=%s is not a number up to 64", numbers[i]);
        assert_false(take("own", numbers[i]));
        assert_int_equal(count, 0);
        assert_int_equal(findings.errors, i + 1);
        assert_string_equal(findings.items[i].code, "LISTEN_FDS");
        assert_string_equal(findings.items[i].text, text);
    }
}

static void expect_fault(int fd, const char *fault)
{
    char text[128];

    if (fd >= 0)
        hand_over(fd, FIRST_FD);
    snprintf(text, sizeof text, "descriptor 3, handed over by LISTEN_FDS, %s", fault);
    assert_false(take("own", "1"));
    assert_int_equal(findings.errors, 1);
    assert_string_equal(findings.items[0].code, "LISTEN_FDS");
    assert_string_equal(findings.items[0].text, text);
}

static void test_what_is_no_socket_is_an_error(void **state)
{
    (void)state;
    expect_fault(open("/dev/null", O_RDWR), "is not a socket");
}

static void test_a_descriptor_that_is_not_open_is_an_error(void **state)
{
    (void)state;
    expect_fault(-1, "is not a socket");
}

static void test_a_socket_that_does_not_listen_is_an_error(void **state)
{
    (void)state;
    expect_fault(open_socket(SOCK_STREAM, false), "is not a stream socket that listens");
}

static void test_a_datagram_socket_is_an_error(void **state)
{
    (void)state;
    expect_fault(open_socket(SOCK_DGRAM, false), "is not a stream socket that listens");
}

static void test_every_bad_descriptor_is_named(void **state)
{
    (void)state;
    hand_over(open("/dev/null", O_RDWR), FIRST_FD);
    hand_over(open_socket(SOCK_STREAM, true), FIRST_FD + 1);
    hand_over(open_socket(SOCK_STREAM, false), FIRST_FD + 2);
    assert_false(take("own", "3"));
    assert_int_equal(findings.errors, 2);
    assert_non_null(strstr(findings.items[0].text, "descriptor 3,"));
    assert_non_null(strstr(findings.items[1].text, "descriptor 5,"));
}

/* A service manager's end: at a path or, where that begins with "@", at an abstract name. */
static int listen_for_states(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    memcpy(address.sun_path, name, strlen(name));
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static void expect_state(int fd, const char *expected)
{
    char state[2 * STATE_MAX];
    ssize_t n = recv(fd, state, sizeof state - 1, 0);

    assert_true(n >= 0);
    state[n] = '\0';
    assert_string_equal(state, expected);
}

static void expect_no_state(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
}

static char own_name[64];

static const char *choose_name(const char *prefix)
{
    snprintf(own_name, sizeof own_name, "%smta-stsd-test-%d", prefix, (int)getpid());
    return own_name;
}

static void test_a_state_goes_to_a_path(void **state)
{
    int fd = listen_for_states(choose_name("/tmp/"));

    (void)state;
    notify_open();
    notify_send("READY=%d\nSTATUS=%s\n", 1, "fine");
    expect_state(fd, "READY=1\nSTATUS=fine\n");
    expect_no_state(fd);
    close(fd);
    unlink(own_name);
}

static void test_a_state_goes_to_an_abstract_name(void **state)
{
    int fd = listen_for_states(choose_name("@"));

    (void)state;
    notify_open();
    notify_send("STOPPING=1\n");
    expect_state(fd, "STOPPING=1\n");
    close(fd);
}

static void test_a_long_state_is_cut(void **state)
{
    char text[2 * STATE_MAX], expected[STATE_MAX];
    int fd = listen_for_states(choose_name("@"));

    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    memcpy(expected, text, sizeof expected);
    expected[sizeof expected - 1] = '\0';
    notify_open();
    notify_send("%s", text);
    expect_state(fd, expected);
    close(fd);
}

static void test_names_that_are_none_are_passed_over(void **state)
{
    char longest[sizeof(struct sockaddr_un)];
    const char *const names[] = {"", "/", "@", "relative", "vsock:2:1234", longest};

    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[0] = '/';
    longest[sizeof((struct sockaddr_un *)0)->sun_path] = '\0';
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        notify_open();
        assert_int_equal(notify_fd, -1);
        notify_send("READY=1\n");
    }
}

static void test_without_the_variable_nothing_is_opened(void **state)
{
    (void)state;
    notify_open();
    assert_int_equal(notify_fd, -1);
    notify_send("READY=1\n");
}

static void test_a_service_manager_that_is_gone_is_passed_over(void **state)
{
    (void)state;
    setenv("NOTIFY_SOCKET", choose_name("@"), 1);
    notify_open();
    assert_int_equal(notify_fd, -1);
    int fd = listen_for_states(own_name);
    notify_open();
    close(fd);
    notify_send("READY=1\n");
}

static void test_a_service_manager_that_does_not_read_is_not_waited_for(void **state)
{
    int fd = listen_for_states(choose_name("@"));

    (void)state;
    notify_open();
    alarm(PATIENCE);
    for (int i = 0; i < 5000; i++)
        notify_send("STATUS=%d\n", i);
    alarm(0);
    expect_state(fd, "STATUS=0\n");
    close(fd);
}

static int reset(void **state)
{
    (void)state;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    unsetenv("NOTIFY_SOCKET");
    close_handed_over();
    finding_list_free(&findings);
    findings = (struct finding_list){0};
    count = 99;
    if (notify_fd >= 0)
        close(notify_fd);
    notify_fd = -1;
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, reset, reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_without_variables_nothing_is_taken),
        TEST(test_listening_sockets_are_taken_in_order),
        TEST(test_taken_sockets_do_not_block_and_are_closed_on_exec),
        TEST(test_as_many_as_there_is_room_for_are_taken),
        TEST(test_the_variables_are_removed),
        TEST(test_another_process_s_sockets_are_left_alone),
        TEST(test_no_number_of_sockets_means_none),
        TEST(test_a_number_that_is_none_or_too_large_is_an_error),
        TEST(test_what_is_no_socket_is_an_error),
        TEST(test_a_descriptor_that_is_not_open_is_an_error),
        TEST(test_a_socket_that_does_not_listen_is_an_error),
        TEST(test_a_datagram_socket_is_an_error),
        TEST(test_every_bad_descriptor_is_named),
        TEST(test_a_state_goes_to_a_path),
        TEST(test_a_state_goes_to_an_abstract_name),
        TEST(test_a_long_state_is_cut),
        TEST(test_names_that_are_none_are_passed_over),
        TEST(test_without_the_variable_nothing_is_opened),
        TEST(test_a_service_manager_that_is_gone_is_passed_over),
        TEST(test_a_service_manager_that_does_not_read_is_not_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
