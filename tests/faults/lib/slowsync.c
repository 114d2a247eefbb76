/* Preloaded into redis-server: its disk takes 0.9 s for each sync. Other programs' is as fast as it is. */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int sync_slowly(int fd)
{
    struct timespec t = {.tv_nsec = 900000000};

    if (strcmp(program_invocation_short_name, "redis-server") == 0)
        nanosleep(&t, NULL);
    return (int)syscall(SYS_fdatasync, fd);
}

int fdatasync(int fd)
{
    return sync_slowly(fd);
}

int fsync(int fd)
{
    return sync_slowly(fd);
}
