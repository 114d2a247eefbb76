/*
 * Preloaded into a program: its wall clock is off by as many seconds as $SHIFT_DIR/PROGRAM says (8 bytes, a signed
 * number), now and whenever that changes. CLOCK_MONOTONIC stays as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift;

__attribute__((constructor)) static void shift_open(void)
{
    const char *dir = getenv("SHIFT_DIR");
    char path[512];

    if (!dir || snprintf(path, sizeof(path), "%s/%s", dir, program_invocation_short_name) >= (int)sizeof(path))
        return;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof(*shift), PROT_READ, MAP_SHARED, fd, 0);

    if (map != MAP_FAILED)
        shift = map;
    close(fd);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    long rc = syscall(SYS_clock_gettime, id, ts);

    if (rc == 0 && shift && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        ts->tv_sec += *shift;
    return (int)rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    struct timespec ts;

    (void)tz;
    clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    if (out)
        *out = ts.tv_sec;
    return ts.tv_sec;
}
