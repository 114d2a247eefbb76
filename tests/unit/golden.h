/*
 * The golden samples (tests/golden/README.md), for the tests of messages. Programs run from the top of the source.
 */
#ifndef TELERELAY_TESTS_GOLDEN_H
#define TELERELAY_TESTS_GOLDEN_H

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define GOLDEN_DIR "tests/golden"

/* The caller's, to json_decref. */
static inline json_t *golden_load(const char *name)
{
    char path[512];
    json_error_t error;
    snprintf(path, sizeof path, GOLDEN_DIR "/%s", name);
    json_t *sample = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (sample == NULL)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    return sample;
}

#endif
