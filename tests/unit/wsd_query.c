#include "wsd/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct query read_args(const char *const *args)
{
    struct query q = {QUERY_WEBSITE, "", ""};
    for (; *args != NULL; args++)
        query_add(&q, *args, strlen(*args));
    return q;
}
#define READ(...) read_args((const char *const[]){__VA_ARGS__, NULL})

static void who(void **state)
{
    (void)state;
    struct query q = READ("a=b", "device_id=robot_01");
    assert_int_equal(q.kind, QUERY_ROBOT);
    assert_string_equal(q.device_id, "robot_01");
    assert_int_equal(READ("device_idx=1", "xdevice_id=1").kind, QUERY_WEBSITE);
    assert_int_equal(READ("device_id").kind, QUERY_BAD_ID);
    assert_int_equal(READ("device_id=").kind, QUERY_BAD_ID);
    assert_int_equal(READ("device_id=a b").kind, QUERY_BAD_ID);
    assert_int_equal(READ("device_id=a/", "device_id=a").kind, QUERY_BAD_ID); /* the first counts */
    q = (struct query){QUERY_WEBSITE, "", ""};
    query_add(&q, "device_id=a\0b", 13);
    assert_int_equal(q.kind, QUERY_BAD_ID);
}

static void what(void **state)
{
    (void)state;
    struct query q = READ("watch=a,b", "watch=c");
    assert_int_equal(q.kind, QUERY_WEBSITE);
    assert_string_equal(q.watch, "a,b");
    assert_string_equal(READ("watch=").watch, "");
    assert_string_equal(READ("watch").watch, "");
    assert_int_equal(READ("watch=a,").kind, QUERY_BAD_WATCH);
    assert_int_equal(READ("watch=,a").kind, QUERY_BAD_WATCH);
    assert_int_equal(READ("watch=a,,b").kind, QUERY_BAD_WATCH);
    assert_int_equal(READ("watch=a b").kind, QUERY_BAD_WATCH);
    assert_int_equal(READ("watch=a b", "device_id=r").kind, QUERY_ROBOT); /* robots watch nothing */
}

static void as_many_as_fit(void **state)
{
    (void)state;
    char arg[8192] = "watch=";
    struct query q = {QUERY_WEBSITE, "", ""};
    size_t len = strlen(arg);
    for (int i = 0; i < MSG_WATCH_MAX; i++)
        len += (size_t)snprintf(arg + len, sizeof(arg) - len, "%s%064d", i > 0 ? "," : "", i);
    query_add(&q, arg, len);
    assert_int_equal(q.kind, QUERY_WEBSITE);
    assert_int_equal(strlen(q.watch), MSG_WATCH_MAX * (MSG_DEVICE_ID_MAX + 1) - 1);
    len += (size_t)snprintf(arg + len, sizeof(arg) - len, ",x");
    q = (struct query){QUERY_WEBSITE, "", ""};
    query_add(&q, arg, len);
    assert_int_equal(q.kind, QUERY_BAD_WATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who),
        cmocka_unit_test(what),
        cmocka_unit_test(as_many_as_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
