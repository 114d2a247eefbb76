#include "common/rkey.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void joins(void **state)
{
    (void)state;
    char key[RKEY_MAX];
    assert_int_equal(rkey_join(key, RKEY_STREAM_PREFIX, "robot_01"), strlen("tr:tel:robot_01"));
    assert_string_equal(key, "tr:tel:robot_01");
    assert_int_equal(rkey_join(key, RCHAN_COMMAND_PREFIX, ""), strlen(RCHAN_COMMAND_PREFIX));
    assert_string_equal(key, RCHAN_COMMAND_PREFIX);
}

static void bounded(void **state)
{
    (void)state;
    char key[RKEY_MAX], id[RKEY_MAX + 10];
    memset(id, 'a', sizeof id);
    size_t prefix = strlen(RKEY_STREAM_PREFIX);
    id[RKEY_MAX - 1 - prefix] = '\0';
    assert_int_equal(rkey_join(key, RKEY_STREAM_PREFIX, id), RKEY_MAX - 1);
    assert_int_equal(strlen(key), RKEY_MAX - 1);
    id[RKEY_MAX - 1 - prefix] = 'a';
    id[RKEY_MAX - prefix] = '\0';
    assert_int_equal(rkey_join(key, RKEY_STREAM_PREFIX, id), 0);
    id[RKEY_MAX - prefix] = 'a';
    id[RKEY_MAX + 9] = '\0';
    assert_int_equal(rkey_join(key, id, "x"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(joins), cmocka_unit_test(bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
