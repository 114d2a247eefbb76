/*
 * Runs one fuzzer's code over every file of the given folders: what fuzzing has found stays found,
 * without a fuzzing compiler.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (4 << 20)

static int replay_file(const char *path)
{
    int result = -1;
    uint8_t *data = NULL;
    uint8_t *exact = NULL;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        goto done;
    data = malloc(INPUT_MAX);
    if (data == NULL)
        goto done;
    size_t size = fread(data, 1, INPUT_MAX, f);
    if (ferror(f))
        goto done;
    exact = malloc(size + (size == 0)); /* of exactly that size, so that sanitizers see a byte too many */
    if (exact == NULL)
        goto done;
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    result = 0;
done:
    if (result != 0)
        perror(path);
    free(exact);
    free(data);
    if (f != NULL)
        fclose(f);
    return result;
}

int main(int argc, char **argv)
{
    int files = 0, failed = 0;
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (dir == NULL) {
            perror(argv[i]);
            return 1;
        }
        for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
            char path[4096];
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            failed += replay_file(path) != 0;
            files++;
        }
        closedir(dir);
    }
    printf("%d inputs replayed, %d failed\n", files, failed);
    return failed > 0 || files == 0;
}
