#include "fcgi/slots.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Byte i of a file that holds nothing is slot i: the kernel knows whose it is. */
struct slots {
    int fd;
};

struct slots *slots_create(void)
{
    struct slots *s = malloc(sizeof(*s));
    if (!s)
        return NULL;
    s->fd = memfd_create("telerelay-slots", MFD_CLOEXEC);
    if (s->fd < 0) {
        free(s);
        return NULL;
    }
    return s;
}

void slots_destroy(struct slots *s)
{
    if (!s)
        return;
    close(s->fd);
    free(s);
}

static int lock(const struct slots *s, short type, off_t start, off_t len)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    return fcntl(s->fd, F_SETLK, &range);
}

int slots_take(struct slots *s, int n)
{
    for (int i = 0; i < n; i++) {
        if (lock(s, F_WRLCK, i, 1) == 0)
            return 0;
    }
    return -1;
}

void slots_give(struct slots *s)
{
    lock(s, F_UNLCK, 0, 0);
}
