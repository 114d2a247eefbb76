#include "msg_table.h"

#define AT(member) offsetof(struct msg, member)
#define END                                                                                                            \
    {                                                                                                                  \
        .name = NULL                                                                                                   \
    }

#define TWO_TO_53 9007199254740992.0

#define F_X                                                                                                            \
    {                                                                                                                  \
        "x", MSG_KIND_NUMBER, MSG_REQUIRED, AT(x), -1, 1                                                               \
    }
#define F_Y                                                                                                            \
    {                                                                                                                  \
        "y", MSG_KIND_NUMBER, MSG_REQUIRED, AT(y), -1, 1                                                               \
    }
#define F_VALUE                                                                                                        \
    {                                                                                                                  \
        "value", MSG_KIND_NUMBER, MSG_REQUIRED, AT(value), 1, 100                                                      \
    }
#define F_SETTING                                                                                                      \
    {                                                                                                                  \
        "name", MSG_KIND_SETTING, MSG_REQUIRED, 0, 0, 0                                                                \
    }
#define F_ID                                                                                                           \
    {                                                                                                                  \
        "id", MSG_KIND_ID, MSG_OPTIONAL, AT(id), 1, MSG_COMMAND_ID_MAX                                                 \
    }
#define F_TO                                                                                                           \
    {                                                                                                                  \
        "device_id", MSG_KIND_DEVICE_ID, MSG_OPTIONAL, AT(device_id), 0, 0                                             \
    }
#define F_OF                                                                                                           \
    {                                                                                                                  \
        "device_id", MSG_KIND_DEVICE_ID, MSG_REQUIRED, AT(device_id), 0, 0                                             \
    }
#define F_TIME                                                                                                         \
    {                                                                                                                  \
        "timestamp", MSG_KIND_TIME, MSG_NULLABLE, 0, 0, 0                                                              \
    }
#define F_NAME                                                                                                         \
    {                                                                                                                  \
        "device_name", MSG_KIND_NAME, MSG_NULLABLE, AT(device_name), 0, MSG_NAME_MAX                                   \
    }
#define F_STATUS                                                                                                       \
    {                                                                                                                  \
        "status", MSG_KIND_TEXT, MSG_REQUIRED, AT(status), 0, MSG_NAME_MAX                                             \
    }
#define F_MESSAGE                                                                                                      \
    {                                                                                                                  \
        "message", MSG_KIND_TEXT, MSG_NULLABLE, AT(message), 0, MSG_TEXT_MAX                                           \
    }
#define F_FRAME                                                                                                        \
    {                                                                                                                  \
        "frame_data", MSG_KIND_BASE64, MSG_REQUIRED, 0, 1, MSG_VIDEO_DATA_MAX                                          \
    }
#define F_FRAME_NUMBER                                                                                                 \
    {                                                                                                                  \
        "frame_number", MSG_KIND_INTEGER, MSG_NULLABLE, AT(frame_number), 0, TWO_TO_53                                 \
    }
#define F_ORIGINAL                                                                                                     \
    {                                                                                                                  \
        "original_type", MSG_KIND_TEXT, MSG_OPTIONAL, AT(original_type), 0, MSG_NAME_MAX                               \
    }
#define F_ROBOTS                                                                                                       \
    {                                                                                                                  \
        "robots", MSG_KIND_COUNT, MSG_OPTIONAL, AT(robots), 0, 1e9                                                     \
    }
#define F_ERROR                                                                                                        \
    {                                                                                                                  \
        "error", MSG_KIND_TEXT, MSG_REQUIRED, AT(error), 0, MSG_TEXT_MAX                                               \
    }
#define F_CODE                                                                                                         \
    {                                                                                                                  \
        "code", MSG_KIND_TEXT, MSG_OPTIONAL, AT(code), 0, MSG_NAME_MAX                                                 \
    }
#define F_DEVICE_TYPE                                                                                                  \
    {                                                                                                                  \
        "device_type", MSG_KIND_TEXT, MSG_OPTIONAL, AT(device_type), 0, MSG_NAME_MAX                                   \
    }

#define F_INTEGER(name, member)                                                                                        \
    {                                                                                                                  \
        name, MSG_KIND_INTEGER, MSG_NULLABLE, AT(member), 0, TWO_TO_53                                                 \
    }
#define F_HB       F_INTEGER("hb", hb)
#define F_RELAY_HB F_INTEGER("relay_hb", relay_hb)
#define F_SEQ      F_INTEGER("seq", seq)
#define F_EPOCH    F_INTEGER("epoch", epoch)
#define F_HB_MUST                                                                                                      \
    {                                                                                                                  \
        "hb", MSG_KIND_INTEGER, MSG_REQUIRED, AT(hb), 0, TWO_TO_53                                                     \
    }
#define F_TTL                                                                                                          \
    {                                                                                                                  \
        "ttl_ms", MSG_KIND_COUNT, MSG_NULLABLE, AT(ttl_ms), 1, 600000                                                  \
    }
#define F_LATENCY                                                                                                      \
    {                                                                                                                  \
        "latency_ms", MSG_KIND_COUNT, MSG_NULLABLE, AT(latency_ms), 0, 1e9                                             \
    }
#define F_OUTCOME                                                                                                      \
    {                                                                                                                  \
        "status", MSG_KIND_OUTCOME, MSG_REQUIRED, 0, 0, 0                                                              \
    }
#define F_REASON                                                                                                       \
    {                                                                                                                  \
        "reason", MSG_KIND_NAME, MSG_NULLABLE, AT(reason), 0, MSG_NAME_MAX                                             \
    }
#define F_BY                                                                                                           \
    {                                                                                                                  \
        "by", MSG_KIND_NAME, MSG_NULLABLE, AT(by), 0, MSG_NAME_MAX                                                     \
    }
#define F_HOLDER                                                                                                       \
    {                                                                                                                  \
        "holder", MSG_KIND_NAME, MSG_NULLABLE, AT(holder), 0, MSG_NAME_MAX                                             \
    }
#define F_ID_OR_NULL                                                                                                   \
    {                                                                                                                  \
        "id", MSG_KIND_ID, MSG_NULLABLE, AT(id), 1, MSG_COMMAND_ID_MAX                                                 \
    }
#define F_FLAG(name, member, need)                                                                                     \
    {                                                                                                                  \
        name, MSG_KIND_BOOL, need, AT(member), 0, 0                                                                    \
    }
#define F_STOPPED   F_FLAG("stopped", stopped, MSG_REQUIRED)
#define F_CONFIRMED F_FLAG("confirmed", confirmed, MSG_REQUIRED)
#define F_YOU       F_FLAG("you", you, MSG_REQUIRED)
#define F_TAKE      F_FLAG("take", take, MSG_OPTIONAL)
#define F_DUPLICATE F_FLAG("duplicate", duplicate, MSG_OPTIONAL)
#define F_DEVICE_IDS                                                                                                   \
    {                                                                                                                  \
        "device_ids", MSG_KIND_DEVICE_IDS, MSG_REQUIRED, 0, 0, MSG_WATCH_MAX                                           \
    }
#define F_SAMPLES                                                                                                      \
    {                                                                                                                  \
        "samples", MSG_KIND_SAMPLES, MSG_REQUIRED, 0, 1, MSG_SAMPLES_MAX                                               \
    }
#define F_STORED                                                                                                       \
    {                                                                                                                  \
        "stored", MSG_KIND_COUNT, MSG_OPTIONAL, AT(stored), 0, MSG_SAMPLES_MAX                                         \
    }
#define F_LATE F_FLAG("late", late, MSG_OPTIONAL)

/* clang-format off: one list per line */
static const struct msg_field move[] = {F_ID, F_TO, F_X, F_Y, F_TTL, F_HB, END};
static const struct msg_field set_value[] = {F_ID, F_TO, F_VALUE, F_TTL, F_HB, END};
static const struct msg_field set_alias[] = {F_ID, F_TO, F_SETTING, F_VALUE, F_TTL, F_HB, END};
static const struct msg_field no_values[] = {F_ID, F_TO, F_TTL, F_HB, END};
static const struct msg_field stop[] = {F_ID, F_TO, END};
static const struct msg_field control_acquire[] = {F_ID, F_OF, F_TAKE, END};
static const struct msg_field control_release[] = {F_ID, F_OF, END};
static const struct msg_field watch[] = {F_ID, F_DEVICE_IDS, END};
static const struct msg_field ping[] = {F_ID, END};

static const struct msg_field telemetry[] = {F_NAME, F_TIME, END};
static const struct msg_field telemetry_batch[] = {F_ID, F_NAME, F_SAMPLES, END};
static const struct msg_field status[] = {F_STATUS, F_MESSAGE, END};
static const struct msg_field video[] = {F_FRAME, F_FRAME_NUMBER, F_TIME, END};

static const struct msg_field heartbeat[] = {F_HB_MUST, END};
static const struct msg_field outcome[] = {F_ID_OR_NULL, F_ORIGINAL, F_OUTCOME, F_REASON, F_SEQ, END};
static const struct msg_field robot_stop_state[] = {F_STOPPED, F_SEQ, F_BY, END};

static const struct msg_field relay_move[] = {F_ID, F_X, F_Y, F_HB, F_RELAY_HB, F_SEQ, F_EPOCH, F_TIME, END};
static const struct msg_field relay_set[] = {F_ID, F_VALUE, F_HB, F_RELAY_HB, F_SEQ, F_EPOCH, F_TIME, END};
static const struct msg_field relay_no_values[] = {F_ID, F_HB, F_RELAY_HB, F_SEQ, F_EPOCH, F_TIME, END};
static const struct msg_field relay_stop[] = {F_ID, F_BY, F_SEQ, F_TIME, END};
static const struct msg_field connection[] = {F_STATUS, F_DEVICE_TYPE, F_TO, F_MESSAGE, END};
static const struct msg_field ack[] = {F_ORIGINAL, F_STATUS,  F_MESSAGE,   F_ID,     F_TO,   F_ROBOTS,
                                       F_REASON,   F_LATENCY, F_DUPLICATE, F_STORED, F_TIME, END};
static const struct msg_field error[] = {F_ERROR, F_CODE, F_ORIGINAL, F_ID, END};
static const struct msg_field telemetry_update[] = {F_OF, F_NAME, F_LATE, F_TIME, END};
static const struct msg_field robot_status[] = {F_OF, F_STATUS, F_MESSAGE, F_TIME, END};
static const struct msg_field relay_video[] = {F_OF, F_FRAME, F_FRAME_NUMBER, F_TIME, END};
static const struct msg_field relay_status[] = {F_MESSAGE, F_TIME, END};
static const struct msg_field stop_state[] = {F_OF, F_STOPPED, F_CONFIRMED, F_BY, F_TIME, END};
static const struct msg_field control_state[] = {F_OF, F_HOLDER, F_YOU, F_EPOCH, END};
static const struct msg_field robot_heartbeat[] = {F_OF, F_HB_MUST, END};
static const struct msg_field pong[] = {F_ID, F_TIME, END};

const struct msg_row msg_table[] = {
    {"robot_move", MSG_FROM_WEBSITE, MSG_ROBOT_MOVE, false, move},
    {"camera_move", MSG_FROM_WEBSITE, MSG_CAMERA_MOVE, false, move},
    {"set_speed", MSG_FROM_WEBSITE, MSG_SET_SPEED, false, set_value},
    {"set_brightness", MSG_FROM_WEBSITE, MSG_SET_BRIGHTNESS, false, set_value},
    {"set", MSG_FROM_WEBSITE, MSG_NONE, false, set_alias},
    {"request_frame", MSG_FROM_WEBSITE, MSG_REQUEST_FRAME, false, no_values},

    {"stop", MSG_FROM_WEBSITE, MSG_STOP, false, stop},
    {"rearm", MSG_FROM_WEBSITE, MSG_REARM, false, stop},
    {"control_acquire", MSG_FROM_WEBSITE, MSG_CONTROL_ACQUIRE, false, control_acquire},
    {"control_release", MSG_FROM_WEBSITE, MSG_CONTROL_RELEASE, false, control_release},
    {"watch", MSG_FROM_WEBSITE, MSG_WATCH, false, watch},
    {"ping", MSG_FROM_WEBSITE, MSG_PING, false, ping},

    {"telemetry", MSG_FROM_ROBOT, MSG_TELEMETRY, true, telemetry},
    {"telemetry_batch", MSG_FROM_ROBOT, MSG_TELEMETRY_BATCH, false, telemetry_batch},
    {"heartbeat", MSG_FROM_ROBOT, MSG_HEARTBEAT, false, heartbeat},
    {"ack", MSG_FROM_ROBOT, MSG_ACK, false, outcome},
    {"stop_state", MSG_FROM_ROBOT, MSG_STOP_STATE, false, robot_stop_state},
    {"ping", MSG_FROM_ROBOT, MSG_PING, false, ping},
    {"status", MSG_FROM_ROBOT, MSG_STATUS, false, status},
    {"video_frame", MSG_FROM_ROBOT, MSG_VIDEO_FRAME, false, video},

    {"robot_move", MSG_FROM_RELAY, MSG_ROBOT_MOVE, false, relay_move},
    {"camera_move", MSG_FROM_RELAY, MSG_CAMERA_MOVE, false, relay_move},
    {"set_speed", MSG_FROM_RELAY, MSG_SET_SPEED, false, relay_set},
    {"set_brightness", MSG_FROM_RELAY, MSG_SET_BRIGHTNESS, false, relay_set},
    {"request_frame", MSG_FROM_RELAY, MSG_REQUEST_FRAME, false, relay_no_values},
    {"stop", MSG_FROM_RELAY, MSG_STOP, false, relay_stop},
    {"rearm", MSG_FROM_RELAY, MSG_REARM, false, relay_stop},
    {"connection", MSG_FROM_RELAY, MSG_CONNECTION, false, connection},
    {"ack", MSG_FROM_RELAY, MSG_ACK, false, ack},
    {"error", MSG_FROM_RELAY, MSG_ERROR, false, error},
    {"telemetry_update", MSG_FROM_RELAY, MSG_TELEMETRY_UPDATE, true, telemetry_update},
    {"robot_status", MSG_FROM_RELAY, MSG_ROBOT_STATUS, false, robot_status},
    {"video_frame", MSG_FROM_RELAY, MSG_VIDEO_FRAME, false, relay_video},
    {"relay_status", MSG_FROM_RELAY, MSG_RELAY_STATUS, false, relay_status},
    {"stop_state", MSG_FROM_RELAY, MSG_STOP_STATE, false, stop_state},
    {"control_state", MSG_FROM_RELAY, MSG_CONTROL_STATE, false, control_state},
    {"robot_heartbeat", MSG_FROM_RELAY, MSG_ROBOT_HEARTBEAT, false, robot_heartbeat},
    {"pong", MSG_FROM_RELAY, MSG_PONG, false, pong},
};
/* clang-format on */
const size_t msg_table_len = sizeof msg_table / sizeof msg_table[0];

const struct msg_known_metric msg_known_metrics[MSG_KNOWN_METRICS] = {
    {"battery", 0, 100},
    {"cpu", 0, 100},
    {"temperature", -100, 300},
    {"signal", 0, 100},
};
