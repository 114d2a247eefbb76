/* Prints the annotated telerelay.conf that `make install` puts into place; with "man": telerelay.conf(5) for scdoc. */
#include "common/conf.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "man") == 0)
        conf_print_man(stdout);
    else
        conf_print_example(stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}
