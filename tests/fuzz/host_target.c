/* host_target - any bytes as a Host and as a request-target of any method: taken exactly where the grammar of
 * RFC 3986 and RFC 9112 section 3.2 has them, and taken apart without losing a byte. */
#include "address_grammar.h"
#include "http/target.h"

#define ESCAPED	   "%[0-9A-Fa-f][0-9A-Fa-f]"
#define UNRESERVED "-A-Za-z0-9._~"
#define SUB_DELIMS "!$&'()*+,;="
#define REG_NAME   "([" UNRESERVED SUB_DELIMS "]|" ESCAPED ")+"
#define IP_LITERAL                                                                                           \
	"\\[(" GRAMMAR_IPV6 "|[vV][0-9A-Fa-f]+[.][" SUB_DELIMS ":"                                           \
	"A-Za-z0-9._~-]+)\\]"
#define PATH "([" SUB_DELIMS ":@/A-Za-z0-9._~-]|" ESCAPED ")*"
/* what browsers leave unescaped is passed on in queries */
#define QUERY	   "([][" SUB_DELIMS ":@/?`{|}^A-Za-z0-9._~-]|" ESCAPED ")*"
#define TARGET_MAX (1 << 13)

static bool is_host_by_grammar(const char *text, size_t bytes)
{
	static regex_t *host;
	const char *colon = bytes > 0 ? memrchr(text, ':', bytes) : NULL;
	if (bytes > HTTP_HOST_BYTES_MAX)
		return false;
	/* a colon inside of brackets is none of a port */
	if (colon != NULL && memchr(colon, ']', bytes - (size_t)(colon - text)) != NULL)
		colon = NULL;
	size_t host_bytes = colon != NULL ? (size_t)(colon - text) : bytes;
	if (colon != NULL && !grammar_is_port(colon + 1, bytes - host_bytes - 1, 0))
		return false;
	return grammar_matches(&host, "^(" REG_NAME "|" IP_LITERAL ")$", text, host_bytes);
}

static bool is_path_by_grammar(const char *text, size_t bytes)
{
	static regex_t *path;
	return grammar_matches(&path, "^(/" PATH ")?([?]" QUERY ")?$", text, bytes);
}

/* What http_target_parse() must say; `*authority_bytes` is filled for an absolute-form. */
static enum problem expected(enum http_method method, const char *text, size_t bytes, size_t *authority_bytes)
{
	*authority_bytes = 0;
	if (method == HTTP_METHOD_CONNECT) {
		bool has_port = bytes > 0 && text[bytes - 1] >= '0' && text[bytes - 1] <= '9' &&
				memchr(text, ':', bytes) != NULL;
		return has_port && is_host_by_grammar(text, bytes) ? PROBLEM_METHOD_REFUSED
								   : PROBLEM_BAD_TARGET;
	}
	if (bytes > 0 && text[0] == '/')
		return is_path_by_grammar(text, bytes) ? PROBLEM_NONE : PROBLEM_BAD_TARGET;
	if (bytes == 1 && text[0] == '*')
		return method == HTTP_METHOD_OPTIONS ? PROBLEM_NONE : PROBLEM_BAD_TARGET;
	bool is_secure = bytes >= 8 && strncasecmp(text, "https://", 8) == 0;
	size_t scheme_bytes = is_secure ? 8 : 7;
	if (!is_secure && (bytes < 7 || strncasecmp(text, "http://", 7) != 0))
		return PROBLEM_BAD_TARGET;
	for (text += scheme_bytes, bytes -= scheme_bytes; *authority_bytes < bytes; ++*authority_bytes)
		if (text[*authority_bytes] == '/' || text[*authority_bytes] == '?')
			break;
	return is_host_by_grammar(text, *authority_bytes) &&
			       is_path_by_grammar(text + *authority_bytes, bytes - *authority_bytes)
		       ? (is_secure ? PROBLEM_MISDIRECTED : PROBLEM_NONE)
		       : PROBLEM_BAD_TARGET;
}

/* Scheme, authority, path and query must be the target again, but for what an empty path becomes. */
static void check_parts(const struct http_head *head, size_t authority_bytes)
{
	struct str target = http_text(head, head->target), authority = http_text(head, head->authority);
	struct str path = http_text(head, head->path), query = http_text(head, head->query);
	const char *end = target.at + target.bytes;
	bool is_path_there = path.at >= target.at && path.at + path.bytes <= end;

	require(authority.bytes == authority_bytes, "the authority has another length");
	require(authority_bytes == 0 || authority.at == target.at + 7, "the authority stands elsewhere");
	require(path.bytes > 0 && path.at[0] == '/', "a path that does not start with a slash");
	require(query.bytes == 0 || query.at[0] == '?', "a query that does not start with its mark");
	require(memchr(path.at, '?', path.bytes) == NULL, "a path with a query in it");
	if (target.at[0] == '*') {
		require(head->target_form == HTTP_TARGET_ASTERISK && query.bytes == 0, "asterisk-form");
		return;
	}
	const char *rest = authority_bytes > 0 ? authority.at + authority_bytes : target.at;
	size_t rest_bytes = (size_t)(end - rest);
	bool is_path_empty = rest_bytes == 0 || rest[0] == '?';
	require(query.bytes + (is_path_empty ? 0 : path.bytes) == rest_bytes, "bytes are lost");
	require(is_path_empty ? path.bytes == 1 : is_path_there && path.at == rest, "the path");
	require(query.bytes == 0 || query.at + query.bytes == end, "the query");
	bool is_asterisk = authority_bytes > 0 && rest_bytes == 0 && head->method == HTTP_METHOD_OPTIONS;
	require(head->target_form == (is_asterisk		   ? HTTP_TARGET_ASTERISK
					     : authority_bytes > 0 ? HTTP_TARGET_ABSOLUTE
								   : HTTP_TARGET_ORIGIN),
		"the form");
}

/* The first byte chooses the method; the rest is the target, and a Host. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const struct {
		enum http_method method;
		const char *name;
	} methods[] = {{HTTP_METHOD_GET, "GET"}, {HTTP_METHOD_OPTIONS, "OPTIONS"},
		{HTTP_METHOD_CONNECT, "CONNECT"}, {HTTP_METHOD_OTHER, "BREW"}};
	static struct http_head head;
	if (bytes == 0 || bytes > TARGET_MAX)
		return 0;
	const char *text = (const char *)data + 1;
	size_t text_bytes = bytes - 1;
	require(http_host_is_valid((struct str){text, text_bytes}) == is_host_by_grammar(text, text_bytes),
		"a host is not judged by its grammar");

	char *line = malloc(text_bytes + 32);
	require(line != NULL, "no memory");
	int at = sprintf(line, "%s ", methods[data[0] & 3].name);
	memcpy(line + at, text, text_bytes);
	size_t line_bytes = (size_t)at + text_bytes;
	memcpy(line + line_bytes, " HTTP/1.1\r\n", 11);
	memset(&head, 0, sizeof(head));
	head.base = line;
	head.method = (uint8_t)methods[data[0] & 3].method;
	head.target = (struct http_slice){(uint16_t)at, (uint16_t)text_bytes};
	size_t authority_bytes;
	enum problem problem = http_target_parse(&head);
	require(problem == expected(head.method, text, text_bytes, &authority_bytes),
		"a target is not judged by its grammar");
	if (problem == PROBLEM_NONE)
		check_parts(&head, authority_bytes);
	free(line);
	return 0;
}
