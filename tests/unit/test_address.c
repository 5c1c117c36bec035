/* SPDX-License-Identifier: MIT
 * address.c: addresses from text and back, and what counts as one source.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>

#include "address.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static struct address parse(const char *text)
{
    struct address address;

    if (!address_parse(text, &address))
        fail_msg("%s is refused", text);
    return address;
}

static void expect_format(const char *text, const char *with_port, const char *without)
{
    struct address address = parse(text);
    char formatted[ADDRESS_TEXT_SIZE];

    address_format(&address, true, formatted);
    assert_string_equal(formatted, with_port);
    address_format(&address, false, formatted);
    assert_string_equal(formatted, without);
}

static void test_addresses_are_written_as_they_are_read(void **state)
{
    static const struct {
        const char *text, *without_port;
    } cases[] = {
        {"192.0.2.1:443", "192.0.2.1"},
        {"0.0.0.0:0", "0.0.0.0"},
        {"255.255.255.255:65535", "255.255.255.255"},
        {"[2001:db8::1]:443", "2001:db8::1"},
        {"[::]:443", "::"},
        {"[::1]:0", "::1"},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect_format(cases[i].text, cases[i].text, cases[i].without_port);
}

static void test_an_ipv4_address_in_ipv6_is_written_as_ipv4(void **state)
{
    (void)state;
    expect_format("[::ffff:192.0.2.1]:8443", "192.0.2.1:8443", "192.0.2.1");
    expect_format("[::ffff:c000:201]:1", "192.0.2.1:1", "192.0.2.1");
}

static void test_ipv6_is_written_in_its_short_form(void **state)
{
    (void)state;
    expect_format("[2001:0DB8:0:0:0:0:0:1]:00443", "[2001:db8::1]:443", "2001:db8::1");
}

static void test_what_is_no_address_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        ":",
        ":443",
        "443",
        "192.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:-1",
        "192.0.2.1:65536",
        "192.0.2.1:000443",
        "192.0.2.1:4x",
        "192.0.2.1:443 ",
        " 192.0.2.1:443",
        "192.0.2:443",
        "192.0.2.256:443",
        "192.0.2.01:443",
        "2001:db8::1:443",
        "[2001:db8::1]",
        "[2001:db8::1]443",
        "[2001:db8::1:443",
        "2001:db8::1]:443",
        "[]:443",
        "[:443",
        "[[::1]]:443",
        "[192.0.2.1]:443",
        "[fe80::1%lo]:443",
        "localhost:443",
        "*:443",
        "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]:443",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct address address;
        if (address_parse(texts[i], &address))
            fail_msg("\"%s\" is accepted", texts[i]);
    }
}

static void test_the_length_is_that_of_the_family(void **state)
{
    (void)state;
    assert_int_equal(parse("192.0.2.1:1").len, sizeof(struct sockaddr_in));
    assert_int_equal(parse("[::1]:1").len, sizeof(struct sockaddr_in6));
}

static void test_an_address_of_another_family_is_unknown(void **state)
{
    struct address address = {.storage.ss_family = AF_UNIX};
    char text[ADDRESS_TEXT_SIZE];

    (void)state;
    address_format(&address, false, text);
    assert_string_equal(text, "unknown");
}

static void test_a_port_can_be_set(void **state)
{
    static const char *const texts[] = {"192.0.2.1:1", "[2001:db8::1]:1"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct address address = parse(texts[i]);
        assert_int_equal(address_port(&address), 1);
        address_set_port(&address, 65280);
        assert_int_equal(address_port(&address), 65280);
    }
}

static void test_only_unspecified_addresses_become_loopback(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"0.0.0.0:443", "127.0.0.1:443"},
        {"[::]:443", "[::1]:443"},
        {"192.0.2.1:443", "192.0.2.1:443"},
        {"[2001:db8::1]:443", "[2001:db8::1]:443"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct address address = parse(cases[i].text);
        char text[ADDRESS_TEXT_SIZE];
        address_to_loopback(&address);
        address_format(&address, true, text);
        assert_string_equal(text, cases[i].expected);
    }
}

static bool same_source(const char *a, const char *b)
{
    struct address x = parse(a), y = parse(b);
    struct address_source source_x = address_source(&x), source_y = address_source(&y);

    return memcmp(&source_x, &source_y, sizeof source_x) == 0;
}

static void test_one_source_is_an_ipv4_address_or_an_ipv6_64(void **state)
{
    (void)state;
    assert_true(same_source("192.0.2.1:1", "192.0.2.1:2"));
    assert_false(same_source("192.0.2.1:1", "192.0.2.2:1"));
    assert_true(same_source("192.0.2.1:1", "[::ffff:192.0.2.1]:1"));
    assert_false(same_source("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1"));
    assert_true(same_source("[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff:ffff:ffff:ffff]:2"));
    assert_false(same_source("[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1"));
    /* ::/64 is not the IPv4 addresses. */
    assert_false(same_source("[::1]:1", "[::ffff:0.0.0.1]:1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_written_as_they_are_read),
        cmocka_unit_test(test_an_ipv4_address_in_ipv6_is_written_as_ipv4),
        cmocka_unit_test(test_ipv6_is_written_in_its_short_form),
        cmocka_unit_test(test_what_is_no_address_is_refused),
        cmocka_unit_test(test_the_length_is_that_of_the_family),
        cmocka_unit_test(test_an_address_of_another_family_is_unknown),
        cmocka_unit_test(test_a_port_can_be_set),
        cmocka_unit_test(test_only_unspecified_addresses_become_loopback),
        cmocka_unit_test(test_one_source_is_an_ipv4_address_or_an_ipv6_64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
