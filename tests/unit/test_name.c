/* SPDX-License-Identifier: MIT
 * name.c: which DNS names are names, and the decoding of Punycode. Each name lies in a block of its
 * very length, without a NUL, so that a byte too far is seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "name.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static char *exactly(const char *name, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);

    assert_non_null(copy);
    memcpy(copy, name, len);
    return copy;
}

static bool is_valid(const char *name, size_t len)
{
    const char *reason = NULL;
    char *copy = exactly(name, len);
    bool valid = name_is_valid(copy, len, &reason);

    assert_true(valid == (reason == NULL));
    assert_true(valid == name_is_valid(copy, len, NULL));
    free(copy);
    return valid;
}

static bool is_ipv4(const char *name)
{
    char *copy = exactly(name, strlen(name));
    bool result = name_is_ipv4(copy, strlen(name));

    free(copy);
    return result;
}

static bool punycode_ok(const char *name)
{
    char *copy = exactly(name, strlen(name));
    bool result = name_punycode_ok(copy, strlen(name));

    free(copy);
    return result;
}

/* Labels of label_len octets, and dots, up to len octets; never a dot at the end. */
static void fill(char *name, size_t len, size_t label_len)
{
    for (size_t i = 0; i < len; i++)
        name[i] = i % (label_len + 1) == label_len ? '.' : 'm';
    name[len] = '\0';
}

static void test_names_of_letters_digits_and_hyphens_are_valid(void **state)
{
    static const char *const names[] = {
        "a",          "7",         "mail.example.com", "MAIL.Example.COM", "1.2.3.4",
        "a-b.c--d.e", "xn--a.com", "0-0.example",      "a.b.c.d.e.f.g",    "3com.com",
        "localhost",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        if (!is_valid(names[i], strlen(names[i])))
            fail_msg("%s", names[i]);
}

static void test_anything_else_is_not_valid(void **state)
{
    static const char *const names[] = {
        "",
        ".",
        "..",
        "a.",
        ".a",
        "a..b",
        "-a",
        "a-",
        "-",
        "a.-b",
        "a-.b",
        "a_b",
        "*.a",
        "a b",
        " a",
        "a ",
        "a\t",
        "a\n",
        "a\r",
        "a:25",
        "[1.2.3.4]",
        "a/b",
        "a@b",
        "a,b",
        "a;b",
        "a#b",
        "a\x7f",
        "\xc3\xbc.a",
        "a\xff",
        "\x80",
        "a\\b",
        "\"a\"",
        "a'b",
        "a%b",
        "a+b",
        "a.b.c_.d",
        "@",
        "`",
        "{",
        "/",
        "a\xe3\x80\x82z",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        if (is_valid(names[i], strlen(names[i])))
            fail_msg("%s", names[i]);
    assert_false(is_valid("a\0b", 3));
    assert_false(is_valid("a\0", 2));
}

static void test_reason_is_part_of_a_sentence(void **state)
{
    static const struct {
        const char *name, *reason;
    } table[] = {
        {"", "is empty"},
        {"a..b", "has an empty label"},
        {"a_b", "has a character that is not a letter, a digit, a hyphen or a dot"},
        {"a-.b", "has a label that begins or ends with a hyphen"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        const char *reason = NULL;
        assert_false(name_is_valid(table[i].name, strlen(table[i].name), &reason));
        assert_string_equal(reason, table[i].reason);
    }
}

static void test_label_of_63_octets_is_valid(void **state)
{
    char name[64 + 1];

    (void)state;
    fill(name, 63, 63);
    assert_true(is_valid(name, 63));
}

static void test_label_of_64_octets_is_not_valid(void **state)
{
    char name[64 + 4 + 1];

    (void)state;
    fill(name, 64, 64);
    assert_false(is_valid(name, 64));
    memcpy(name + 64, ".com", 5);
    assert_false(is_valid(name, 68));
}

static void test_name_of_253_octets_is_valid(void **state)
{
    char name[260];

    (void)state;
    fill(name, 253, 63);
    assert_true(is_valid(name, 253));
    fill(name, 253, 1);
    assert_true(is_valid(name, 253));
}

static void test_name_of_254_octets_is_not_valid(void **state)
{
    char name[260];

    (void)state;
    fill(name, 254, 63);
    assert_false(is_valid(name, 254));
}

static void test_four_numbers_are_an_ipv4_address(void **state)
{
    static const char *const names[] = {"192.0.2.1", "0.0.0.0", "127.0.0.1", "999.999.999.999"};

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        assert_true(is_ipv4(names[i]));
}

static void test_other_names_are_no_ipv4_address(void **state)
{
    static const char *const names[] = {
        "",         "1",         "1.2.3",    "1.2.3.4.5", "1.2.3.a", "1.2.3.",
        "1..2.3",   "...",       ".1.2.3.4", "1.2.3.4.",  "....",    "a.b.c.d",
        "1.2.3.-4", "[1.2.3.4]", "::1",      "1.2.3. 4",  "1,2,3,4", "mail.example.com",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        if (is_ipv4(names[i]))
            fail_msg("%s", names[i]);
}

static void test_names_that_end_in_a_number_are_found(void **state)
{
    static const char *const numbers[] = {"1", "1.2.3", "192.0.2.1", "mail.123", "*.123"};
    static const char *const others[] = {"",          "a1",         "1.a",      "mail.1a",
                                         "mail.a1",   "mail.123.",  "mail.1-2", "123.example",
                                         "mail-1.2a", "mail.x-123", "."};

    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++)
        if (!name_ends_in_number(numbers[i], strlen(numbers[i])))
            fail_msg("%s", numbers[i]);
    for (size_t i = 0; i < COUNT(others); i++)
        if (name_ends_in_number(others[i], strlen(others[i])))
            fail_msg("%s", others[i]);
}

/* RFC 3492 section 7.1, from (A) to (R); (S) is ASCII through and through. */
static void test_samples_of_rfc_3492_decode(void **state)
{
    static const char *const names[] = {
        "xn--egbpdaj6bu4bxfgehfvwxn",
        "xn--ihqwcrb4cv8a8dqg056pqjye",
        "xn--ihqwctvzc91f659drss3x8bo0yb",
        "xn--Proprostnemluvesky-uyb24dma41a",
        "xn--4dbcagdahymbxekheh6e0a7fei0b",
        "xn--i1baa7eci9glrd9b2ae1bj0hfcgg6iyaf8o0a1dig0cd",
        "xn--n8jok5ay5dzabd5bym9f0cm5685rrjetr6pdxa",
        "xn--989aomsvi5e83db1d2a355cv1e0vak1dwrv93d5xbh15a0dt30a5jpsd879ccm6fea98c",
        "xn--b1abfaaepdrnnbgefbaDotcwatmq2g4l",
        "xn--PorqunopuedensimplementehablarenEspaol-fmd56a",
        "xn--TisaohkhngthchnitingVit-kjcr8268qyxafd2f1b9g",
        "xn--3B-ww4c5e180e575a65lsy2b",
        "xn---with-SUPER-MONKEYS-pc58ag80a8qai00g7n9n",
        "xn--Hello-Another-Way--fc4qua05auwb3674vfr0b",
        "xn--2-u9tlzr9756bt3uc0v",
        "xn--MajiKoi5-783gue6qz075azm5e",
        "xn--de-jg4avhby1noc0d",
        "xn--d9juau41awczczp",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        if (!punycode_ok(names[i]))
            fail_msg("%s", names[i]);
}

static void test_names_with_good_a_labels_decode(void **state)
{
    static const char *const names[] = {
        "",
        "mail.example.com",
        "xn-a.example",           /* no A-label */
        "axn--a.example",         /* neither */
        "xn--mnchen-3ya.example", /* u with diaeresis */
        "MAIL.XN--MNCHEN-3YA.DE", /* case does not count */
        "xn--bcher-kva.xn--zckzah",
        "mx.xn--p1ai",
        "xn--6a.example",    /* U+00A0 */
        "xn--hb9b.example",  /* U+D7FF, the last below the surrogates */
        "xn--0y0c.example",  /* U+E000, the first above them */
        "xn--dn32g.example", /* U+10FFFF */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        if (!punycode_ok(names[i]))
            fail_msg("%s", names[i]);
}

static void test_a_labels_that_cannot_be_decoded_are_found(void **state)
{
    static const char *const names[] = {
        "xn--", /* nothing */
        "xn--.example",
        "xn--mnchen-3y.example",      /* cut */
        "xn--mnchen-.example",        /* nothing behind the delimiter */
        "xn--mnchen-3ya\xc3.example", /* no digit */
        "xn--mnchen-3_a.example",
        "xn---foo.example",           /* a hyphen in front delimits nothing */
        "xn--9999999999a.example",    /* above U+10FFFF */
        "xn--99999999999999.example", /* more than 32 bits */
        "xn--99999999999999999999999999999999999999999999999999999999999.example",
        "xn--zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz.example",
        "xn--a.example",      /* U+0080 */
        "xn--5a.example",     /* U+009F */
        "xn--ib9b.example",   /* U+D800 */
        "xn--zy0c.example",   /* U+DFFF */
        "xn--en32g.example",  /* U+110000 */
        "mail.example.xn--0", /* the last label counts too */
        "XN--MNCHEN-3Y.example",
        "xn--bcher-kva.xn--bcher-kv",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        if (punycode_ok(names[i]))
            fail_msg("%s", names[i]);
}

static void test_lower_changes_ascii_letters_only(void **state)
{
    char name[] = "AZaz09-._@[`{\xc3\x9c\xc0";

    (void)state;
    name_lower(name);
    assert_string_equal(name, "azaz09-._@[`{\xc3\x9c\xc0");
}

static void test_equal_ignores_case_of_ascii_letters(void **state)
{
    (void)state;
    assert_true(name_equal("Mail.EXAMPLE.com", 16, "mail.example.COM", 16));
    assert_true(name_equal("", 0, "", 0));
}

static void test_equal_compares_whole_names(void **state)
{
    static const struct {
        const char *a, *b;
    } table[] = {
        {"mail.example.com", "mail.example.co"},
        {"mail.example.com", "mail.example.com."},
        {"a", ""},
        {"a", "b"},
        {"@", "`"},
        {"[", "{"},
        {"\xc3\x9c", "\xc3\xbc"},
        {"a-b", "a_b"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        assert_false(name_equal(table[i].a, strlen(table[i].a), table[i].b, strlen(table[i].b)));
        assert_false(name_equal(table[i].b, strlen(table[i].b), table[i].a, strlen(table[i].a)));
    }
    assert_false(name_equal("a\0b", 3, "a\0c", 3));
    assert_true(name_equal("abc", 2, "abd", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_letters_digits_and_hyphens_are_valid),
        cmocka_unit_test(test_anything_else_is_not_valid),
        cmocka_unit_test(test_reason_is_part_of_a_sentence),
        cmocka_unit_test(test_label_of_63_octets_is_valid),
        cmocka_unit_test(test_label_of_64_octets_is_not_valid),
        cmocka_unit_test(test_name_of_253_octets_is_valid),
        cmocka_unit_test(test_name_of_254_octets_is_not_valid),
        cmocka_unit_test(test_four_numbers_are_an_ipv4_address),
        cmocka_unit_test(test_other_names_are_no_ipv4_address),
        cmocka_unit_test(test_names_that_end_in_a_number_are_found),
        cmocka_unit_test(test_samples_of_rfc_3492_decode),
        cmocka_unit_test(test_names_with_good_a_labels_decode),
        cmocka_unit_test(test_a_labels_that_cannot_be_decoded_are_found),
        cmocka_unit_test(test_lower_changes_ascii_letters_only),
        cmocka_unit_test(test_equal_ignores_case_of_ascii_letters),
        cmocka_unit_test(test_equal_compares_whole_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
