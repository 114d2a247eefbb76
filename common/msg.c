#include "msg.h"

#include "msg_table.h"

#include <stdio.h>
#include <string.h>

static const char *const type_names[MSG_TYPES] = {
    [MSG_NONE] = "",
    [MSG_ROBOT_MOVE] = "robot_move",
    [MSG_CAMERA_MOVE] = "camera_move",
    [MSG_SET_SPEED] = "set_speed",
    [MSG_SET_BRIGHTNESS] = "set_brightness",
    [MSG_REQUEST_FRAME] = "request_frame",
    [MSG_STOP] = "stop",
    [MSG_REARM] = "rearm",
    [MSG_CONTROL_ACQUIRE] = "control_acquire",
    [MSG_CONTROL_RELEASE] = "control_release",
    [MSG_WATCH] = "watch",
    [MSG_PING] = "ping",
    [MSG_HEARTBEAT] = "heartbeat",
    [MSG_TELEMETRY] = "telemetry",
    [MSG_TELEMETRY_BATCH] = "telemetry_batch",
    [MSG_STATUS] = "status",
    [MSG_VIDEO_FRAME] = "video_frame",
    [MSG_CONNECTION] = "connection",
    [MSG_ACK] = "ack",
    [MSG_STOP_STATE] = "stop_state",
    [MSG_ERROR] = "error",
    [MSG_TELEMETRY_UPDATE] = "telemetry_update",
    [MSG_ROBOT_STATUS] = "robot_status",
    [MSG_RELAY_STATUS] = "relay_status",
    [MSG_CONTROL_STATE] = "control_state",
    [MSG_ROBOT_HEARTBEAT] = "robot_heartbeat",
    [MSG_PONG] = "pong",
};

static const struct {
    const char *name;
    const char *text;
} codes[MSG_CODES] = {
    [MSG_OK] = {"ok", "OK"},
    [MSG_INVALID_JSON] = {"invalid_json", "Invalid JSON format"},
    [MSG_INVALID_MESSAGE] = {"invalid_message", "Invalid message"},
    [MSG_UNKNOWN_TYPE] = {"unknown_type", "Unknown message type"},
    [MSG_OUT_OF_RANGE] = {"out_of_range", "Value out of range"},
    [MSG_TOO_LARGE] = {"too_large", "Message too large"},
    [MSG_NOT_ALLOWED] = {"not_allowed", "Not allowed"},
    [MSG_NOT_IN_CONTROL] = {"not_in_control", "Somebody else is in control of the robot"},
    [MSG_STOPPED] = {"stopped", "The robot is stopped"},
    [MSG_NO_ROBOT] = {"no_robot", "The robot is not connected"},
    [MSG_NOT_STORED] = {"not_stored", "The data could not be stored"},
    [MSG_RATE_LIMITED] = {"rate_limited", "Too many messages"},
    [MSG_EXPIRED] = {"expired", "The command is too old"},
};

const char *msg_type_name(enum msg_type type)
{
    return (unsigned)type < MSG_TYPES ? type_names[type] : "";
}

const char *msg_code_name(enum msg_code code)
{
    return (unsigned)code < MSG_CODES ? codes[code].name : "";
}

const char *msg_code_text(enum msg_code code)
{
    return (unsigned)code < MSG_CODES ? codes[code].text : "";
}

const char *msg_outcome_name(enum msg_outcome outcome)
{
    static const char *const names[MSG_OUTCOMES] = {"", "applied", "rejected", "expired"};
    return (unsigned)outcome < MSG_OUTCOMES ? names[outcome] : "";
}

bool msg_is_command(enum msg_type type)
{
    return type >= MSG_ROBOT_MOVE && type <= MSG_REQUEST_FRAME;
}

bool msg_is_move(enum msg_type type)
{
    return type == MSG_ROBOT_MOVE || type == MSG_CAMERA_MOVE;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool msg_device_id_valid(const char *id, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_letter(id[i]) && !is_digit(id[i]) && id[i] != '_' && id[i] != '.' && id[i] != '-')
            return false;
    }
    return len >= 1 && len <= MSG_DEVICE_ID_MAX;
}

bool msg_metric_name_valid(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_letter(name[i]) && (i == 0 || (!is_digit(name[i]) && name[i] != '_')))
            return false;
    }
    return len >= 1 && len <= MSG_METRIC_NAME_MAX;
}

bool msg_has_control(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f)
            return true;
        /* U+0080 to U+009F */
        if (c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0)
            return true;
    }
    return false;
}

/* `done`: as a fact ("Speed set to 60%"), else as an order ("Set speed to 60%"). */
static size_t describe(char *out, size_t cap, const struct msg *m, bool done)
{
    char a[JSONW_NUMBER_MAX], b[JSONW_NUMBER_MAX], text[128];
    text[0] = '\0';
    switch (m->type) {
    case MSG_ROBOT_MOVE:
    case MSG_CAMERA_MOVE:
        jsonw_format_number(a, m->x);
        jsonw_format_number(b, m->y);
        snprintf(text, sizeof text, "%s move x=%s, y=%s", m->type == MSG_ROBOT_MOVE ? "Robot" : "Camera", a, b);
        break;
    case MSG_SET_SPEED:
    case MSG_SET_BRIGHTNESS: {
        bool speed = m->type == MSG_SET_SPEED;
        jsonw_format_number(a, m->value);
        if (done)
            snprintf(text, sizeof text, "%s set to %s%%", speed ? "Speed" : "Brightness", a);
        else
            snprintf(text, sizeof text, "Set %s to %s%%", speed ? "speed" : "brightness", a);
        break;
    }
    case MSG_REQUEST_FRAME:
        snprintf(text, sizeof text, "%s", done ? "Frame requested" : "Request frame");
        break;
    case MSG_STOP:
        snprintf(text, sizeof text, "Stop");
        break;
    case MSG_REARM:
        snprintf(text, sizeof text, "Re-arm");
        break;
    default:
        snprintf(text, sizeof text, "%s", msg_type_name(m->type));
        break;
    }
    size_t len = strlen(text);
    if (cap == 0)
        return 0;
    len = len < cap ? len : cap - 1;
    memcpy(out, text, len);
    out[len] = '\0';
    return len;
}

size_t msg_describe(char *out, size_t cap, const struct msg *m)
{
    return describe(out, cap, m, true);
}

size_t msg_describe_for_robot(char *out, size_t cap, const struct msg *m)
{
    return describe(out, cap, m, false);
}
