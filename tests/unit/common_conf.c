#include "common/conf.h"
#include "common/conf_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGS_MAX 16

static char dir[] = "/tmp/telerelay-conf-XXXXXX";
static char path[64];
static struct conf conf;
static char *said_out, *said_err;

static void write_file(const char *text, size_t len)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    fclose(f);
}

/* Arguments are separated by newlines; the file is named unless `args` does. */
static int to_argv(char *buf, size_t cap, char **argv, const char *args)
{
    int argc = 0;
    snprintf(buf, cap, "telerelay-wsd\n--config\n%s%s%s", path, *args != '\0' ? "\n" : "", args);
    for (char *save = NULL, *at = strtok_r(buf, "\n", &save); at != NULL; at = strtok_r(NULL, "\n", &save)) {
        assert_true(argc < ARGS_MAX);
        argv[argc++] = at;
    }
    return argc;
}

static void forget(void)
{
    free(said_out);
    free(said_err);
    said_out = said_err = NULL;
}

static enum conf_result load_bytes(const char *text, size_t len, const char *args)
{
    char buf[1024], *argv[ARGS_MAX];
    size_t out_len, err_len;
    forget();
    write_file(text, len);
    FILE *out = open_memstream(&said_out, &out_len);
    FILE *err = open_memstream(&said_err, &err_len);
    assert_true(out != NULL && err != NULL);
    int argc = to_argv(buf, sizeof buf, argv, args);
    enum conf_result result = conf_load(&conf, "telerelay-wsd", "wsd", argc, argv, out, err);
    fclose(out);
    fclose(err);
    return result;
}

static enum conf_result load(const char *text, const char *args)
{
    return load_bytes(text, strlen(text), args);
}

static void says(const char *part)
{
    char expected[512];
    const char *file = strstr(part, "FILE");
    if (file != NULL)
        snprintf(expected, sizeof expected, "%.*s%s%s", (int)(file - part), part, path, file + 4);
    else
        snprintf(expected, sizeof expected, "%s", part);
    if (strstr(said_err, expected) == NULL)
        fail_msg("\"%s\" is not in:\n%s", expected, said_err);
}

static void defaults(void **state)
{
    (void)state;
    assert_int_equal(load("", ""), CONF_RUN);
    assert_string_equal(said_err, "");
    assert_string_equal(conf.file, path);
    assert_string_equal(conf.redis.address, "unix:/run/redis/redis-server.sock");
    assert_string_equal(conf.wsd.name, "wsd-1");
    assert_int_equal(conf.wsd.website_rate, 100);
    assert_int_equal(conf.wsd.video_bytes, 528384);
    assert_int_equal(conf.wsd.log_level, LOG_INFO);
    assert_int_equal(conf.api.workers, 4);
    assert_string_equal(conf.robot.url, "ws://localhost:8000/ws/telemetry/");
    assert_true(conf.robot.interval == 3);
    assert_int_equal(conf.robot.deadman_ms, 300);
    assert_string_equal(conf.robot.token_file, "");
    assert_int_equal(conf.wsd.control, CONF_SHARED);
    assert_int_equal(conf.wsd.control_ms, 2000);
    assert_int_equal(conf.wsd.silence_ms, 250);
    assert_int_equal(conf.wsd.audit_maxlen, 100000);
    assert_int_equal(conf.wsd.events_maxlen, 100000);
    assert_string_equal(conf.robot.spool, "");
    assert_int_equal(conf.robot.heartbeat_ms, 200);
    assert_int_equal(conf.robot.fresh_ms, 600);
    assert_false(conf.robot.require_fresh);
}

static void precedence(void **state)
{
    (void)state;
    const char *file = "[wsd]\nwebsite_rate = 1\nrobot_rate=2\nping_s : 3\n[redis]\naddress=127.0.0.1:6379\n"
                       "[wsd]\nlog_level = debug ; a comment\n";
    assert_int_equal(load(file, ""), CONF_RUN);
    assert_int_equal(conf.wsd.website_rate, 1);
    assert_int_equal(conf.wsd.robot_rate, 2);
    assert_int_equal(conf.wsd.ping_s, 3);
    assert_int_equal(conf.wsd.log_level, LOG_DEBUG);
    assert_string_equal(conf.redis.address, "127.0.0.1:6379");
    setenv("TELERELAY_WSD_WEBSITE_RATE", "10", 1);
    setenv("TELERELAY_REDIS_ADDRESS", "unix:/tmp/r.sock", 1);
    setenv("TELERELAY_OTHER_THING", "x", 1);
    assert_int_equal(load(file, ""), CONF_RUN);
    assert_int_equal(conf.wsd.website_rate, 10);
    assert_string_equal(conf.redis.address, "unix:/tmp/r.sock");
    assert_int_equal(load(file, "--website-rate\n20\n--redis-address=[::1]:7000\n--robot-interval=0.5\n--wsd-ping-s=1"),
                     CONF_RUN);
    assert_int_equal(conf.wsd.website_rate, 20);
    assert_int_equal(conf.wsd.robot_rate, 2);
    assert_int_equal(conf.wsd.ping_s, 1);
    assert_string_equal(conf.redis.address, "[::1]:7000");
    assert_true(conf.robot.interval == 0.5);
    unsetenv("TELERELAY_WSD_WEBSITE_RATE");
    unsetenv("TELERELAY_REDIS_ADDRESS");
    unsetenv("TELERELAY_OTHER_THING");
}

static void faults_of_values(void **state)
{
    (void)state;
    assert_int_equal(load("[wsd]\nwebsite_rate = abc\nlisten = localhost:80\nname = a b\nlog_level = loud\n"
                          "[robot]\nurl = http://x\ndriver = real\ninterval = 0.01\ndeadman_ms = 1e2\n"
                          "device_id = \n[api]\nworkers = 65\n",
                          "--check-config"),
                     CONF_FAULT);
    assert_int_equal(conf_exit_code(CONF_FAULT), 1);
    says("FILE:2: [wsd] website_rate = abc: must be a whole number from 0 to 100000 (messages per second)\n");
    says("FILE:3: [wsd] listen = localhost:80: must be unix:/path (at most 107 bytes) or HOST:PORT with a numeric "
         "host\n");
    says("FILE:4: [wsd] name = a b: must be 1 to 63 characters of A-Z a-z 0-9 _ . -\n");
    says("FILE:5: [wsd] log_level = loud: must be one of debug, info, warn, error\n");
    says("FILE:7: [robot] url = http://x: must be ws://");
    says("FILE:8: [robot] driver = real: must be one of sim\n");
    says("FILE:9: [robot] interval = 0.01: must be a number from 0.05 to 3600 (s)\n");
    says("FILE:10: [robot] deadman_ms = 1e2: must be a whole number from 50 to 5000 (ms)\n");
    says("FILE:11: [robot] device_id = : must be 1 to 64 characters");
    says("FILE:13: [api] workers = 65: must be a whole number from 1 to 64 (processes)\n");
    setenv("TELERELAY_WSD_WEBSITE_RATE", "-1", 1);
    assert_int_equal(load("", "--robot-rate=99999999999"), CONF_USAGE);
    says("TELERELAY_WSD_WEBSITE_RATE: [wsd] website_rate = -1: must be");
    says("--robot-rate: [wsd] robot_rate = 99999999999: must be");
    unsetenv("TELERELAY_WSD_WEBSITE_RATE");
    assert_int_equal(load("[wsd]\nping_s = 5\n", ""), CONF_USAGE);
    says("[wsd] hangup_s = 4: must be more than ping_s (5)\n");
    assert_int_equal(conf_exit_code(CONF_USAGE), 2);
}

/* Words that stand for something: who may drive, yes and no. */
static void words(void **state)
{
    (void)state;
    assert_int_equal(load("[wsd]\ncontrol = exclusive\n[robot]\nrequire_fresh = yes\n", ""), CONF_RUN);
    assert_int_equal(conf.wsd.control, CONF_EXCLUSIVE);
    assert_true(conf.robot.require_fresh);
    assert_int_equal(load("[wsd]\ncontrol = exclusive\n[robot]\nrequire_fresh = yes\n",
                          "--control=shared\n--robot-require-fresh=no"),
                     CONF_RUN);
    assert_int_equal(conf.wsd.control, CONF_SHARED);
    assert_false(conf.robot.require_fresh);
    setenv("TELERELAY_WSD_CONTROL", "exclusive", 1);
    assert_int_equal(load("[wsd]\ncontrol = shared\n", ""), CONF_RUN);
    assert_int_equal(conf.wsd.control, CONF_EXCLUSIVE);
    unsetenv("TELERELAY_WSD_CONTROL");
    static const char *const not_control[] = {"", "Shared", "exclusive2", "both", "1"};
    static const char *const not_bool[] = {"", "true", "1", "Yes", "yes please"};
    for (size_t i = 0; i < sizeof not_control / sizeof not_control[0]; i++) {
        char text[128], expected[128];
        snprintf(text, sizeof text, "[wsd]\ncontrol = %s\n[robot]\nrequire_fresh = %s\n", not_control[i], not_bool[i]);
        assert_int_equal(load(text, ""), CONF_USAGE);
        snprintf(expected, sizeof expected, "FILE:2: [wsd] control = %s: must be shared or exclusive\n",
                 not_control[i]);
        says(expected);
        snprintf(expected, sizeof expected, "FILE:4: [robot] require_fresh = %s: must be yes or no\n", not_bool[i]);
        says(expected);
    }
    assert_int_equal(load("[wsd]\ncontrol_ms = 999\nsilence_ms = 5001\naudit_maxlen = -1\nevents_maxlen = x\n"
                          "[robot]\nheartbeat_ms = 501\nfresh_ms = 99\n",
                          ""),
                     CONF_USAGE);
    says("FILE:2: [wsd] control_ms = 999: must be a whole number from 1000 to 60000 (ms)\n");
    says("FILE:3: [wsd] silence_ms = 5001: must be a whole number from 50 to 5000 (ms)\n");
    says("FILE:4: [wsd] audit_maxlen = -1: must be a whole number from 0 to 100000000 (commands)\n");
    says("FILE:5: [wsd] events_maxlen = x: must be a whole number from 0 to 100000000 (events)\n");
    says("FILE:7: [robot] heartbeat_ms = 501: must be a whole number from 50 to 500 (ms)\n");
    says("FILE:8: [robot] fresh_ms = 99: must be a whole number from 100 to 10000 (ms)\n");
}

static void faults_of_files(void **state)
{
    (void)state;
    assert_int_equal(load("stray = 1\n[wsd]\nwebsite_rat = 1\nzzzzzzzzz = 2\n[nowhere]\na = b\n[redis]\nno pair here\n"
                          "address = unix:/a\naddress = unix:/b\n[wsd\nname = x\n   indented\n",
                          ""),
                     CONF_USAGE);
    says("FILE:1: stray is outside of any section\n");
    says("FILE:3: [wsd] has no key website_rat; did you mean website_rate?\n");
    says("FILE:4: [wsd] has no key zzzzzzzzz; it has name, listen, max_connections,");
    says("FILE:5: unknown section [nowhere]; there are [redis] [wsd] [api] [archive] [robot]\n");
    says("FILE:8: must be \"key = value\", [section] or a comment\n");
    says("FILE:10: [redis] address is set twice, first in line 9\n");
    says("FILE:11: a section must end with ]\n");
    says("FILE:13: must be \"key = value\"");
    assert_int_equal(load_bytes("[wsd]\nname = a\0b\n", 17, ""), CONF_USAGE);
    says("FILE:2: the line has a NUL byte\n");
    static char text[3000];
    memset(text, 'x', sizeof text - 1);
    memcpy(text, "[wsd]\n# ", 8);
    assert_int_equal(load(text, ""), CONF_USAGE);
    says("FILE:2: a line may have at most 1022 bytes\n");
    assert_int_equal(load("", "--config=/nonexistent/x.conf"), CONF_USAGE);
    says("/nonexistent/x.conf: No such file or directory\n");
    assert_int_equal(load("", "--config=/tmp"), CONF_USAGE);
    says("/tmp: ");
}

static void accepts_files(void **state)
{
    (void)state;
    assert_int_equal(
        load("\xef\xbb\xbf# comment\r\n; comment\r\n\r\n  [wsd]\r\n\tname\t=\twsd-7\t\r\n#[x\n[redis]", ""), CONF_RUN);
    assert_string_equal(conf.wsd.name, "wsd-7");
    assert_int_equal(load("[wsd]\nname = wsd-9", ""), CONF_RUN); /* no newline at the end */
    assert_string_equal(conf.wsd.name, "wsd-9");
    setenv("TELERELAY_CONFIG", "/nonexistent/x.conf", 1);
    assert_int_equal(load("[wsd]\nname = wsd-8\n", ""), CONF_RUN); /* --config wins */
    assert_string_equal(conf.wsd.name, "wsd-8");
    unsetenv("TELERELAY_CONFIG");
}

static void command_line(void **state)
{
    (void)state;
    assert_int_equal(load("[", "--version"), CONF_DONE);
    assert_string_equal(said_out, "telerelay-wsd " TELERELAY_VERSION "\n");
    assert_int_equal(load("[", "--help"), CONF_DONE);
    assert_non_null(strstr(said_out, "\n  --website-rate VALUE\n"));
    assert_non_null(strstr(said_out, "\n  --redis-password-file VALUE\n"));
    assert_null(strstr(said_out, "deadman"));
    assert_int_equal(load("", "--check-config"), CONF_DONE);
    assert_string_equal(said_out, "telerelay-wsd: configuration ok\n");
    assert_int_equal(conf_exit_code(CONF_DONE), 0);
    assert_int_equal(load("", "--nonsense"), CONF_USAGE);
    says("telerelay-wsd: unknown flag: --nonsense (try --help)\n");
    assert_int_equal(load("", "--name"), CONF_USAGE);
    says("telerelay-wsd: a value is missing after: --name");
    assert_int_equal(load("", "stray"), CONF_USAGE);
    says("telerelay-wsd: unexpected argument: stray");
    assert_int_equal(load("", "--website_rate=1"), CONF_USAGE);
    assert_int_equal(load("", "--"), CONF_USAGE);
    setenv("TELERELAY_WSD_WEBSITE_RAT", "1", 1);
    assert_int_equal(load("", ""), CONF_USAGE);
    says("TELERELAY_WSD_WEBSITE_RAT: [wsd] has no key website_rat; did you mean website_rate?\n");
    unsetenv("TELERELAY_WSD_WEBSITE_RAT");
}

static void reload(void **state)
{
    (void)state;
    char buf[512], *argv[ARGS_MAX];
    size_t len;
    assert_int_equal(load("[wsd]\nwebsite_rate = 1\nname = a\n", "--robot-rate=5"), CONF_RUN);
    const char *changed = "[wsd]\nwebsite_rate = 2\nname = b\nlog_level = warn\nrobot_rate = 6\n"
                          "control = exclusive\nsilence_ms = 300\n";
    write_file(changed, strlen(changed));
    int argc = to_argv(buf, sizeof buf, argv, "--robot-rate=5");
    forget();
    FILE *err = open_memstream(&said_err, &len);
    assert_int_equal(conf_reload(&conf, "telerelay-wsd", "wsd", argc, argv, err), 0);
    fclose(err);
    assert_int_equal(conf.wsd.website_rate, 2);
    assert_int_equal(conf.wsd.robot_rate, 5);
    assert_int_equal(conf.wsd.log_level, LOG_WARN);
    assert_string_equal(conf.wsd.name, "a");
    assert_int_equal(conf.wsd.control, CONF_SHARED);
    assert_int_equal(conf.wsd.silence_ms, 300);
    assert_string_equal(said_err, "[wsd] name changed: takes effect after a restart\n"
                                  "[wsd] control changed: takes effect after a restart\n");
    forget();
    write_file("[wsd]\nwebsite_rate = x\n", 23);
    err = open_memstream(&said_err, &len);
    assert_int_equal(conf_reload(&conf, "telerelay-wsd", "wsd", argc, argv, err), -1);
    fclose(err);
    assert_int_equal(conf.wsd.website_rate, 2);
    says("FILE:2: [wsd] website_rate = x: must be");
}

/* The manual page names every key with what is allowed and its default. */
static void manual(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    conf_print_man(f);
    fclose(f);
    static const char *const parts[] = {
        "telerelay.conf(5)\n\n# NAME\n",
        "\n# SECTION wsd\n",
        "\n*control*\n\twho may drive: shared (anyone) or exclusive",
        ".++\nshared or exclusive; default shared\n",
        "\n*silence\\_ms* (reload)\n\ttime without a motion command",
        ".++\na whole number from 50 to 5000 (ms); default 250\n",
        "\n*require\\_fresh*\n",
        ".++\nyes or no; default no\n",
        "\n*spool*\n",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strstr(text, parts[i]) == NULL)
            fail_msg("\"%s\" is not in the manual", parts[i]);
    }
    size_t keys = 0;
    for (const char *at = text; (at = strstr(at, "; default ")) != NULL; at++)
        keys++;
    assert_int_equal(keys, conf_table_len);
    free(text);
}

/* The example names every key; as it is and with every # of a key removed, it means the defaults. */
static void example(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    conf_print_example(f);
    fclose(f);
    assert_int_equal(load(text, ""), CONF_RUN);
    struct conf by_default = conf;
    for (size_t i = 0; i < conf_table_len; i++) {
        char line[128];
        snprintf(line, sizeof line, "\n#%s =", conf_table[i].name);
        assert_non_null(strstr(text, line));
    }
    for (char *at = text; (at = strstr(at, "\n#")) != NULL; at++) {
        if (at[2] != ' ')
            at[1] = ' ';
    }
    assert_int_equal(load(text, ""), CONF_RUN);
    assert_memory_equal(&conf, &by_default, sizeof conf);
    free(text);
}

static void addresses(void **state)
{
    (void)state;
    const char *sock = "unchanged";
    char host[64] = "unchanged";
    int port = -7;
    static const char *const bad[] = {"",           "unix:",       "unix:relative",   "localhost:80", "127.0.0.1",
                                      "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:8x", ":80",
                                      "[::1]",      "::1:80",      "[127.0.0.1]:80",  "127.1:80",     "[]:1",
                                      "1.2.3.4: 5", "1.2.3.4:-5"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (conf_parse_address(bad[i], &sock, host, &port) == 0)
            fail_msg("accepted: %s", bad[i]);
        assert_string_equal(sock, "unchanged");
        assert_string_equal(host, "unchanged");
        assert_int_equal(port, -7);
    }
    assert_int_equal(conf_parse_address("unix:/run/x.sock", &sock, host, &port), 0);
    assert_string_equal(sock, "/run/x.sock");
    assert_int_equal(conf_parse_address("127.0.0.1:8001", &sock, host, &port), 0);
    assert_null(sock);
    assert_string_equal(host, "127.0.0.1");
    assert_int_equal(port, 8001);
    assert_int_equal(conf_parse_address("[::1]:65535", &sock, host, &port), 0);
    assert_string_equal(host, "::1");
    assert_int_equal(port, 65535);
    char longest[256] = "unix:/";
    memset(longest + 6, 'a', 106);
    assert_int_equal(conf_parse_address(longest, &sock, host, &port), 0);
    longest[112] = 'a';
    assert_int_equal(conf_parse_address(longest, &sock, host, &port), -1);
}

static void secrets(void **state)
{
    (void)state;
    char secret[16], err[256];
    write_file("s3cret\r\nsecond\n", 15);
    assert_int_equal(conf_read_secret(path, secret, sizeof secret, err, sizeof err), 0);
    assert_string_equal(secret, "s3cret");
    write_file("fifteen bytes!!", 15);
    assert_int_equal(conf_read_secret(path, secret, sizeof secret, err, sizeof err), 0);
    assert_string_equal(secret, "fifteen bytes!!");
    write_file("sixteen bytes!!!", 16);
    assert_int_equal(conf_read_secret(path, secret, sizeof secret, err, sizeof err), -1);
    assert_non_null(strstr(err, "longer than 15 bytes"));
    assert_null(strstr(err, "sixteen"));
    write_file("", 0);
    assert_int_equal(conf_read_secret(path, secret, sizeof secret, err, sizeof err), -1);
    write_file("\nx", 2);
    assert_int_equal(conf_read_secret(path, secret, sizeof secret, err, sizeof err), -1);
    write_file("a\0b\n", 4);
    assert_int_equal(conf_read_secret(path, secret, sizeof secret, err, sizeof err), -1);
    assert_int_equal(conf_read_secret("/nonexistent/x", secret, sizeof secret, err, sizeof err), -1);
    assert_string_equal(err, "/nonexistent/x: No such file or directory");
    assert_string_equal(secret, "fifteen bytes!!");
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/t.conf", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    forget();
    unlink(path);
    return rmdir(dir);
}

static void verbs_among_flags(void **state)
{
    static const struct {
        const char *args;
        const char *left, *words;
        int n;
    } cases[] = {
        {"archive migrate", "", "archive migrate ", 2},
        {"archive migrate --config f", "--config f ", "archive migrate ", 2},
        {"--config f archive migrate", "--config f ", "archive migrate ", 2},
        {"--config=f archive --wsd-name x migrate", "--config=f --wsd-name x ", "archive migrate ", 2},
        {"--check-config archive --version", "--check-config --version ", "archive ", 1},
        {"--config", "--config ", "", 0},
        {"a b c d", "", "a b c ", 4},
        {"-x a --wsd-rate -1", "-x --wsd-rate -1 ", "a ", 1},
        {"", "", "", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char buf[128], left[128] = "", words_text[128] = "", *argv[ARGS_MAX] = {"telerelayctl"};
        const char *words[3];
        int argc = 1;
        snprintf(buf, sizeof(buf), "%s", cases[i].args);
        for (char *save = NULL, *at = strtok_r(buf, " ", &save); at != NULL; at = strtok_r(NULL, " ", &save))
            argv[argc++] = at;
        assert_int_equal(conf_words(&argc, argv, words, 3), cases[i].n);
        assert_null(argv[argc]);
        for (int k = 1; k < argc; k++)
            strcat(strcat(left, argv[k]), " ");
        for (int k = 0; k < cases[i].n && k < 3; k++)
            strcat(strcat(words_text, words[k]), " ");
        assert_string_equal(left, cases[i].left);
        assert_string_equal(words_text, cases[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verbs_among_flags),
        cmocka_unit_test(defaults),
        cmocka_unit_test(precedence),
        cmocka_unit_test(faults_of_values),
        cmocka_unit_test(faults_of_files),
        cmocka_unit_test(words),
        cmocka_unit_test(manual),
        cmocka_unit_test(accepts_files),
        cmocka_unit_test(command_line),
        cmocka_unit_test(reload),
        cmocka_unit_test(example),
        cmocka_unit_test(addresses),
        cmocka_unit_test(secrets),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
