// The coupons service in C; what it promises is written in ../README.md.
//
// An instance answers one request and is thrown away with all of its memory, so nothing is freed here.

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSMN_STRICT
#define JSMN_STATIC
#include <jsmn.h>

#include "coupons.h"

enum { PAGE = 50, CODE_BYTES = 64, PAGE_SECONDS = 60, GENERATION_SECONDS = 86400, MOST_TOKENS = 256 };

#define COLUMNS "code, percent, redeemed_by, redeemed_at"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef coupons_string_t text_t;
typedef wharf_plugin_database_value_t value_t;
typedef wharf_plugin_database_list_value_t row_t;
typedef wharf_plugin_database_rows_t rows_t;
typedef wharf_plugin_database_error_t error_t;
typedef exports_wharf_plugin_handler_request_t request_t;
typedef exports_wharf_plugin_handler_response_t response_t;

// ---- text that grows ---------------------------------------------------------------------------------------------

typedef struct {
    char *at;
    size_t length, room;
} buffer_t;

static void append(buffer_t *buffer, const void *bytes, size_t length) {
    if (buffer->length + length > buffer->room) {
        buffer->room = (buffer->length + length) * 2;
        buffer->at = realloc(buffer->at, buffer->room);
        if (!buffer->at) abort();
    }
    memcpy(buffer->at + buffer->length, bytes, length);
    buffer->length += length;
}

static void append_text(buffer_t *buffer, const char *text) {
    append(buffer, text, strlen(text));
}

static void append_number(buffer_t *buffer, long long number) {
    char digits[24];
    append(buffer, digits, (size_t)snprintf(digits, sizeof digits, "%lld", number));
}

// Text as JSON (RFC 8259, section 7).
static void append_quoted(buffer_t *buffer, text_t text) {
    append_text(buffer, "\"");
    for (size_t i = 0; i < text.len; i++) {
        char escaped[8];
        unsigned char byte = text.ptr[i];
        if (byte == '"' || byte == '\\') {
            append(buffer, (char[]){'\\', (char)byte}, 2);
        } else if (byte < ' ') {
            append(buffer, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", byte));
        } else {
            append(buffer, &byte, 1);
        }
    }
    append_text(buffer, "\"");
}

static text_t as_text(buffer_t buffer) {
    return (text_t){(uint8_t *)buffer.at, buffer.length};
}

static text_t literal(const char *text) {
    return (text_t){(uint8_t *)text, strlen(text)};
}

// ---- answers -----------------------------------------------------------------------------------------------------

static response_t respond(uint16_t status, buffer_t body, const char *name, const char *value) {
    const char *headers[][2] = {{"content-type", "application/json"}, {name, value}};
    size_t count = name ? 2 : 1;
    response_t response = {.status = status, .body = {(uint8_t *)body.at, body.length}};
    response.headers.ptr = calloc(count, sizeof *response.headers.ptr);
    response.headers.len = count;
    for (size_t i = 0; i < count; i++) {
        // Copies, since the response is freed when the host has taken it.
        coupons_string_dup(&response.headers.ptr[i].f0, headers[i][0]);
        coupons_string_dup((text_t *)&response.headers.ptr[i].f1, headers[i][1]);
    }
    return response;
}

static response_t say(uint16_t status, const char *message) {
    buffer_t body = {0};
    append_text(&body, "{\"message\":");
    append_quoted(&body, literal(message));
    append_text(&body, "}");
    return respond(status, body, status == 503 ? "retry-after" : NULL, "1");
}

static response_t failed(const error_t *error) {
    switch (error->tag) {
    case WHARF_PLUGIN_DATABASE_ERROR_BUSY:
    case WHARF_PLUGIN_DATABASE_ERROR_UNAVAILABLE:
    case WHARF_PLUGIN_DATABASE_ERROR_TIMEOUT:
        return say(503, "Service Unavailable");
    }
    buffer_t line = {0};
    append_text(&line, "the database, error ");
    append_number(&line, error->tag);
    if (error->tag != WHARF_PLUGIN_DATABASE_ERROR_TOO_LARGE) {
        append_text(&line, ": ");
        append(&line, error->val.failed.ptr, error->val.failed.len);
    }
    text_t message = as_text(line);
    wharf_plugin_log_write(WHARF_PLUGIN_LOG_LEVEL_ERROR, &message);
    return say(500, "Server Error");
}

static void append_value(buffer_t *body, const value_t *value) {
    switch (value->tag) {
    case WHARF_PLUGIN_DATABASE_VALUE_INTEGER: append_number(body, value->val.integer); break;
    case WHARF_PLUGIN_DATABASE_VALUE_TEXT: append_quoted(body, value->val.text); break;
    default: append_text(body, "null");
    }
}

static void append_coupon(buffer_t *body, const row_t *row) {
    static const char *NAMES[] = {"{\"code\":", ",\"percent\":", ",\"redeemed_by\":", ",\"redeemed_at\":"};
    for (size_t i = 0; i < row->len; i++) {
        append_text(body, NAMES[i]);
        append_value(body, &row->ptr[i]);
    }
    append_text(body, "}");
}

static response_t answer_with(uint16_t status, const row_t *row) {
    buffer_t body = {0};
    append_coupon(&body, row);
    return respond(status, body, NULL, NULL);
}

// ---- the database and the cache ----------------------------------------------------------------------------------

static value_t text_value(text_t text) {
    return (value_t){.tag = WHARF_PLUGIN_DATABASE_VALUE_TEXT, .val.text = text};
}

static value_t integer_value(int64_t number) {
    return (value_t){.tag = WHARF_PLUGIN_DATABASE_VALUE_INTEGER, .val.integer = number};
}

static bool query(const char *sql, value_t *parameters, size_t count, rows_t *rows, error_t *error) {
    text_t statement = literal(sql);
    return wharf_plugin_database_query(&statement, &(row_t){parameters, count}, rows, error);
}

static bool one(text_t code, rows_t *rows, error_t *error) {
    value_t parameters[] = {text_value(code)};
    return query("SELECT " COLUMNS " FROM coupons WHERE code = $1", parameters, 1, rows, error);
}

static void changed(void) {
    text_t key = literal("coupons/generation");
    wharf_plugin_cache_increment(&key, GENERATION_SECONDS);
}

// Whatever changes a coupon makes a new generation, so a page of an older one is never read again.
static text_t page_key(text_t after) {
    buffer_t key = {0};
    append_text(&key, "coupons/");
    coupons_list_u8_t generation;
    text_t name = literal("coupons/generation");
    if (wharf_plugin_cache_get(&name, &generation)) {
        for (size_t i = 0; i < generation.len; i++) {
            char hex[3];
            append(&key, hex, (size_t)snprintf(hex, sizeof hex, "%02x", generation.ptr[i]));
        }
    }
    append_text(&key, "/");
    append(&key, after.ptr, after.len);
    return as_text(key);
}

// ---- what clients send -------------------------------------------------------------------------------------------

static int hex_digit(uint8_t digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if ((digit | 32) >= 'a' && (digit | 32) <= 'f') return (digit | 32) - 'a' + 10;
    return -1;
}

// The first parameter of this name in a query, decoded (URL Standard, section 5.1); empty if there is none.
static text_t query_parameter(text_t query, const char *name) {
    buffer_t value = {0};
    size_t length = strlen(name);
    for (size_t at = 0, end; at < query.len; at = end + 1) {
        for (end = at; end < query.len && query.ptr[end] != '&'; end++) {}
        if (end - at <= length || memcmp(query.ptr + at, name, length) != 0 || query.ptr[at + length] != '=') continue;
        for (size_t i = at + length + 1; i < end; i++) {
            uint8_t byte = query.ptr[i] == '+' ? ' ' : query.ptr[i];
            if (byte == '%' && end - i > 2 && hex_digit(query.ptr[i + 1]) >= 0 && hex_digit(query.ptr[i + 2]) >= 0) {
                byte = (uint8_t)(hex_digit(query.ptr[i + 1]) << 4 | hex_digit(query.ptr[i + 2]));
                i += 2;
            }
            append(&value, &byte, 1);
        }
        break;
    }
    return as_text(value);
}

// Appends a character in UTF-8 (RFC 3629, section 3).
static void append_character(buffer_t *text, uint32_t c) {
    if (c < 0x80) {
        append(text, (uint8_t[]){(uint8_t)c}, 1);
    } else if (c < 0x800) {
        append(text, (uint8_t[]){(uint8_t)(0xc0 | c >> 6), (uint8_t)(0x80 | (c & 63))}, 2);
    } else if (c < 0x10000) {
        append(text, (uint8_t[]){(uint8_t)(0xe0 | c >> 12), (uint8_t)(0x80 | (c >> 6 & 63)), (uint8_t)(0x80 | (c & 63))}, 3);
    } else {
        append(text, (uint8_t[]){(uint8_t)(0xf0 | c >> 18), (uint8_t)(0x80 | (c >> 12 & 63)), (uint8_t)(0x80 | (c >> 6 & 63)), (uint8_t)(0x80 | (c & 63))}, 4);
    }
}

// The four digits behind \u, which the parser has looked at.
static uint32_t escaped_unit(const char *digits) {
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) unit = unit << 4 | (uint32_t)hex_digit((uint8_t)digits[i]);
    return unit;
}

// Undoes the escapes of a JSON string; false where half of a surrogate pair stands alone.
static bool unescape(const char *from, const char *end, buffer_t *text) {
    static const char NAMES[] = "\"\\/bfnrt", MEANT[] = "\"\\/\b\f\n\r\t";
    while (from < end) {
        if (*from != '\\') {
            append(text, from++, 1);
        } else if (from[1] != 'u') {
            append(text, &MEANT[strchr(NAMES, from[1]) - NAMES], 1);
            from += 2;
        } else {
            uint32_t c = escaped_unit(from + 2);
            from += 6;
            if (c >= 0xd800 && c < 0xdc00 && end - from >= 6 && from[0] == '\\' && from[1] == 'u') {
                uint32_t low = escaped_unit(from + 2);
                if (low < 0xdc00 || low >= 0xe000) return false;
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                from += 6;
            }
            if (c >= 0xd800 && c < 0xe000) return false;
            append_character(text, c);
        }
    }
    return true;
}

// Whether text is UTF-8 (RFC 3629, section 4).
static bool is_utf8(const uint8_t *at, size_t length) {
    for (size_t i = 0; i < length;) {
        uint8_t first = at[i];
        size_t more = first < 0x80 ? 0 : first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : length;
        if (length - i <= more) return false;
        uint8_t least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        uint8_t most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        for (size_t k = 1; k <= more; k++, least = 0x80, most = 0xbf) {
            if (at[i + k] < least || at[i + k] > most) return false;
        }
        i += more + 1;
    }
    return true;
}

typedef struct {
    bool has_code;
    text_t code;
    // 0 if none was sent that is a whole number.
    double percent;
} sent_t;

static bool is_code(text_t code) {
    if (code.len < 1 || code.len > CODE_BYTES) return false;
    for (size_t i = 0; i < code.len; i++) {
        if (code.ptr[i] < ' ' || code.ptr[i] == 0x7f) return false;
    }
    return is_utf8(code.ptr, code.len);
}

// The token behind this one with all that is in it.
static int skip(const jsmntok_t *tokens, int count, int at) {
    int end = tokens[at++].end;
    while (at < count && tokens[at].start < end) at++;
    return at;
}

// The members of the body that matter; none if it is no JSON object. One that comes twice counts the last time.
static sent_t read_sent(const request_t *request) {
    static jsmntok_t tokens[MOST_TOKENS];
    const char *body = (const char *)request->body.ptr;
    jsmn_parser parser;
    jsmn_init(&parser);
    int count = jsmn_parse(&parser, body, request->body.len, tokens, MOST_TOKENS);
    sent_t sent = {0};
    if (count < 1 || tokens[0].type != JSMN_OBJECT) return sent;
    for (int at = 1; at + 1 < count; at = skip(tokens, count, at + 1)) {
        const jsmntok_t *name = &tokens[at], *value = &tokens[at + 1];
        size_t length = (size_t)(name->end - name->start);
        if (length == 4 && memcmp(body + name->start, "code", 4) == 0) {
            buffer_t text = {0};
            sent.has_code = value->type == JSMN_STRING && unescape(body + value->start, body + value->end, &text);
            sent.code = as_text(text);
        } else if (length == 7 && memcmp(body + name->start, "percent", 7) == 0) {
            bool is_number = value->type == JSMN_PRIMITIVE && strchr("-0123456789", body[value->start]);
            double number = is_number ? strtod(body + value->start, NULL) : 0;
            sent.percent = number >= 1 && number <= 1e9 && number == (double)(int64_t)number ? number : 0;
        }
    }
    return sent;
}

static text_t code_of(const request_t *request) {
    return request->path_parameters.ptr[0].f1;
}

static text_t caller_of(const request_t *request) {
    if (request->caller.tag != WHARF_PLUGIN_HTTP_CALLER_IDENTITY) return literal("anonymous");
    const wharf_plugin_http_identity_t *user = &request->caller.val.identity;
    buffer_t who = {0};
    append(&who, user->realm.ptr, user->realm.len);
    append_text(&who, "/");
    append_number(&who, user->user_id);
    return as_text(who);
}

static int64_t most_percent(void) {
    text_t name = literal("most_percent"), set;
    if (!wharf_plugin_settings_get(&name, &set)) return 100;
    buffer_t digits = {0};
    append(&digits, set.ptr, set.len);
    append(&digits, "", 1);
    return atoll(digits.at);
}

// ---- the endpoints -----------------------------------------------------------------------------------------------

static response_t list(const request_t *request) {
    text_t after = query_parameter(request->query, "after");
    text_t key = page_key(after);
    coupons_list_u8_t cached;
    if (wharf_plugin_cache_get(&key, &cached)) {
        return respond(200, (buffer_t){(char *)cached.ptr, cached.len, cached.len}, "x-cache", "hit");
    }
    rows_t found;
    error_t error;
    value_t parameters[] = {text_value(after), integer_value(PAGE + 1)};
    if (!query("SELECT " COLUMNS " FROM coupons WHERE code > $1 ORDER BY code LIMIT $2", parameters, 2, &found, &error)) {
        return failed(&error);
    }
    bool is_more = found.rows.len > PAGE;
    size_t count = is_more ? PAGE : found.rows.len;
    buffer_t body = {0};
    append_text(&body, "{\"coupons\":[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) append_text(&body, ",");
        append_coupon(&body, &found.rows.ptr[i]);
    }
    append_text(&body, "],\"next\":");
    append_value(&body, is_more ? &found.rows.ptr[PAGE - 1].ptr[0] : &(value_t){.tag = WHARF_PLUGIN_DATABASE_VALUE_NULL});
    append_text(&body, "}");
    wharf_plugin_cache_set(&key, &(coupons_list_u8_t){(uint8_t *)body.at, body.length}, PAGE_SECONDS);
    return respond(200, body, "x-cache", "miss");
}

static response_t refuse(bool is_code_wrong, bool is_percent_wrong, int64_t most) {
    buffer_t body = {0}, percent = {0};
    append_text(&body, "{\"message\":\"the coupon is not valid\",\"fields\":{");
    if (is_code_wrong) append_text(&body, "\"code\":\"must be text of 1 to 64 bytes without control characters\"");
    if (is_code_wrong && is_percent_wrong) append_text(&body, ",");
    if (is_percent_wrong) {
        append_text(&percent, "\"percent\":\"must be a whole number from 1 to ");
        append_number(&percent, most);
        append_text(&percent, "\"");
        append(&body, percent.at, percent.length);
    }
    append_text(&body, "}}");
    return respond(422, body, NULL, NULL);
}

static response_t create(const request_t *request) {
    sent_t sent = read_sent(request);
    int64_t most = most_percent();
    bool is_code_wrong = !sent.has_code || !is_code(sent.code);
    bool is_percent_wrong = sent.percent < 1 || sent.percent > (double)most;
    if (is_code_wrong || is_percent_wrong) return refuse(is_code_wrong, is_percent_wrong, most);
    text_t sql = literal("INSERT INTO coupons (code, percent) VALUES ($1, $2)");
    value_t row[] = {text_value(sent.code), integer_value((int64_t)sent.percent), {0}, {0}};
    uint64_t created;
    error_t error;
    if (!wharf_plugin_database_execute(&sql, &(row_t){row, 2}, &created, &error)) {
        if (error.tag == WHARF_PLUGIN_DATABASE_ERROR_UNIQUE_VIOLATION) {
            return say(409, "there is a coupon with this code already");
        }
        return failed(&error);
    }
    changed();
    return answer_with(201, &(row_t){row, COUNT(row)});
}

static response_t show(const request_t *request) {
    rows_t found;
    error_t error;
    if (!one(code_of(request), &found, &error)) return failed(&error);
    if (found.rows.len == 0) return say(404, "there is no such coupon");
    return answer_with(200, &found.rows.ptr[0]);
}

static response_t redeem(const request_t *request) {
    text_t code = code_of(request), who = caller_of(request);
    rows_t redeemed;
    error_t error;
    value_t parameters[] = {text_value(who), integer_value(wharf_plugin_clock_now()), text_value(code)};
    if (!query("UPDATE coupons SET redeemed_by = $1, redeemed_at = $2 WHERE code = $3 AND redeemed_at IS NULL RETURNING " COLUMNS,
               parameters, 3, &redeemed, &error)) {
        return failed(&error);
    }
    if (redeemed.rows.len == 0) {
        response_t shown = show(request);
        return shown.status == 200 ? say(409, "this coupon was redeemed before") : shown;
    }
    changed();
    buffer_t line = {0};
    append_text(&line, "coupon ");
    append(&line, code.ptr, code.len);
    append_text(&line, " redeemed by ");
    append(&line, who.ptr, who.len);
    text_t message = as_text(line);
    wharf_plugin_log_write(WHARF_PLUGIN_LOG_LEVEL_INFO, &message);
    return answer_with(200, &redeemed.rows.ptr[0]);
}

// ---- what the host calls -----------------------------------------------------------------------------------------

typedef struct {
    const char *name, *description;
    exports_wharf_plugin_handler_place_t place;
    exports_wharf_plugin_handler_kind_t kind;
    bool required;
} parameter_t;

// Each route and what answers it; the host names the route by its index.
static const struct {
    const char *method, *path, *summary;
    parameter_t parameters[2];
    size_t count;
    response_t (*answer)(const request_t *request);
} ENDPOINTS[] = {
    {"GET", "/api/coupons", "The coupons by code, a page at a time.",
     {{"after", "The code that the page comes after.", EXPORTS_WHARF_PLUGIN_HANDLER_PLACE_INPUT, EXPORTS_WHARF_PLUGIN_HANDLER_KIND_TEXT, false}}, 1, list},
    {"POST", "/api/coupons", "Creates a coupon.",
     {{"code", "The code.", EXPORTS_WHARF_PLUGIN_HANDLER_PLACE_INPUT, EXPORTS_WHARF_PLUGIN_HANDLER_KIND_TEXT, true},
      {"percent", "The discount.", EXPORTS_WHARF_PLUGIN_HANDLER_PLACE_INPUT, EXPORTS_WHARF_PLUGIN_HANDLER_KIND_INTEGER, true}}, 2, create},
    {"GET", "/api/coupons/{code}", "One coupon.",
     {{"code", "", EXPORTS_WHARF_PLUGIN_HANDLER_PLACE_PATH, EXPORTS_WHARF_PLUGIN_HANDLER_KIND_TEXT, true}}, 1, show},
    {"POST", "/api/coupons/{code}/redeem", "Redeems a coupon, once.",
     {{"code", "", EXPORTS_WHARF_PLUGIN_HANDLER_PLACE_PATH, EXPORTS_WHARF_PLUGIN_HANDLER_KIND_TEXT, true}}, 1, redeem},
};

void exports_wharf_plugin_handler_routes(exports_wharf_plugin_handler_list_route_t *routes) {
    // From calloc, a route is public, throttled as usual and without a body limit of its own.
    routes->len = COUNT(ENDPOINTS);
    routes->ptr = calloc(COUNT(ENDPOINTS), sizeof *routes->ptr);
    for (size_t i = 0; i < COUNT(ENDPOINTS); i++) {
        exports_wharf_plugin_handler_route_t *route = &routes->ptr[i];
        coupons_string_dup(&route->method, ENDPOINTS[i].method);
        coupons_string_dup(&route->path, ENDPOINTS[i].path);
        coupons_string_dup(&route->tag, "coupons");
        coupons_string_dup(&route->summary, ENDPOINTS[i].summary);
        route->parameters.len = ENDPOINTS[i].count;
        route->parameters.ptr = calloc(ENDPOINTS[i].count, sizeof *route->parameters.ptr);
        for (size_t k = 0; k < ENDPOINTS[i].count; k++) {
            const parameter_t *from = &ENDPOINTS[i].parameters[k];
            exports_wharf_plugin_handler_parameter_t *to = &route->parameters.ptr[k];
            coupons_string_dup(&to->name, from->name);
            coupons_string_dup(&to->description, from->description);
            to->place = from->place;
            to->kind = from->kind;
            to->required = from->required;
        }
    }
}

void exports_wharf_plugin_handler_handle(exports_wharf_plugin_handler_request_t *request, response_t *response) {
    *response = ENDPOINTS[request->route].answer(request);
}
