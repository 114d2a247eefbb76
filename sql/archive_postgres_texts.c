#include "sql/archive_postgres.h"

#define FIND(table, column) "SELECT id::bigint FROM " table " WHERE " column " = $1::text"
#define ADD(table, column)  "INSERT INTO " table " (" column ") VALUES ($1::text) RETURNING id::bigint"
#define ROWS(columns, table, device, direction)                                                                        \
    "SELECT ms, seq, " columns " FROM " table " WHERE " device                                                         \
    " AND (ms, seq) >= ($2::bigint, $3::bigint) AND (ms, seq) <= ($4::bigint, $5::bigint) "                            \
    "ORDER BY ms " direction ", seq " direction " LIMIT $6::bigint"
#define OF_DEVICE "device = $1::bigint::integer"
#define OF_NOBODY "$1::bigint = 0"
#define ROLLUP(table)                                                                                                  \
    "SELECT t, min, max, sum, last, count FROM " table " WHERE device = $1::bigint::integer "                          \
    "AND metric = $2::bigint::integer AND t >= $3::bigint AND t < $4::bigint ORDER BY t"
#define ROW(table)                                                                                                     \
    "INSERT INTO " table " (device, ms, seq, d) SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], "      \
    "$4::bytea[])"
#define DELTA(table)                                                                                                   \
    "INSERT INTO " table " AS o (device, metric, t, min, max, sum, last, count) SELECT * FROM unnest($1::integer[], "  \
    "$2::integer[], $3::bigint[], $4::float8[], $5::float8[], $6::float8[], $7::float8[], $8::bigint[]) "              \
    "ON CONFLICT (device, metric, t) DO UPDATE SET min = least(o.min, excluded.min), "                                 \
    "max = greatest(o.max, excluded.max), sum = o.sum + excluded.sum, last = excluded.last, "                          \
    "count = o.count + excluded.count"
/* By the rows' places, which nobody changes meanwhile: one program writes at a time. */
#define EXPIRE(table)                                                                                                  \
    "DELETE FROM " table " WHERE ctid = ANY (ARRAY (SELECT o.at FROM devices d CROSS JOIN LATERAL "                    \
    "(SELECT ctid AS at FROM " table " WHERE device = d.id AND ms < $1::bigint ORDER BY ms, seq "                      \
    "LIMIT $2::bigint) o LIMIT $2::bigint))"
#define EXPIRE_ROLLUP(table)                                                                                           \
    "DELETE FROM " table " WHERE ctid = ANY (ARRAY (SELECT o.at FROM device_metrics d CROSS JOIN LATERAL "             \
    "(SELECT ctid AS at FROM " table " WHERE device = d.device AND metric = d.metric AND t < $1::bigint ORDER BY t "   \
    "LIMIT $2::bigint) o LIMIT $2::bigint))"
#define MOVES                                                                                                          \
    "unnest($1::integer[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[]) "                    \
    "AS n (kind, device, from_ms, from_seq, to_ms, to_seq)"

const char *const archive_postgres_texts[Q_STATEMENTS] = {
    [Q_FIND + ARCHIVE_DEVICES] = FIND("devices", "device_id"),
    [Q_FIND + ARCHIVE_SHAPES] = FIND("shapes", "names"),
    [Q_FIND + ARCHIVE_METRICS] = FIND("metrics", "name"),
    [Q_ADD + ARCHIVE_DEVICES] = ADD("devices", "device_id"),
    [Q_ADD + ARCHIVE_SHAPES] = ADD("shapes", "names"),
    [Q_ADD + ARCHIVE_METRICS] = ADD("metrics", "name"),
    [Q_SHAPE] = "SELECT names FROM shapes WHERE id = $1::bigint::integer",
    [Q_ROWS + ARCHIVE_SAMPLES] = ROWS("shape::bigint, v", "samples", OF_DEVICE, "ASC"),
    [Q_ROWS + ARCHIVE_COMMANDS] = ROWS("0::bigint, d", "commands", OF_DEVICE, "ASC"),
    [Q_ROWS + ARCHIVE_OUTCOMES] = ROWS("0::bigint, d", "outcomes", OF_DEVICE, "ASC"),
    [Q_ROWS + ARCHIVE_EVENTS] = ROWS("0::bigint, d", "events", OF_NOBODY, "ASC"),
    [Q_ROWS_DESC + ARCHIVE_SAMPLES] = ROWS("shape::bigint, v", "samples", OF_DEVICE, "DESC"),
    [Q_ROWS_DESC + ARCHIVE_COMMANDS] = ROWS("0::bigint, d", "commands", OF_DEVICE, "DESC"),
    [Q_ROWS_DESC + ARCHIVE_OUTCOMES] = ROWS("0::bigint, d", "outcomes", OF_DEVICE, "DESC"),
    [Q_ROWS_DESC + ARCHIVE_EVENTS] = ROWS("0::bigint, d", "events", OF_NOBODY, "DESC"),
    [Q_POSITION] = "SELECT ms, seq FROM positions WHERE kind = $1::bigint::integer AND device = $2::bigint::integer",
    [Q_POSITIONS] =
        "SELECT p.kind::bigint, d.device_id, p.ms, p.seq FROM positions p JOIN devices d ON d.id = p.device "
        "ORDER BY p.kind, p.device",
    [Q_FOLLOWED] = "SELECT run FROM followed",
    [Q_METRICS] = "SELECT m.name FROM device_metrics d JOIN metrics m ON m.id = d.metric "
                  "WHERE d.device = $1::bigint::integer ORDER BY m.name",
    [Q_ROLLUP + ARCHIVE_MINUTE] = ROLLUP("minutes"),
    [Q_ROLLUP + ARCHIVE_HOUR] = ROLLUP("hours"),
    [Q_GAPS] = "SELECT g.kind::bigint, d.device_id, g.after_ms, g.after_seq, g.before_ms, g.before_seq, g.noticed_ms "
               "FROM gaps g JOIN devices d ON d.id = g.device WHERE $1::bigint IN (g.device, -1) "
               "ORDER BY g.id DESC LIMIT $2::bigint",
    [Q_TABLES] = "SELECT greatest(c.reltuples::bigint, pg_stat_get_live_tuples(c.oid), 0), "
                 "pg_total_relation_size(c.oid) FROM unnest(ARRAY['samples', 'commands', 'outcomes', 'events', "
                 "'minutes', 'hours', 'devices', 'metrics', 'shapes', 'device_metrics', 'positions', 'gaps']) "
                 "WITH ORDINALITY n (name, place) JOIN pg_class c ON c.oid = to_regclass(n.name) ORDER BY n.place",
    [Q_SUMMARY] = "SELECT count(*) - 1, (SELECT count(*) FROM gaps), min(a.ms), max(z.ms) FROM devices d "
                  "LEFT JOIN LATERAL (SELECT ms FROM samples WHERE device = d.id ORDER BY ms, seq LIMIT 1) a ON true "
                  "LEFT JOIN LATERAL (SELECT ms FROM samples WHERE device = d.id ORDER BY ms DESC, seq DESC LIMIT 1) z "
                  "ON true",
    [Q_MOVE] = "UPDATE positions p SET ms = n.to_ms, seq = n.to_seq FROM " MOVES " WHERE p.kind = n.kind "
               "AND p.device = n.device AND p.ms = n.from_ms AND p.seq = n.from_seq",
    [Q_MOVE_FIRST] = "INSERT INTO positions AS p (kind, device, ms, seq) SELECT kind, device, to_ms, to_seq FROM " MOVES
                     " WHERE from_ms = 0 AND from_seq = 0 "
                     "ON CONFLICT (kind, device) DO UPDATE SET ms = excluded.ms, seq = excluded.seq "
                     "WHERE p.ms = 0 AND p.seq = 0",
    [Q_GAP] = "INSERT INTO gaps (kind, device, after_ms, after_seq, before_ms, before_seq, noticed_ms) VALUES "
              "($1::bigint::integer, $2::bigint::integer, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::bigint)",
    [Q_ROW + ARCHIVE_SAMPLES] = "INSERT INTO samples (device, ms, seq, shape, v) SELECT * FROM unnest($1::integer[], "
                                "$2::bigint[], $3::bigint[], $4::integer[], $5::text[])",
    [Q_ROW + ARCHIVE_COMMANDS] = ROW("commands"),
    [Q_ROW + ARCHIVE_OUTCOMES] = ROW("outcomes"),
    [Q_ROW + ARCHIVE_EVENTS] = "INSERT INTO events (ms, seq, d) SELECT * FROM unnest($1::bigint[], $2::bigint[], "
                               "$3::bytea[])",
    [Q_DELTA + ARCHIVE_MINUTE] = DELTA("minutes"),
    [Q_DELTA + ARCHIVE_HOUR] = DELTA("hours"),
    [Q_DEVICE_METRIC] = "INSERT INTO device_metrics (device, metric) VALUES ($1::bigint::integer, "
                        "$2::bigint::integer) ON CONFLICT DO NOTHING",
    [Q_FOLLOW] = "UPDATE followed SET run = $1::text",
    [Q_EXPIRE + ARCHIVE_SAMPLES] = EXPIRE("samples"),
    [Q_EXPIRE + ARCHIVE_COMMANDS] = EXPIRE("commands"),
    [Q_EXPIRE + ARCHIVE_OUTCOMES] = EXPIRE("outcomes"),
    [Q_EXPIRE + ARCHIVE_EVENTS] = "DELETE FROM events WHERE ctid = ANY (ARRAY (SELECT ctid FROM events "
                                  "WHERE ms < $1::bigint ORDER BY ms, seq LIMIT $2::bigint))",
    [Q_EXPIRE_ROLLUP + ARCHIVE_MINUTE] = EXPIRE_ROLLUP("minutes"),
    [Q_EXPIRE_ROLLUP + ARCHIVE_HOUR] = EXPIRE_ROLLUP("hours"),
};
