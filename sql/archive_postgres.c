#include "sql/archive_driver.h"

#include <stdlib.h>

static struct archive_db *create(const char *database)
{
    (void)database;
    return calloc(1, sizeof(struct archive_db));
}

static void destroy(struct archive_db *db)
{
    free(db);
}

static void disconnect(struct archive_db *db)
{
    (void)db;
}

static int connect_server(struct archive_db *db, bool make)
{
    (void)make;
    return archive_driver_fail(db, "PostgreSQL: not yet");
}

const struct archive_driver archive_postgres = {
    .wanted = 1, .create = create, .destroy = destroy, .connect = connect_server, .disconnect = disconnect};
