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

/* clang-format off: one list per line */
static const struct msg_field move[] = {F_ID, F_TO, F_X, F_Y, END};
static const struct msg_field set_value[] = {F_ID, F_TO, F_VALUE, END};
static const struct msg_field set_alias[] = {F_ID, F_TO, F_SETTING, F_VALUE, END};
static const struct msg_field no_values[] = {F_ID, F_TO, END};

static const struct msg_field telemetry[] = {F_NAME, F_TIME, END};
static const struct msg_field status[] = {F_STATUS, F_MESSAGE, END};
static const struct msg_field video[] = {F_FRAME, F_FRAME_NUMBER, F_TIME, END};

static const struct msg_field relay_move[] = {F_X, F_Y, F_TIME, END};
static const struct msg_field relay_set[] = {F_VALUE, F_TIME, END};
static const struct msg_field relay_no_values[] = {F_TIME, END};
static const struct msg_field connection[] = {F_STATUS, F_DEVICE_TYPE, F_TO, F_MESSAGE, END};
static const struct msg_field ack[] = {F_ORIGINAL, F_STATUS, F_MESSAGE, F_ID, F_ROBOTS, F_TIME, END};
static const struct msg_field error[] = {F_ERROR, F_CODE, F_ORIGINAL, F_ID, END};
static const struct msg_field telemetry_update[] = {F_OF, F_NAME, F_TIME, END};
static const struct msg_field robot_status[] = {F_OF, F_STATUS, F_MESSAGE, F_TIME, END};
static const struct msg_field relay_video[] = {F_OF, F_FRAME, F_FRAME_NUMBER, F_TIME, END};
static const struct msg_field relay_status[] = {F_MESSAGE, F_TIME, END};

const struct msg_row msg_table[] = {
    {"robot_move", MSG_FROM_WEBSITE, MSG_ROBOT_MOVE, false, move},
    {"camera_move", MSG_FROM_WEBSITE, MSG_CAMERA_MOVE, false, move},
    {"set_speed", MSG_FROM_WEBSITE, MSG_SET_SPEED, false, set_value},
    {"set_brightness", MSG_FROM_WEBSITE, MSG_SET_BRIGHTNESS, false, set_value},
    {"set", MSG_FROM_WEBSITE, MSG_NONE, false, set_alias},
    {"request_frame", MSG_FROM_WEBSITE, MSG_REQUEST_FRAME, false, no_values},

    {"telemetry", MSG_FROM_ROBOT, MSG_TELEMETRY, true, telemetry},
    {"status", MSG_FROM_ROBOT, MSG_STATUS, false, status},
    {"video_frame", MSG_FROM_ROBOT, MSG_VIDEO_FRAME, false, video},

    {"robot_move", MSG_FROM_RELAY, MSG_ROBOT_MOVE, false, relay_move},
    {"camera_move", MSG_FROM_RELAY, MSG_CAMERA_MOVE, false, relay_move},
    {"set_speed", MSG_FROM_RELAY, MSG_SET_SPEED, false, relay_set},
    {"set_brightness", MSG_FROM_RELAY, MSG_SET_BRIGHTNESS, false, relay_set},
    {"request_frame", MSG_FROM_RELAY, MSG_REQUEST_FRAME, false, relay_no_values},
    {"connection", MSG_FROM_RELAY, MSG_CONNECTION, false, connection},
    {"ack", MSG_FROM_RELAY, MSG_ACK, false, ack},
    {"error", MSG_FROM_RELAY, MSG_ERROR, false, error},
    {"telemetry_update", MSG_FROM_RELAY, MSG_TELEMETRY_UPDATE, true, telemetry_update},
    {"robot_status", MSG_FROM_RELAY, MSG_ROBOT_STATUS, false, robot_status},
    {"video_frame", MSG_FROM_RELAY, MSG_VIDEO_FRAME, false, relay_video},
    {"relay_status", MSG_FROM_RELAY, MSG_RELAY_STATUS, false, relay_status},
};
/* clang-format on */
const size_t msg_table_len = sizeof msg_table / sizeof msg_table[0];

const struct msg_known_metric msg_known_metrics[MSG_KNOWN_METRICS] = {
    {"battery", 0, 100},
    {"cpu", 0, 100},
    {"temperature", -100, 300},
    {"signal", 0, 100},
};
