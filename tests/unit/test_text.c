/* SPDX-License-Identifier: MIT
 * text.c, memory.c and finding.c: text of fixed size, escaping, JSON strings, the arena, and lists
 * of findings as people and as programs read them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "finding.h"
#include "memory.h"
#include "text.h"

static void test_text_begins_empty(void **state)
{
    char buffer[4] = "xyz";
    struct text text;

    (void)state;
    text_init(&text, buffer, sizeof buffer);
    assert_string_equal(buffer, "");
    assert_int_equal(text.len, 0);
    assert_false(text.overflow);
}

static void test_text_appends(void **state)
{
    char buffer[32];
    struct text text;

    (void)state;
    text_init(&text, buffer, sizeof buffer);
    text_add(&text, "one ");
    text_add_bytes(&text, "two three", 4);
    text_addf(&text, "%s-%d", "four", 5);
    assert_string_equal(buffer, "one two four-5");
    assert_int_equal(text.len, 14);
    assert_false(text.overflow);
}

static void test_text_fills_its_buffer_to_the_last_byte(void **state)
{
    char *buffer = malloc(4);
    struct text text;

    (void)state;
    assert_non_null(buffer);
    text_init(&text, buffer, 4);
    text_add(&text, "abc");
    assert_false(text.overflow);
    text_init(&text, buffer, 4);
    text_addf(&text, "%s", "abc");
    assert_false(text.overflow);
    assert_string_equal(buffer, "abc");
    free(buffer);
}

static void test_text_leaves_out_whole_what_does_not_fit(void **state)
{
    char *buffer = malloc(4);
    struct text text;

    (void)state;
    assert_non_null(buffer);
    text_init(&text, buffer, 4);
    text_add(&text, "a");
    text_add(&text, "bcd");
    assert_true(text.overflow);
    assert_string_equal(buffer, "a");
    text_addf(&text, "%s", "bcd");
    assert_string_equal(buffer, "a");
    assert_int_equal(text.len, 1);
    free(buffer);
}

static void test_text_overflow_stays_set(void **state)
{
    char buffer[4];
    struct text text;

    (void)state;
    text_init(&text, buffer, sizeof buffer);
    text_add(&text, "abcd");
    text_add(&text, "a");
    assert_true(text.overflow);
}

static void test_text_of_one_byte_holds_nothing(void **state)
{
    char *buffer = malloc(1);
    struct text text;

    (void)state;
    assert_non_null(buffer);
    text_init(&text, buffer, 1);
    text_add(&text, "");
    text_addf(&text, "%s", "");
    assert_false(text.overflow);
    text_add(&text, "a");
    assert_true(text.overflow);
    assert_string_equal(buffer, "");
    free(buffer);
}

static void test_text_bytes_may_hold_a_nul(void **state)
{
    char buffer[8];
    struct text text;

    (void)state;
    text_init(&text, buffer, sizeof buffer);
    text_add_bytes(&text, "a\0b", 3);
    assert_int_equal(text.len, 3);
    assert_memory_equal(buffer, "a\0b", 4);
}

static void expect_escaped(const char *bytes, size_t len, const char *quote, const char *expected)
{
    char buffer[2048];
    struct text text;

    text_init(&text, buffer, sizeof buffer);
    text_add_escaped(&text, bytes, len, quote);
    assert_false(text.overflow);
    assert_string_equal(buffer, expected);
}

static void test_escaping_leaves_printable_ascii(void **state)
{
    (void)state;
    expect_escaped("plain text, 100% \"so\"", 21, "", "plain text, 100% \"so\"");
    expect_escaped("", 0, "\"", "");
}

static void test_escaping_puts_a_backslash_before_quotes(void **state)
{
    (void)state;
    expect_escaped("say \"hi\" 'x'", 12, "\"", "say \\\"hi\\\" 'x'");
}

static void test_escaping_writes_other_bytes_in_hex(void **state)
{
    (void)state;
    expect_escaped("\0\n\r\t\x1b[31m\x7f\x80\xff\\", 13, "",
                   "\\x00\\x0a\\x0d\\x09\\x1b[31m\\x7f\\x80\\xff\\x5c");
}

static void test_escaped_bytes_are_printable_whatever_they_were(void **state)
{
    char bytes[256], buffer[1025];
    struct text text;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)i;
    text_init(&text, buffer, sizeof buffer);
    text_add_escaped(&text, bytes, sizeof bytes, "\"");
    assert_false(text.overflow);
    assert_int_equal(strlen(buffer), text.len);
    for (size_t i = 0; i < text.len; i++)
        assert_in_range(buffer[i], 0x20, 0x7e);
}

static void test_escaping_never_cuts_an_escape(void **state)
{
    char buffer[8];
    struct text text;

    (void)state;
    text_init(&text, buffer, sizeof buffer);
    text_add_escaped(&text, "ab\n\nc", 5, "");
    assert_true(text.overflow);
    assert_string_equal(buffer, "ab\\x0a");
}

static void expect_json(const char *string, const char *expected)
{
    char *json = NULL;
    size_t size;
    FILE *out = open_memstream(&json, &size);

    assert_non_null(out);
    text_json_string(out, string);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(json, expected);
    free(json);
}

static void test_json_string_golden(void **state)
{
    (void)state;
    expect_json("", "\"\"");
    expect_json("plain / text", "\"plain / text\"");
    expect_json("\"\\", "\"\\\"\\\\\"");
}

static void test_json_string_is_ascii_whatever_it_was(void **state)
{
    (void)state;
    expect_json("\x01\n\x1b\x7f", "\"\\u0001\\u000a\\u001b\\u007f\"");
    expect_json("\x80\xa9\xff", "\"\\u0080\\u00a9\\u00ff\"");
}

static void test_json_string_decodes_utf8(void **state)
{
    (void)state;
    expect_json("caf\xc3\xa9", "\"caf\\u00e9\"");
    expect_json("\xe2\x82\xac\xef\xbf\xbd", "\"\\u20ac\\ufffd\"");
    /* Beyond U+FFFF: a surrogate pair. */
    expect_json("\xf0\x90\x80\x80\xf0\x9f\x8c\x9f\xf4\x8f\xbf\xbf",
                "\"\\ud800\\udc00\\ud83c\\udf1f\\udbff\\udfff\"");
}

static void test_json_string_keeps_bytes_that_are_no_utf8(void **state)
{
    (void)state;
    expect_json("\xc3", "\"\\u00c3\"");                                  /* cut */
    expect_json("\xe2\x82", "\"\\u00e2\\u0082\"");                       /* cut */
    expect_json("\xc0\xaf", "\"\\u00c0\\u00af\"");                       /* too long a form */
    expect_json("\xed\xa0\x80", "\"\\u00ed\\u00a0\\u0080\"");            /* a surrogate */
    expect_json("\xf4\x90\x80\x80", "\"\\u00f4\\u0090\\u0080\\u0080\""); /* no code point */
}

static void test_arena_gives_zeroed_and_aligned_memory(void **state)
{
    struct arena arena = {0};

    (void)state;
    for (size_t size = 1; size < 300; size++) {
        unsigned char *piece = arena_alloc(&arena, size);
        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(piece[i], 0);
        memset(piece, 0xff, size);
    }
    arena_free(&arena);
}

static void test_arena_gives_pieces_larger_than_its_blocks(void **state)
{
    struct arena arena = {0};

    (void)state;
    char *small = arena_alloc(&arena, 10), *large = arena_alloc(&arena, 1000000);
    assert_non_null(small);
    assert_non_null(large);
    memset(large, 1, 1000000);
    assert_int_equal(small[9], 0);
    arena_free(&arena);
}

static void test_arena_refuses_sizes_that_no_memory_has(void **state)
{
    struct arena arena = {0};
    int item = 0;

    (void)state;
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX / 2 + 1));
    assert_null(arena_grow(&arena, &item, (size_t)1 << (sizeof(size_t) * 8 - 2), sizeof item));
    arena_free(&arena);
}

static void test_arena_copy_adds_a_nul(void **state)
{
    struct arena arena = {0};

    (void)state;
    char *copy = arena_copy(&arena, "abcdef", 3);
    assert_string_equal(copy, "abc");
    assert_string_equal(arena_copy(&arena, NULL, 0), "");
    assert_memory_equal(arena_copy(&arena, "a\0b", 3), "a\0b", 4);
    arena_free(&arena);
}

static void test_arena_free_can_be_repeated_and_used_on(void **state)
{
    struct arena arena = {0};

    (void)state;
    arena_free(&arena);
    assert_non_null(arena_alloc(&arena, 1));
    arena_free(&arena);
    arena_free(&arena);
    assert_non_null(arena_alloc(&arena, 1));
    arena_free(&arena);
}

static void test_arena_grow_keeps_every_item(void **state)
{
    struct arena arena = {0};
    unsigned *items = NULL;

    (void)state;
    for (unsigned count = 0; count < 5000; count++) {
        unsigned *grown = arena_grow(&arena, items, count, sizeof *items);
        assert_non_null(grown);
        items = grown;
        items[count] = count;
    }
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(items[i], i);
    arena_free(&arena);
}

static void test_arena_grow_moves_at_powers_of_two_only(void **state)
{
    struct arena arena = {0};
    int *items = NULL;

    (void)state;
    for (size_t count = 0; count < 64; count++) {
        int *grown = arena_grow(&arena, items, count, sizeof *items);
        assert_non_null(grown);
        if (count != 0 && (count & (count - 1)) != 0)
            assert_ptr_equal(grown, items);
        items = grown;
    }
    arena_free(&arena);
}

/* The list as printed for people, or as JSON. */
static char *print(const struct finding_list *list,
                   void (*printer)(const struct finding_list *list, FILE *out))
{
    char *printed = NULL;
    size_t size;
    FILE *out = open_memstream(&printed, &size);

    assert_non_null(out);
    printer(list, out);
    assert_int_equal(fclose(out), 0);
    return printed;
}

static void expect_print(const struct finding_list *list,
                         void (*printer)(const struct finding_list *list, FILE *out),
                         const char *expected)
{
    char *printed = print(list, printer);

    assert_string_equal(printed, expected);
    free(printed);
}

static struct finding_list golden_list(void)
{
    struct finding_list list = {0};

    finding_add(&list, FINDING_ERROR, "MX_SYNTAX", (struct place){"mta-stsd.ini", 12, 0},
                "mx \"%s\" is empty", "");
    finding_add(&list, FINDING_WARNING, "SENDERS_DIFFER", (struct place){"mta-sts.txt", 3, 7},
                "two \\ three");
    finding_add(&list, FINDING_INFO, "REMOVAL", (struct place){"a.ini", 0, 0}, "%d days", 14);
    finding_add(&list, FINDING_WARNING, "MX", (struct place){NULL, 0, 0}, "nowhere");
    finding_add(&list, FINDING_WARNING, "TXT", (struct place){NULL, 1, 9}, "no file");
    return list;
}

static void test_finding_print_golden(void **state)
{
    struct finding_list list = golden_list();

    (void)state;
    expect_print(&list, finding_print,
                 "mta-stsd.ini:12: error[MX_SYNTAX]: mx \"\" is empty\n"
                 "mta-sts.txt:3:7: warning[SENDERS_DIFFER]: two \\x5c three\n"
                 "a.ini: info[REMOVAL]: 14 days\n"
                 "warning[MX]: nowhere\n"
                 "1:9: warning[TXT]: no file\n");
    finding_list_free(&list);
}

static void test_finding_json_golden(void **state)
{
    struct finding_list list = golden_list();

    (void)state;
    expect_print(&list, finding_print_json,
                 "{\"findings\":[\n"
                 " {\"severity\":\"error\",\"code\":\"MX_SYNTAX\",\"file\":\"mta-stsd.ini\","
                 "\"line\":12,\"text\":\"mx \\\"\\\" is empty\"},\n"
                 " {\"severity\":\"warning\",\"code\":\"SENDERS_DIFFER\",\"file\":\"mta-sts.txt\","
                 "\"line\":3,\"column\":7,\"text\":\"two \\\\x5c three\"},\n"
                 " {\"severity\":\"info\",\"code\":\"REMOVAL\",\"file\":\"a.ini\","
                 "\"text\":\"14 days\"},\n"
                 " {\"severity\":\"warning\",\"code\":\"MX\",\"text\":\"nowhere\"},\n"
                 " {\"severity\":\"warning\",\"code\":\"TXT\",\"line\":1,\"column\":9,"
                 "\"text\":\"no file\"}],\n"
                 " \"errors\":1,\"warnings\":3}\n");
    finding_list_free(&list);
}

static void test_empty_list_prints_nothing(void **state)
{
    struct finding_list list = {0};

    (void)state;
    expect_print(&list, finding_print, "");
    expect_print(&list, finding_print_json, "{\"findings\":[],\n \"errors\":0,\"warnings\":0}\n");
}

static void test_findings_are_counted(void **state)
{
    struct finding_list list = golden_list();

    (void)state;
    assert_int_equal(list.count, 5);
    assert_int_equal(list.errors, 1);
    assert_int_equal(list.warnings, 3);
    finding_list_free(&list);
    assert_int_equal(list.count, 0);
}

static void test_list_is_ok_without_an_error(void **state)
{
    struct finding_list list = {0};

    (void)state;
    assert_true(finding_list_ok(&list));
    finding_add(&list, FINDING_WARNING, "X", (struct place){0}, "x");
    assert_true(finding_list_ok(&list));
    finding_add(&list, FINDING_ERROR, "X", (struct place){0}, "x");
    assert_false(finding_list_ok(&list));
    finding_list_free(&list);
}

static void test_lack_of_memory_is_an_error(void **state)
{
    struct finding_list list = {.out_of_memory = true};

    (void)state;
    assert_false(finding_list_ok(&list));
    expect_print(&list, finding_print, "error[NO_MEMORY]: out of memory; findings are missing\n");
    expect_print(&list, finding_print_json, "{\"findings\":[],\n \"errors\":1,\"warnings\":0}\n");
}

static void test_hostile_bytes_of_a_finding_are_escaped(void **state)
{
    struct finding_list list = {0};

    (void)state;
    finding_add(&list, FINDING_ERROR, "X", (struct place){"f", 1, 0}, "%s",
                "\x1b[2J\nf:2: info[OK]: fine\r\xff\x7f");
    expect_print(&list, finding_print,
                 "f:1: error[X]: \\x1b[2J\\x0af:2: info[OK]: fine\\x0d\\xff\\x7f\n");
    finding_list_free(&list);
}

static void test_hostile_bytes_of_a_file_name_are_escaped(void **state)
{
    struct finding_list list = {0};

    (void)state;
    finding_add(&list, FINDING_ERROR, "X", (struct place){"a\n\x1b]0;\xc3\x07\"", 1, 0}, "x");
    expect_print(&list, finding_print, "a\\x0a\\x1b]0;\\xc3\\x07\":1: error[X]: x\n");
    expect_print(&list, finding_print_json,
                 "{\"findings\":[\n {\"severity\":\"error\",\"code\":\"X\","
                 "\"file\":\"a\\u000a\\u001b]0;\\u00c3\\u0007\\\"\",\"line\":1,"
                 "\"text\":\"x\"}],\n \"errors\":1,\"warnings\":0}\n");
    finding_list_free(&list);
}

static void test_finding_owns_its_file_name_and_text(void **state)
{
    char file[] = "a.ini", value[] = "mail";
    struct finding_list list = {0};

    (void)state;
    finding_add(&list, FINDING_ERROR, "X", (struct place){file, 1, 0}, "%s", value);
    memset(file, 'x', strlen(file));
    memset(value, 'x', strlen(value));
    expect_print(&list, finding_print, "a.ini:1: error[X]: mail\n");
    finding_list_free(&list);
}

static void test_finding_of_a_huge_value_is_cut_and_safe(void **state)
{
    struct finding_list list = {0};
    char *value = malloc(100001);

    (void)state;
    assert_non_null(value);
    memset(value, '\xff', 100000);
    value[100000] = '\0';
    finding_add(&list, FINDING_ERROR, "X", (struct place){0}, "%s", value);
    assert_int_equal(list.count, 1);
    assert_int_equal(strlen(list.items[0].text), 4 * 1023);
    finding_list_free(&list);
    free(value);
}

static void test_findings_keep_their_order(void **state)
{
    struct finding_list list = {0};

    (void)state;
    for (unsigned i = 0; i < 3000; i++)
        finding_add(&list, FINDING_INFO, "X", (struct place){"f", i, 0}, "%u", i);
    assert_int_equal(list.count, 3000);
    for (unsigned i = 0; i < 3000; i++)
        assert_int_equal(list.items[i].place.line, i);
    finding_list_free(&list);
}

static void test_severities_have_names(void **state)
{
    (void)state;
    assert_string_equal(finding_severity_name(FINDING_INFO), "info");
    assert_string_equal(finding_severity_name(FINDING_WARNING), "warning");
    assert_string_equal(finding_severity_name(FINDING_ERROR), "error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_begins_empty),
        cmocka_unit_test(test_text_appends),
        cmocka_unit_test(test_text_fills_its_buffer_to_the_last_byte),
        cmocka_unit_test(test_text_leaves_out_whole_what_does_not_fit),
        cmocka_unit_test(test_text_overflow_stays_set),
        cmocka_unit_test(test_text_of_one_byte_holds_nothing),
        cmocka_unit_test(test_text_bytes_may_hold_a_nul),
        cmocka_unit_test(test_escaping_leaves_printable_ascii),
        cmocka_unit_test(test_escaping_puts_a_backslash_before_quotes),
        cmocka_unit_test(test_escaping_writes_other_bytes_in_hex),
        cmocka_unit_test(test_escaped_bytes_are_printable_whatever_they_were),
        cmocka_unit_test(test_escaping_never_cuts_an_escape),
        cmocka_unit_test(test_json_string_golden),
        cmocka_unit_test(test_json_string_is_ascii_whatever_it_was),
        cmocka_unit_test(test_json_string_decodes_utf8),
        cmocka_unit_test(test_json_string_keeps_bytes_that_are_no_utf8),
        cmocka_unit_test(test_arena_gives_zeroed_and_aligned_memory),
        cmocka_unit_test(test_arena_gives_pieces_larger_than_its_blocks),
        cmocka_unit_test(test_arena_refuses_sizes_that_no_memory_has),
        cmocka_unit_test(test_arena_copy_adds_a_nul),
        cmocka_unit_test(test_arena_free_can_be_repeated_and_used_on),
        cmocka_unit_test(test_arena_grow_keeps_every_item),
        cmocka_unit_test(test_arena_grow_moves_at_powers_of_two_only),
        cmocka_unit_test(test_finding_print_golden),
        cmocka_unit_test(test_finding_json_golden),
        cmocka_unit_test(test_empty_list_prints_nothing),
        cmocka_unit_test(test_findings_are_counted),
        cmocka_unit_test(test_list_is_ok_without_an_error),
        cmocka_unit_test(test_lack_of_memory_is_an_error),
        cmocka_unit_test(test_hostile_bytes_of_a_finding_are_escaped),
        cmocka_unit_test(test_hostile_bytes_of_a_file_name_are_escaped),
        cmocka_unit_test(test_finding_owns_its_file_name_and_text),
        cmocka_unit_test(test_finding_of_a_huge_value_is_cut_and_safe),
        cmocka_unit_test(test_findings_keep_their_order),
        cmocka_unit_test(test_severities_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
