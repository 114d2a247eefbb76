/* Prints the annotated telerelay.conf that `make install` puts into place. */
#include "common/conf.h"

#include <stdio.h>

int main(void)
{
    conf_print_example(stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}
