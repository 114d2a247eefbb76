/* Lines of a spool, as a disk may give them back. What is a line is written anew, and must be the same. */
#include "robot/spool_line.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool fine)
{
    if (!fine)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct spool_line line = spool_line_read(text, size);
    char out[SPOOL_LINE_MAX];

    if (line.kind == SPOOL_SAMPLE)
        require(line.len <= SPOOL_METRICS_MAX && line.metrics >= text && line.metrics + line.len == text + size);
    if (line.kind == SPOOL_DAMAGED || memchr(text, '\0', size) != NULL)
        return 0;
    size_t n = spool_line_put(out, &line);

    require(n > 1 && n <= sizeof(out) && out[n - 1] == '\n');
    struct spool_line again = spool_line_read(out, n - 1);

    require(again.kind == line.kind && again.time_ms == line.time_ms && again.len == line.len);
    require(again.number == line.number && again.at == line.at);
    require(line.kind != SPOOL_SAMPLE || memcmp(again.metrics, line.metrics, line.len) == 0);
    return 0;
}
