/* parser - finds the lines of a head, then takes each apart. Owns nothing.
 *
 *   feed --> next line: up to the first control byte, which must be a CR with an LF behind it
 *              |                         (so that no value holds a CR, an LF or a NUL)
 *              +-- start line --> request line or status line
 *              +-- field line --> name, id, value
 *              +-- empty line --> what can be told of all fields together: Host, Connection, Max-Forwards
 */
#include "http/parser.h"

#include "http/characters.h"
#include "http/target.h"

enum parser_state { PARSER_START_LINE, PARSER_FIELDS, PARSER_DONE, PARSER_BAD };

#define VERSION_BYTES	      (sizeof("HTTP/1.1") - 1)
#define STATUS_LINE_BYTES_MIN (sizeof("HTTP/1.1 200 ") - 1)

void http_parser_start(
	struct http_parser *parser, enum http_kind kind, const struct http_parser_limits *limits)
{
	assert(limits->head_bytes <= HTTP_HEAD_BYTES_MAX && limits->fields <= HTTP_HEAD_FIELDS_MAX);
	parser->limits = *limits;
	parser->problem = PROBLEM_NONE;
	parser->parsed = 0;
	parser->line = 0;
	parser->state = PARSER_START_LINE;
	parser->kind = (uint8_t)kind;
	parser->leading_empty_lines = 0;
	parser->head.base = NULL;
	parser->head.bytes = 0;
	parser->head.field_count = 0;
	parser->head.connection = 0;
	parser->head.present = 0;
	parser->head.repeated = 0;
}

static enum http_verdict refuse(struct http_parser *parser, enum problem problem)
{
	if (parser->kind == HTTP_KIND_RESPONSE)
		problem =
			problem == PROBLEM_HEAD_TOO_LARGE ? PROBLEM_RESPONSE_TOO_LARGE : PROBLEM_BAD_RESPONSE;
	parser->problem = problem;
	parser->state = PARSER_BAD;
	return HTTP_BAD;
}

static struct http_slice slice_of(const struct http_head *head, const char *at, const char *end)
{
	return (struct http_slice){(uint16_t)(at - head->base), (uint16_t)(end - at)};
}

/* HTTP-version: eight bytes at `at`. A higher minor version is read as the highest that we know (RFC 9110
 * section 2.5). `malformed` is the problem of what is no version at all. */
static enum problem parse_version(struct http_head *head, const char *at, enum problem malformed)
{
	if (memcmp(at, "HTTP/", 5) != 0 || !http_is_digit(at[5]) || at[6] != '.' || !http_is_digit(at[7]))
		return malformed;
	if (at[5] != '1')
		return PROBLEM_BAD_VERSION;
	head->version_minor = at[7] == '0' ? 0 : 1;
	return PROBLEM_NONE;
}

/* request-line = method SP request-target SP HTTP-version */
static enum problem parse_request_line(struct http_head *head, const char *line, const char *end)
{
	const char *at = line;
	while (http_is(*at, HTTP_TOKEN)) /* the CR at `end` stops it */
		at++;
	if (at == line || *at != ' ' || (size_t)(end - at) < sizeof(" / HTTP/1.1") - 1)
		return PROBLEM_BAD_REQUEST_LINE;
	const char *target = at + 1;
	const char *version = end - VERSION_BYTES;
	if (version[-1] != ' ')
		return PROBLEM_BAD_REQUEST_LINE;

	head->method_name = slice_of(head, line, at);
	head->method = (uint8_t)http_method_lookup(http_text(head, head->method_name));
	enum problem problem = parse_version(head, version, PROBLEM_BAD_REQUEST_LINE);
	if (problem != PROBLEM_NONE)
		return problem;

	head->target = slice_of(head, target, version - 1);
	problem = http_target_parse(head);
	if (UNLIKELY(problem == PROBLEM_BAD_TARGET) && memchr(target, ' ', head->target.bytes) != NULL)
		return PROBLEM_BAD_REQUEST_LINE;
	return problem;
}

/* status-line = HTTP-version SP status-code SP [ reason-phrase ] */
static enum problem parse_status_line(struct http_head *head, const char *line, const char *end)
{
	if ((size_t)(end - line) < STATUS_LINE_BYTES_MIN ||
		parse_version(head, line, PROBLEM_BAD_RESPONSE) != PROBLEM_NONE)
		return PROBLEM_BAD_RESPONSE;
	const char *code = line + VERSION_BYTES + 1;
	if (code[-1] != ' ' || !http_is_digit(code[0]) || !http_is_digit(code[1]) ||
		!http_is_digit(code[2]) || code[3] != ' ' || code[0] == '0')
		return PROBLEM_BAD_RESPONSE;
	head->status = (uint16_t)((code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0'));
	head->reason = slice_of(head, code + 4, end);
	return PROBLEM_NONE;
}

/* field-line = field-name ":" OWS field-value OWS. A folded line starts with white space, which no name does.
 */
static enum problem parse_field(struct http_parser *parser, const char *line, const char *end)
{
	struct http_head *head = &parser->head;
	if (head->field_count >= parser->limits.fields)
		return PROBLEM_HEAD_TOO_LARGE;

	const char *at = line;
	while (http_is(*at, HTTP_TOKEN))
		at++;
	if (at == line || *at != ':')
		return PROBLEM_BAD_FIELD;
	struct http_field *field = &head->fields[head->field_count];
	field->name = slice_of(head, line, at);
	enum http_field_id id = http_field_lookup((struct str){line, (size_t)(at - line)});

	at++;
	while (at < end && http_is_space(*at))
		at++;
	while (end > at && http_is_space(end[-1]))
		end--;
	field->value = slice_of(head, at, end);
	field->id = (uint8_t)id;
	if (id != HTTP_FIELD_OTHER) {
		if (http_has(head, id))
			head->repeated |= BIT(id);
		else
			head->first[id] = (uint8_t)head->field_count;
		head->present |= BIT(id);
	}
	head->field_count++;
	return PROBLEM_NONE;
}

/* One connection-option. Naming a field that we act on changes nothing: hop-by-hop ones go anyway, and the
 * others (Host, Content-Length and so on) do not go on a sender's word. Credentials for a proxy are the
 * exception. */
static uint8_t connection_option(struct str option)
{
	if (str_equal_nocase(option, STR("close")))
		return HTTP_CONNECTION_CLOSE;
	if (str_equal_nocase(option, STR("keep-alive")))
		return HTTP_CONNECTION_KEEP_ALIVE;
	switch (http_field_lookup(option)) {
	case HTTP_FIELD_UPGRADE:
		return HTTP_CONNECTION_UPGRADE;
	case HTTP_FIELD_OTHER:
	case HTTP_FIELD_PROXY_AUTHENTICATE:
	case HTTP_FIELD_PROXY_AUTHORIZATION:
		return HTTP_CONNECTION_NAMES;
	default:
		return 0;
	}
}

static bool is_token(struct str text)
{
	for (size_t i = 0; i < text.bytes; i++)
		if (!http_is(text.at[i], HTTP_TOKEN))
			return false;
	return text.bytes > 0;
}

/* Connection = #connection-option, a list of tokens. */
static enum problem parse_connection(struct http_head *head)
{
	for (size_t i = head->first[HTTP_FIELD_CONNECTION]; i < head->field_count; i++) {
		if (head->fields[i].id != HTTP_FIELD_CONNECTION)
			continue;
		struct str list = http_text(head, head->fields[i].value);
		struct str option;
		while (http_list_next(&list, &option)) {
			if (!is_token(option))
				return PROBLEM_BAD_FIELD;
			head->connection |= connection_option(option);
		}
	}
	return PROBLEM_NONE;
}

/* RFC 9112 section 3.2: exactly one valid Host in HTTP/1.1. An absolute-form target wins over it all the
 * same. */
static enum problem check_host(struct http_head *head)
{
	const struct http_field *host = http_find(head, HTTP_FIELD_HOST);
	if (host == NULL)
		return head->version_minor == 0 ? PROBLEM_NONE : PROBLEM_BAD_HOST;
	if (http_is_repeated(head, HTTP_FIELD_HOST) || !http_host_is_valid(http_text(head, host->value)))
		return PROBLEM_BAD_HOST;
	if (head->authority.bytes == 0)
		head->authority = host->value;
	return PROBLEM_NONE;
}

/* RFC 9110 section 7.6.2: a number of hops. It binds us for two methods; for others it is just a field. */
static enum problem check_max_forwards(const struct http_head *head)
{
	struct str value = http_value(head, HTTP_FIELD_MAX_FORWARDS);
	if (head->method != HTTP_METHOD_OPTIONS && head->method != HTTP_METHOD_TRACE)
		return PROBLEM_NONE;
	if (http_is_repeated(head, HTTP_FIELD_MAX_FORWARDS) || value.bytes == 0)
		return PROBLEM_BAD_FIELD;
	for (size_t i = 0; i < value.bytes; i++)
		if (!http_is_digit(value.at[i]))
			return PROBLEM_BAD_FIELD;
	return PROBLEM_NONE;
}

/* The empty line was read; the head ends at `end`. */
static enum problem finish(struct http_parser *parser, const char *end)
{
	struct http_head *head = &parser->head;
	head->bytes = (uint16_t)(end - head->base);
	parser->state = PARSER_DONE;
	if (parser->kind == HTTP_KIND_REQUEST) {
		enum problem problem = check_host(head);
		if (problem == PROBLEM_NONE && UNLIKELY(http_has(head, HTTP_FIELD_MAX_FORWARDS)))
			problem = check_max_forwards(head);
		if (problem != PROBLEM_NONE)
			return problem;
	}
	return http_has(head, HTTP_FIELD_CONNECTION) ? parse_connection(head) : PROBLEM_NONE;
}

/* One complete line, [line, end), with CR LF behind it. */
static enum problem parse_line(struct http_parser *parser, const char *line, const char *end)
{
	if (LIKELY(parser->state == PARSER_FIELDS))
		return line == end ? finish(parser, end + 2) : parse_field(parser, line, end);

	if (parser->kind == HTTP_KIND_RESPONSE) {
		parser->state = PARSER_FIELDS;
		return parse_status_line(&parser->head, line, end);
	}
	if (line == end)
		return ++parser->leading_empty_lines > HTTP_LEADING_EMPTY_LINES_MAX ? PROBLEM_BAD_REQUEST_LINE
										    : PROBLEM_NONE;
	parser->state = PARSER_FIELDS;
	return parse_request_line(&parser->head, line, end);
}

/* The problem of a byte that stands nowhere in a head: a control byte, a lone CR or LF. */
static enum problem stray_byte(const struct http_parser *parser)
{
	return parser->state == PARSER_START_LINE ? PROBLEM_BAD_REQUEST_LINE : PROBLEM_BAD_FIELD;
}

/* The limit was reached before the empty line. */
static enum problem too_large(const struct http_parser *parser, const char *line, const char *end)
{
	if (parser->state != PARSER_START_LINE || parser->kind == HTTP_KIND_RESPONSE)
		return PROBLEM_HEAD_TOO_LARGE;
	return memchr(line, ' ', (size_t)(end - line)) != NULL ? PROBLEM_TARGET_TOO_LONG
							       : PROBLEM_BAD_REQUEST_LINE;
}

enum http_verdict http_parser_feed(struct http_parser *parser, const char *base, size_t bytes)
{
	parser->head.base = base;
	if (UNLIKELY(parser->state >= PARSER_DONE))
		return parser->state == PARSER_DONE ? HTTP_DONE : HTTP_BAD;

	const char *end = base + (bytes < parser->limits.head_bytes ? bytes : parser->limits.head_bytes);
	const char *line = base + parser->line;
	const char *at = base + parser->parsed;
	for (;;) {
		at = http_find_control(at, end);
		if (at == end || (*at == '\r' && at + 1 == end))
			break;
		if (UNLIKELY(at[0] != '\r' || at[1] != '\n'))
			return refuse(parser, stray_byte(parser));
		enum problem problem = parse_line(parser, line, at);
		if (UNLIKELY(problem != PROBLEM_NONE))
			return refuse(parser, problem);
		at += 2;
		line = at;
		if (parser->state == PARSER_DONE) {
			parser->parsed = parser->head.bytes;
			return HTTP_DONE;
		}
	}
	if (UNLIKELY((size_t)(end - base) == parser->limits.head_bytes))
		return refuse(parser, too_large(parser, line, end));
	parser->line = (uint32_t)(line - base);
	parser->parsed = (uint32_t)(at - base);
	return HTTP_MORE;
}
