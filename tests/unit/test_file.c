/* SPDX-License-Identifier: MIT
 * file.c: whole files read, other things refused, and changes on disk noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define PATIENCE 10 /* seconds until something that must not wait has waited too long */

/* A directory for this run, and names in it. */
static char directory[] = "/tmp/mta-stsd-test-XXXXXX";
static char path[64], other[64];

static void write_file(const char *name, const void *bytes, size_t len)
{
    FILE *out = fopen(name, "w");

    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
}

static void expect_refused(const char *name, size_t max, const char *expected)
{
    struct file file = {.len = 99};
    const char *why = file_read(name, max, &file);

    assert_non_null(why);
    assert_string_equal(why, expected);
    assert_null(file.bytes);
    assert_int_equal(file.len, 0);
}

static void test_files_of_any_length_are_read_whole(void **state)
{
    static const size_t lengths[] = {0, 1, 65535, 65536, 65537, 131072, 131073, 1000000};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        struct file file;
        size_t len = lengths[i];
        char *bytes = malloc(len + 1);
        assert_non_null(bytes);
        for (size_t b = 0; b < len; b++)
            bytes[b] = (char)(b * 7 % 251);
        bytes[len] = '\0';
        write_file(path, bytes, len);
        assert_null(file_read(path, len, &file));
        assert_int_equal(file.len, len);
        assert_memory_equal(file.bytes, bytes, len + 1);
        file_free(&file);
        free(bytes);
    }
}

static void test_a_file_longer_than_allowed_is_refused(void **state)
{
    (void)state;
    write_file(path, "12345", 5);
    expect_refused(path, 4, "is too large");
    expect_refused(path, 0, "is too large");
}

static void test_a_link_is_followed(void **state)
{
    struct file file;

    (void)state;
    write_file(other, "behind it", 9);
    assert_int_equal(symlink(other, path), 0);
    assert_null(file_read(path, 100, &file));
    assert_string_equal(file.bytes, "behind it");
    file_free(&file);
}

static void test_what_is_not_there_is_refused(void **state)
{
    (void)state;
    expect_refused(path, 100, "No such file or directory");
    assert_int_equal(symlink(other, path), 0);
    expect_refused(path, 100, "No such file or directory");
}

static void test_a_directory_is_refused(void **state)
{
    (void)state;
    expect_refused(directory, 100, "is a directory");
}

static void test_a_device_is_refused(void **state)
{
    (void)state;
    expect_refused("/dev/zero", 100, "is not a regular file");
}

static void test_a_pipe_without_a_writer_is_refused_at_once(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(PATIENCE);
    expect_refused(path, 100, "is not a regular file");
    alarm(0);
}

/* Its writer comes after its reader has begun to wait, or before. */
static void test_a_pipe_is_read_where_it_may_be_one(void **state)
{
    struct file file;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(PATIENCE);
    pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        int fd = open(path, O_WRONLY);
        _exit(fd >= 0 && write(fd, "piped", 5) == 5 ? 0 : 1);
    }
    assert_null(file_read_pipe(path, 100, &file));
    assert_string_equal(file.bytes, "piped");
    file_free(&file);
    assert_int_equal(waitpid(writer, NULL, 0), writer);
    alarm(0);
}

static void test_where_a_pipe_may_be_other_things_are_judged_as_ever(void **state)
{
    struct file file;

    (void)state;
    assert_string_equal(file_read_pipe("/dev/zero", 100, &file), "is not a regular file");
    assert_string_equal(file_read_pipe(directory, 100, &file), "is a directory");
    assert_string_equal(file_read_pipe(path, 100, &file), "No such file or directory");
    write_file(path, "12345", 5);
    assert_string_equal(file_read_pipe(path, 4, &file), "is too large");
}

static void test_a_file_without_the_right_to_read_is_refused(void **state)
{
    uid_t user = geteuid();

    (void)state;
    write_file(path, "x", 1);
    assert_int_equal(chmod(path, 0), 0);
    /* Root may read everything. */
    assert_int_equal(chmod(directory, 0755), 0);
    assert_int_equal(user == 0 ? seteuid(65534) : 0, 0);
    struct file file;
    const char *why = file_read(path, 100, &file);
    assert_int_equal(seteuid(user), 0);
    assert_non_null(why);
    assert_string_equal(why, "Permission denied");
}

static void test_others_may_read_by_the_mode(void **state)
{
    static const struct {
        mode_t mode;
        bool others;
    } cases[] = {{0600, false}, {0640, false}, {0400, false}, {0644, true}, {0604, true}};

    (void)state;
    write_file(path, "x", 1);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct file file;
        assert_int_equal(chmod(path, cases[i].mode), 0);
        assert_null(file_read(path, 100, &file));
        assert_int_equal(file.others_may_read, cases[i].others);
        file_free(&file);
    }
}

/* With standard input being a pipe that holds the bytes. */
static const char *read_standard_input(const char *bytes, size_t max, struct file *file)
{
    int ends[2], kept = dup(STDIN_FILENO);

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], bytes, strlen(bytes)), strlen(bytes));
    close(ends[1]);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    const char *why = file_read("-", max, file);
    if (kept >= 0) {
        dup2(kept, STDIN_FILENO);
        close(kept);
    } else {
        close(STDIN_FILENO);
    }
    return why;
}

static void test_a_hyphen_is_standard_input(void **state)
{
    struct file file;

    (void)state;
    assert_null(read_standard_input("typed", 100, &file));
    assert_string_equal(file.bytes, "typed");
    file_free(&file);
}

static void test_standard_input_is_limited_too(void **state)
{
    struct file file;

    (void)state;
    assert_string_equal(read_standard_input("typed", 4, &file), "is too large");
    assert_null(file.bytes);
}

static void test_freeing_can_be_repeated(void **state)
{
    struct file file;

    (void)state;
    write_file(path, "x", 1);
    assert_null(file_read(path, 100, &file));
    file_free(&file);
    assert_null(file.bytes);
    assert_int_equal(file.len, 0);
    file_free(&file);
}

static bool is_same(const struct file_stamp *before)
{
    struct file_stamp now = file_stamp(path);

    return file_stamp_equal(before, &now);
}

/* Both times, as far from now as no test takes. */
static void set_modified(const char *name, time_t seconds)
{
    const struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};

    assert_int_equal(utimensat(AT_FDCWD, name, times, 0), 0);
}

static void test_a_file_left_alone_keeps_its_stamp(void **state)
{
    struct file file;

    (void)state;
    write_file(path, "x", 1);
    struct file_stamp before = file_stamp(path);
    assert_null(file_read(path, 100, &file));
    file_free(&file);
    assert_true(is_same(&before));
}

static void test_a_file_of_another_size_has_another_stamp(void **state)
{
    (void)state;
    write_file(path, "x", 1);
    struct file_stamp before = file_stamp(path);
    write_file(path, "xy", 2);
    assert_false(is_same(&before));
}

static void test_a_file_of_another_time_has_another_stamp(void **state)
{
    (void)state;
    write_file(path, "x", 1);
    set_modified(path, 1000000000);
    struct file_stamp before = file_stamp(path);
    set_modified(path, 1000000001);
    assert_false(is_same(&before));
}

static void test_a_file_renamed_into_place_has_another_stamp(void **state)
{
    (void)state;
    write_file(path, "x", 1);
    write_file(other, "y", 1);
    struct file_stamp before = file_stamp(path);
    assert_int_equal(rename(other, path), 0);
    assert_false(is_same(&before));
}

static void test_a_link_to_another_file_has_another_stamp(void **state)
{
    char third[80];

    (void)state;
    snprintf(third, sizeof third, "%s.third", other);
    write_file(other, "x", 1);
    write_file(third, "y", 1);
    assert_int_equal(symlink(other, path), 0);
    struct file_stamp before = file_stamp(path), target = file_stamp(other);
    assert_true(file_stamp_equal(&before, &target));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(third, path), 0);
    assert_false(is_same(&before));
    unlink(third);
}

static void test_a_file_is_read_with_its_stamp(void **state)
{
    struct file file;

    (void)state;
    write_file(path, "x", 1);
    assert_int_equal(symlink(path, other), 0);
    assert_null(file_read(other, 100, &file));
    struct file_stamp stamp = file_stamp(path);
    assert_true(file_stamp_equal(&file.stamp, &stamp));
    file_free(&file);
}

static void test_a_stamp_is_settled_when_its_last_change_is_seconds_ago(void **state)
{
    static const struct {
        time_t changed;
        bool settled;
    } cases[] = {{997, true}, {998, false}, {999, false}, {1000, false}, {1001, false}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct file_stamp stamp = {.modified = {1, 0}, .changed = {cases[i].changed, 999999999}};
        assert_int_equal(file_stamp_settled(&stamp, 1000), cases[i].settled);
    }
}

static void test_a_missing_file_has_a_stamp_of_its_own(void **state)
{
    struct file_stamp missing = file_stamp(path), zero = {0};

    (void)state;
    assert_true(file_stamp_equal(&missing, &zero));
    write_file(path, "", 0);
    assert_false(is_same(&missing));
    struct file_stamp before = file_stamp(path);
    unlink(path);
    assert_false(is_same(&before));
}

static void test_every_part_of_a_stamp_counts(void **state)
{
    static const struct file_stamp base = {1, 2, 3, {4, 5}, {6, 7}};
    const struct file_stamp others[] = {
        {9, 2, 3, {4, 5}, {6, 7}}, {1, 9, 3, {4, 5}, {6, 7}}, {1, 2, 9, {4, 5}, {6, 7}},
        {1, 2, 3, {9, 5}, {6, 7}}, {1, 2, 3, {4, 9}, {6, 7}}, {1, 2, 3, {4, 5}, {9, 7}},
        {1, 2, 3, {4, 5}, {6, 9}},
    };

    (void)state;
    assert_true(file_stamp_equal(&base, &base));
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        assert_false(file_stamp_equal(&base, &others[i]));
        assert_int_not_equal(file_stamp_mix(FILE_MIX_START, &base),
                             file_stamp_mix(FILE_MIX_START, &others[i]));
    }
}

static void test_a_mix_depends_on_the_order(void **state)
{
    static const struct file_stamp a = {1, 2, 3, {4, 5}, {6, 7}}, b = {1, 2, 4, {4, 5}, {6, 7}};
    uint64_t ab = file_stamp_mix(file_stamp_mix(FILE_MIX_START, &a), &b);
    uint64_t ba = file_stamp_mix(file_stamp_mix(FILE_MIX_START, &b), &a);

    (void)state;
    assert_int_not_equal(ab, ba);
    assert_int_equal(ab, file_stamp_mix(file_stamp_mix(FILE_MIX_START, &a), &b));
}

static int make_directory(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/file", directory);
    snprintf(other, sizeof other, "%s/other", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

static int clean(void **state)
{
    (void)state;
    unlink(path);
    unlink(other);
    return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_files_of_any_length_are_read_whole),
        TEST(test_a_file_longer_than_allowed_is_refused),
        TEST(test_a_link_is_followed),
        TEST(test_what_is_not_there_is_refused),
        TEST(test_a_directory_is_refused),
        TEST(test_a_device_is_refused),
        TEST(test_a_pipe_without_a_writer_is_refused_at_once),
        TEST(test_a_pipe_is_read_where_it_may_be_one),
        TEST(test_where_a_pipe_may_be_other_things_are_judged_as_ever),
        TEST(test_a_file_without_the_right_to_read_is_refused),
        TEST(test_others_may_read_by_the_mode),
        TEST(test_a_hyphen_is_standard_input),
        TEST(test_standard_input_is_limited_too),
        TEST(test_freeing_can_be_repeated),
        TEST(test_a_file_left_alone_keeps_its_stamp),
        TEST(test_a_file_of_another_size_has_another_stamp),
        TEST(test_a_file_of_another_time_has_another_stamp),
        TEST(test_a_file_renamed_into_place_has_another_stamp),
        TEST(test_a_link_to_another_file_has_another_stamp),
        TEST(test_a_file_is_read_with_its_stamp),
        TEST(test_a_stamp_is_settled_when_its_last_change_is_seconds_ago),
        TEST(test_a_missing_file_has_a_stamp_of_its_own),
        TEST(test_every_part_of_a_stamp_counts),
        TEST(test_a_mix_depends_on_the_order),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
