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

static void runs(void **state)
{
    (void)state;
    char run[RKEY_RUN_MAX], info[200];
    rkey_run_id(run, "# Server\r\nredis_version:7.0.15\r\nrun_id:5b6d7cc4c0de8dbe\r\ntcp_port:0\r\n");
    assert_string_equal(run, "5b6d7cc4c0de8dbe");
    rkey_run_id(run, "# Server\nrun_id:5b6d");
    assert_string_equal(run, "5b6d");
    static const char *const none[] = {"", "run_id:", "# Server\r\nmaster_run_id:1\r\n", "# Server\r\nrun_id:\r\n"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        rkey_run_id(run, none[i]);
        assert_string_equal(run, "");
    }
    memset(info, 'a', sizeof(info));
    memcpy(info, "\nrun_id:", 8);
    info[8 + RKEY_RUN_MAX] = '\0';
    rkey_run_id(run, info);
    assert_string_equal(run, "");
    info[8 + RKEY_RUN_MAX - 1] = '\0';
    rkey_run_id(run, info);
    assert_int_equal(strlen(run), RKEY_RUN_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(joins), cmocka_unit_test(bounded), cmocka_unit_test(runs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
