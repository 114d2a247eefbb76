#include "sql/archive_postgres.h"
#include "sql/pguri.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- reasons --------------------------------------------------------------------------------------- */

static int fail(struct archive_postgres *p, const char *message, const char *state)
{
    char line[ARCHIVE_REASON_MAX];
    pguri_message(line, sizeof(line), message != NULL && *message != '\0' ? message : "the connection is lost",
                  p->password);
    return archive_driver_fail(&p->db, "PostgreSQL: %.200s%s%s%s", line, state != NULL ? " (" : "",
                               state != NULL ? state : "", state != NULL ? ")" : "");
}

static int fail_connection(struct archive_postgres *p)
{
    return fail(p, PQerrorMessage(p->conn), NULL);
}

static int fail_result(struct archive_postgres *p, const PGresult *result)
{
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return fail(p, message != NULL ? message : PQresultErrorMessage(result), state);
}

/* --- waiting --------------------------------------------------------------------------------------- */

/* Until the socket is ready for one of `events`. */
static int wait_for(struct archive_postgres *p, short events)
{
    struct pollfd fd = {.fd = PQsocket(p->conn), .events = events};
    int n;
    do
        n = poll(&fd, 1, archive_driver_left_ms(&p->db));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return fail(p, strerror(errno), NULL);
    if (n == 0)
        return archive_driver_fail(&p->db, "PostgreSQL: no answer within %d ms", p->db.deadline_ms);
    return 0;
}

int archive_postgres_connect(struct archive_postgres *p)
{
    /* The URI is taken apart by the first of them; the others are for what it does not say. */
    static const char *const keywords[] = {"dbname", "client_encoding", "fallback_application_name", NULL};
    const char *const values[] = {p->uri, "UTF8", "telerelay", NULL};
    p->conn = PQconnectStartParams(keywords, values, 1);
    if (p->conn == NULL)
        return archive_driver_fail(&p->db, "no memory");
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (PQstatus(p->conn) != CONNECTION_BAD && state != PGRES_POLLING_OK && state != PGRES_POLLING_FAILED) {
        if (wait_for(p, state == PGRES_POLLING_READING ? POLLIN : POLLOUT) != 0)
            return -1;
        state = PQconnectPoll(p->conn);
    }
    if (PQstatus(p->conn) != CONNECTION_OK || PQsetnonblocking(p->conn, 1) != 0)
        return fail_connection(p);
    return 0;
}

/* Until all that was asked has left. The server may want to be heard meanwhile. */
static int send_all(struct archive_postgres *p)
{
    int rest;
    while ((rest = PQflush(p->conn)) > 0) {
        if (wait_for(p, POLLIN | POLLOUT) != 0)
            return -1;
        if (PQconsumeInput(p->conn) == 0)
            return fail_connection(p);
    }
    return rest == 0 ? 0 : fail_connection(p);
}

static int next_result(struct archive_postgres *p, PGresult **result)
{
    while (PQisBusy(p->conn)) {
        if (wait_for(p, POLLIN) != 0)
            return -1;
        if (PQconsumeInput(p->conn) == 0)
            return fail_connection(p);
    }
    *result = PQgetResult(p->conn);
    return 0;
}

static bool is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* All results of what was sent: the last of them, or NULL. After a bad one the connection is dropped, whatever else it
 * has to say. */
static PGresult *collect(struct archive_postgres *p, int sent)
{
    PGresult *last = NULL, *result = NULL;
    if (!sent) {
        fail_connection(p);
        return NULL;
    }
    if (send_all(p) != 0)
        return NULL;
    while (next_result(p, &result) == 0) {
        if (result == NULL) {
            if (last == NULL)
                fail_connection(p);
            return last;
        }
        PQclear(last);
        last = result;
        if (!is_good(result)) {
            fail_result(p, result);
            break;
        }
    }
    PQclear(last);
    return NULL;
}

/* --- statements ------------------------------------------------------------------------------------ */

PGresult *archive_postgres_simple(struct archive_postgres *p, const char *statements)
{
    return collect(p, PQsendQuery(p->conn, statements));
}

void archive_postgres_int(struct archive_postgres_params *params, int64_t value)
{
    params->numbers[params->n] = htobe64((uint64_t)value);
    archive_postgres_bytes(params, (const char *)&params->numbers[params->n], sizeof(params->numbers[0]));
}

void archive_postgres_bytes(struct archive_postgres_params *params, const char *bytes, size_t len)
{
    params->values[params->n] = bytes;
    params->lengths[params->n] = (int)len;
    params->n++;
}

PGresult *archive_postgres_run(struct archive_postgres *p, int which, const struct archive_postgres_params *params)
{
    static const int binary[ARCHIVE_POSTGRES_COLUMNS] = {1, 1, 1, 1, 1, 1, 1, 1};
    char name[16];
    snprintf(name, sizeof(name), "q%d", which);
    if (!p->prepared[which]) {
        PGresult *result = collect(p, PQsendPrepare(p->conn, name, archive_postgres_texts[which], 0, NULL));
        if (result == NULL)
            return NULL;
        PQclear(result);
        p->prepared[which] = true;
    }
    return collect(p, PQsendQueryPrepared(p->conn, name, params->n, params->values, params->lengths, binary, 1));
}

int64_t archive_postgres_get_int(const PGresult *result, int row, int column)
{
    uint64_t big = 0;
    if (PQgetlength(result, row, column) == (int)sizeof(big))
        memcpy(&big, PQgetvalue(result, row, column), sizeof(big));
    return (int64_t)be64toh(big);
}

double archive_postgres_get_float(const PGresult *result, int row, int column)
{
    int64_t bits = archive_postgres_get_int(result, row, column);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

int64_t archive_postgres_changed(PGresult *result)
{
    return strtoll(PQcmdTuples(result), NULL, 10);
}
