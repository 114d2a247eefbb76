#include "tests/bench/crowd.h"
#include "tests/bench/meter.h"
#include "tests/bench/scenario.h"

#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define SETTLE_NS INT64_C(500000000) /* from the last connection until memory counts */

int idle_run(const struct options *o)
{
    char buf[METER_REPORT_MAX];
    struct jsonw w;
    struct meter growth, hold;
    int rc = -1;
    struct crowd c = {.options = o, .n_websites = o->websites, .losses_count = true};
    meter_start(&growth, o);
    if (crowd_connect(&c))
        goto out;
    double connect_s = (double)(clock_mono_ns() - growth.t0) / 1e9;
    struct meter accepted = growth;
    meter_stop(&accepted);
    crowd_run(&c, clock_mono_ns() + SETTLE_NS);
    meter_start(&hold, o);
    crowd_run(&c, clock_mono_ns() + (int64_t)(o->seconds * 1e9));
    meter_stop(&hold);
    meter_stop(&growth);
    meter_begin(&w, buf, "idle");
    jsonw_kv_int(&w, "websites", o->websites);
    jsonw_kv_int(&w, "closed", c.closed);
    jsonw_kv_int(&w, "not_greeted", o->dialect == DIALECT_TELERELAY ? c.to_greet : 0);
    jsonw_kv_num(&w, "connect_seconds", connect_s);
    meter_put_memory(&w, &growth, o->websites > c.closed ? o->websites - c.closed : 1);
    jsonw_key(&w, "accept");
    jsonw_lit(&w, "{");
    meter_put_cpu(&w, &accepted, o->websites);
    jsonw_lit(&w, "}");
    jsonw_key(&w, "hold"); /* per connection and second */
    jsonw_lit(&w, "{");
    meter_put_cpu(&w, &hold, o->websites * meter_seconds(&hold));
    jsonw_lit(&w, "}");
    rc = meter_end(&w);
out:
    crowd_finish(&c);
    return rc;
}
