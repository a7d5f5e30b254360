/* parser - reads heads line by line, and has llhttp judge what is odd. Owns nothing.
 *
 * llhttp knows the grammar; it is too lenient for a proxy in some places and too narrow in others (FORGIVEN
 * below). So it is asked of what is odd alone, in whole lines, after a look at each of their bytes, and not
 * of the values of fields, of which that look has said all that their grammar asks. Of most heads it sees
 * nothing:
 *
 *   feed --> next line: up to the first control byte, which must be a CR with an LF behind it: so that no
 *            |          line holds a CR, an LF or a NUL, and none ends in a bare LF
 *            +-- start line --> split at its spaces; a status line has nothing else to it; llhttp judges
 *            |                  requests whose method is unknown, or whose target is not in origin-form
 *            +-- field line --> must begin like a name: no folded line, no empty name; split at its colon;
 *            |                  llhttp judges the name, unless it is known, or of letters, digits and hyphens
 *            +-- empty line --> llhttp has the head end here, if it was asked before; what can be told of all
 *                               fields together: Host, Connection, Max-Forwards
 */
#include "http/parser.h"

#include "http/characters.h"
#include "http/target.h"

enum parser_state { PARSER_START_LINE, PARSER_FIELDS, PARSER_DONE, PARSER_BAD };

#define VERSION_BYTES	      (sizeof("HTTP/1.1") - 1)
#define STATUS_LINE_BYTES_MIN (sizeof("HTTP/1.1 200 ") - 1)

/* llhttp is told to forgive what is ours to judge: versions (HTTP/1.2 is read as 1.1, 2.0 has an answer of
 * its own). */
#define FORGIVEN LENIENT_VERSION

/* To llhttp all fields are alike, and none has a value: what framing and Connection say is ours to judge. */
#define FIELD_LIKE_ANY_OTHER 0

/* A method that llhttp knows and that asks nothing of the target: stands in for those that it does not know.
 */
static const char stand_in[] = "GET ";

/* Stands in for a start line that it is not shown: names are the same behind any. */
static const char stand_in_line[] = "GET / HTTP/1.1\r\n";

static struct http_slice slice_of(const struct http_head *head, const char *at, size_t bytes)
{
	return (struct http_slice){(uint16_t)(at - head->base), (uint16_t)bytes};
}

/* ---- What llhttp judges ------------------------------------------------------------------------ */

/* The next byte is the body's. */
static int on_head(llhttp_t *llhttp)
{
	CONTAINER_OF(llhttp, struct http_parser, llhttp)->state = PARSER_DONE;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {.on_headers_complete = on_head};

/* It is to judge something. Most heads never get here: all that it keeps is set when it is wanted. */
static void ask(struct http_parser *parser)
{
	llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
	parser->llhttp.lenient_flags = FORGIVEN;
	parser->is_asked = true;
}

/* Give llhttp what stands in [at, end). `refused` is the problem if it refuses that. */
static inline enum problem give(
	struct http_parser *parser, const char *at, const char *end, enum problem refused)
{
	llhttp_errno_t error = llhttp_execute(&parser->llhttp, at, (size_t)(end - at));
	return LIKELY(error == HPE_OK || error == HPE_PAUSED) ? PROBLEM_NONE : refused;
}

/* ---- Start lines ----------------------------------------------------------------------------- */

/* HTTP-version: eight bytes at `at`. A higher minor version is read as the highest that we know (RFC 9110
 * section 2.5). `malformed` is the problem of what is no version at all. */
static enum problem check_version(struct http_head *head, const char *at, enum problem malformed)
{
	if (memcmp(at, "HTTP/", 5) != 0 || !http_is_digit(at[5]) || at[6] != '.' || !http_is_digit(at[7]))
		return malformed;
	if (at[5] != '1')
		return PROBLEM_BAD_VERSION;
	head->version_minor = at[7] == '0' ? 0 : 1;
	return PROBLEM_NONE;
}

/* request-line = method SP request-target SP HTTP-version: a token, and no other space than these two. */
static enum problem check_request_line(struct http_head *head, const char *line, const char *end)
{
	const char *at = line;
	while (http_is(*at, HTTP_TOKEN)) /* the CR at `end` stops it */
		at++;
	if (at == line || *at != ' ' || (size_t)(end - at) < sizeof(" / HTTP/1.1") - 1)
		return PROBLEM_BAD_REQUEST_LINE;
	const char *target = at + 1;
	const char *version = end - VERSION_BYTES;
	if (version[-1] != ' ' || memchr(target, ' ', (size_t)(version - 1 - target)) != NULL)
		return PROBLEM_BAD_REQUEST_LINE;
	head->method_name = slice_of(head, line, (size_t)(at - line));
	head->method = (uint8_t)http_method_lookup(http_text(head, head->method_name));
	head->target = slice_of(head, target, (size_t)(version - 1 - target));
	return check_version(head, version, PROBLEM_BAD_REQUEST_LINE);
}

/* The line at `line`, which is split already. */
static enum problem judge_request_line(struct http_parser *parser, const char *line, const char *end)
{
	const struct http_head *head = &parser->head;
	enum problem problem = PROBLEM_NONE;
	ask(parser);
	if (head->method == HTTP_METHOD_OTHER) {
		problem = give(parser, stand_in, stand_in + sizeof(stand_in) - 1, PROBLEM_BAD_REQUEST_LINE);
		line += head->method_name.bytes + 1;
	}
	return problem == PROBLEM_NONE ? give(parser, line, end + 2, PROBLEM_BAD_TARGET) : problem;
}

/* Method and version are read to the byte, and http_target_parse() says all of a target in origin-form. */
static enum problem parse_request_line(struct http_parser *parser, const char *line, const char *end)
{
	struct http_head *head = &parser->head;
	enum problem problem = check_request_line(head, line, end);
	if (problem == PROBLEM_NONE &&
		UNLIKELY(head->method == HTTP_METHOD_OTHER || head->base[head->target.at] != '/'))
		problem = judge_request_line(parser, line, end);
	return problem == PROBLEM_NONE ? http_target_parse(head) : problem;
}

/* status-line = HTTP-version SP status-code SP [ reason-phrase ], the code of one of the five classes: any
 * other is invalid, to be treated like a 5xx (RFC 9110 section 15). */
static enum problem parse_status_line(struct http_head *head, const char *line, const char *end)
{
	if ((size_t)(end - line) < STATUS_LINE_BYTES_MIN ||
		check_version(head, line, PROBLEM_BAD_RESPONSE) != PROBLEM_NONE)
		return PROBLEM_BAD_RESPONSE;
	const char *code = line + VERSION_BYTES + 1;
	if (code[-1] != ' ' || code[0] < '1' || code[0] > '5' || !http_is_digit(code[1]) ||
		!http_is_digit(code[2]) || code[3] != ' ')
		return PROBLEM_BAD_RESPONSE;
	const char *reason = code + sizeof("200 ") - 1;
	head->reason = slice_of(head, reason, (size_t)(end - reason));
	head->status = (uint16_t)((code[0] - '0') * 100 + (code[1] - '0') * 10 + code[2] - '0');
	return PROBLEM_NONE;
}

/* Can these first bytes of a status line become one? What is no HTTP at all is known before its line ends. */
static bool may_be_status_line(const char *at, size_t bytes)
{
	static const char start[] = "HTTP/1.";
	size_t compared = bytes < sizeof(start) - 1 ? bytes : sizeof(start) - 1;
	return memcmp(at, start, compared) == 0;
}

static enum problem parse_start_line(struct http_parser *parser, const char *line, const char *end)
{
	if (parser->kind == HTTP_KIND_REQUEST && line == end)
		return ++parser->leading_empty_lines > HTTP_LEADING_EMPTY_LINES_MAX ? PROBLEM_BAD_REQUEST_LINE
										    : PROBLEM_NONE;
	parser->state = PARSER_FIELDS;
	return parser->kind == HTTP_KIND_REQUEST ? parse_request_line(parser, line, end)
						 : parse_status_line(&parser->head, line, end);
}

/* ---- Field lines ----------------------------------------------------------------------------- */

/* llhttp has seen names without their line's end, which comes with what it is given next. `line` is where
 * that begins, behind the CR and LF of some line. */
static const char *with_open_line(const struct http_parser *parser, const char *line)
{
	return parser->is_line_open ? line - 2 : line;
}

/* The name of the line at `line`, which ends at `colon`. */
static enum problem judge_name(struct http_parser *parser, const char *line, const char *colon)
{
	const char *from = with_open_line(parser, line);
	if (!parser->is_asked) {
		ask(parser);
		enum problem problem = give(
			parser, stand_in_line, stand_in_line + sizeof(stand_in_line) - 1, PROBLEM_BAD_FIELD);
		if (problem != PROBLEM_NONE)
			return problem;
	}
	parser->llhttp.header_state = FIELD_LIKE_ANY_OTHER;
	parser->is_line_open = true;
	return give(parser, from, colon + 1, PROBLEM_BAD_FIELD);
}

/* Which field it is. A known or a plain name is well-formed; what any other must be llhttp says. */
static enum problem identify(struct http_parser *parser, const char *line, const char *colon, uint8_t *out)
{
	struct http_head *head = &parser->head;
	enum http_field_id id = http_field_lookup((struct str){line, (size_t)(colon - line)});
	enum problem problem = PROBLEM_NONE;
	*out = HTTP_FIELD_OTHER;
	if ((id == HTTP_FIELD_OTHER || UNLIKELY(id == HTTP_FIELD_DISGUISED)) &&
		UNLIKELY(!http_is_plain(line, (size_t)(colon - line))))
		problem = judge_name(parser, line, colon);
	if (UNLIKELY(problem == PROBLEM_NONE && head->field_count >= parser->limits.fields))
		problem = PROBLEM_HEAD_TOO_LARGE;
	if (UNLIKELY(problem != PROBLEM_NONE))
		return problem;
	if (UNLIKELY(id == HTTP_FIELD_DISGUISED))
		return parser->kind == HTTP_KIND_REQUEST ? PROBLEM_BAD_FRAMING : PROBLEM_NONE;
	*out = (uint8_t)id;
	if (id == HTTP_FIELD_OTHER)
		return PROBLEM_NONE;
	if (http_has(head, id))
		head->repeated |= BIT(id);
	else
		head->first[id] = (uint8_t)head->field_count;
	head->present |= BIT(id);
	return PROBLEM_NONE;
}

/* Take the white space off both ends of a value. The CR behind it stops what passes over an empty one. */
static void trim(struct http_head *head, const char **value, const char **end)
{
	for (; http_is_space(**value); ++*value)
		head->has_tab_around |= **value == '\t';
	for (; *end > *value && http_is_space((*end)[-1]); --*end)
		head->has_tab_around |= (*end)[-1] == '\t';
}

/* field-line = field-name ":" OWS field-value OWS. No control byte but the tab is in it. */
static enum problem parse_field_line(struct http_parser *parser, const char *line, const char *end)
{
	struct http_head *head = &parser->head;
	const char *colon = http_find_colon(line, end);
	if (UNLIKELY(colon == end || !http_is(*line, HTTP_TOKEN)))
		return PROBLEM_BAD_FIELD;
	uint8_t id;
	enum problem problem = identify(parser, line, colon, &id);
	if (UNLIKELY(problem != PROBLEM_NONE))
		return problem;

	const char *value = colon + 1;
	value += *value == ' '; /* nearly always the only white space there is */
	if (UNLIKELY(http_is_space(*value) || http_is_space(end[-1])))
		trim(head, &value, &end);
	struct http_field *field = &head->fields[head->field_count++];
	field->name = slice_of(head, line, (size_t)(colon - line));
	field->value = slice_of(head, value, (size_t)(end - value));
	field->id = id;
	return PROBLEM_NONE;
}

/* ---- What can be told of all fields together -------------------------------------------------- */

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

/* The empty line was there; the head ends at `end`. */
static enum problem check_fields(struct http_parser *parser, const char *end)
{
	struct http_head *head = &parser->head;
	head->bytes = (uint16_t)(end - head->base);
	if (parser->kind == HTTP_KIND_REQUEST) {
		enum problem problem = check_host(head);
		if (problem == PROBLEM_NONE && UNLIKELY(http_has(head, HTTP_FIELD_MAX_FORWARDS)))
			problem = check_max_forwards(head);
		if (problem != PROBLEM_NONE)
			return problem;
	}
	return http_has(head, HTTP_FIELD_CONNECTION) ? parse_connection(head) : PROBLEM_NONE;
}

/* ---- Lines ------------------------------------------------------------------------------------ */

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
	parser->is_asked = false;
	parser->is_line_open = false;
	parser->head.base = NULL;
	parser->head.bytes = 0;
	parser->head.method = HTTP_METHOD_OTHER;
	parser->head.field_count = 0;
	parser->head.connection = 0;
	parser->head.has_tab_around = false;
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
	if (memchr(line, ' ', (size_t)(end - line)) != NULL)
		return PROBLEM_TARGET_TOO_LONG;
	/* RFC 9112 section 3: a method longer than any that is known is not implemented. */
	return is_token((struct str){line, (size_t)(end - line)}) ? PROBLEM_METHOD_REFUSED
								  : PROBLEM_BAD_REQUEST_LINE;
}

/* The line in [line, end), an LF behind the CR at `end`. */
static enum problem parse_line(struct http_parser *parser, const char *line, const char *end)
{
	if (UNLIKELY(parser->state == PARSER_START_LINE))
		return parse_start_line(parser, line, end);
	if (LIKELY(line < end))
		return parse_field_line(parser, line, end);
	if (LIKELY(!parser->is_asked)) {
		parser->state = PARSER_DONE;
		return PROBLEM_NONE;
	}
	parser->llhttp.header_state = FIELD_LIKE_ANY_OTHER;
	return give(parser, with_open_line(parser, line), end + 2, PROBLEM_BAD_FIELD);
}

/* Parse the lines that are whole, up to the empty one. */
static enum problem parse_lines(struct http_parser *parser, const char *end)
{
	const char *base = parser->head.base;
	const char *line = base + parser->line;
	const char *at = base + parser->parsed; /* the bytes of the line before this one are in order */
	enum problem problem = PROBLEM_NONE;
	while (parser->state != PARSER_DONE) {
		at = http_find_control(at, end);
		if (at == end || (*at == '\r' && at + 1 == end))
			break;
		problem = LIKELY(at[0] == '\r' && at[1] == '\n') ? parse_line(parser, line, at)
								 : stray_byte(parser);
		if (UNLIKELY(problem != PROBLEM_NONE))
			break;
		at += 2;
		line = at;
	}
	parser->line = (uint32_t)(line - base);
	parser->parsed = (uint32_t)(at - base);
	return problem;
}

enum http_verdict http_parser_feed(struct http_parser *parser, const char *base, size_t bytes)
{
	parser->head.base = base;
	if (UNLIKELY(parser->state >= PARSER_DONE))
		return parser->state == PARSER_DONE ? HTTP_DONE : HTTP_BAD;

	const char *end = base + (bytes < parser->limits.head_bytes ? bytes : parser->limits.head_bytes);
	enum problem problem = parse_lines(parser, end);
	const char *line = base + parser->line;
	if (problem == PROBLEM_NONE && LIKELY(parser->state == PARSER_DONE))
		problem = check_fields(parser, line);
	else if (problem == PROBLEM_NONE && parser->state == PARSER_START_LINE &&
		 parser->kind == HTTP_KIND_RESPONSE && !may_be_status_line(base, bytes))
		problem = PROBLEM_BAD_RESPONSE;
	else if (problem == PROBLEM_NONE && UNLIKELY((size_t)(end - base) == parser->limits.head_bytes))
		problem = too_large(parser, line, end);
	if (UNLIKELY(problem != PROBLEM_NONE))
		return refuse(parser, problem);
	return parser->state == PARSER_DONE ? HTTP_DONE : HTTP_MORE;
}
