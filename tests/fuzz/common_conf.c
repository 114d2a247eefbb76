/* Configuration files: any bytes are either a configuration or named faults. */
#include "common/conf.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char flag[64];
    static FILE *nowhere;
    if (fd < 0) {
        fd = memfd_create("conf", MFD_CLOEXEC);
        nowhere = fopen("/dev/null", "we");
        if (fd < 0 || nowhere == NULL)
            abort();
        snprintf(flag, sizeof flag, "--config=/proc/self/fd/%d", fd);
    }
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    char program[] = "telerelay-wsd";
    char *argv[] = {program, flag, NULL};
    struct conf conf, again;
    if (conf_load(&conf, program, "wsd", 2, argv, nowhere, nowhere) == CONF_RUN) {
        const char *path;
        char host[64];
        int port;
        if (conf_parse_address(conf.wsd.listen, &path, host, &port) != 0 || conf.wsd.hangup_s <= conf.wsd.ping_s)
            abort();
        again = conf;
        if (conf_reload(&again, program, "wsd", 2, argv, nowhere) != 0 || memcmp(&again, &conf, sizeof conf) != 0)
            abort();
    }
    return 0;
}
