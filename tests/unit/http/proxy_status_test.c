/* proxy_status_test - the field of RFC 9209: words as they are registered there, strings that cannot break
 * out. */
#include "support.h"

#include "http/proxy_status.h"

/* RFC 9209 section 2.3: those that we have a use for. */
static const char *const registered[] = {"destination_not_found", "destination_unavailable",
	"destination_ip_unroutable", "connection_refused", "connection_terminated", "connection_timeout",
	"connection_read_timeout", "connection_limit_reached", "http_request_error", "http_request_denied",
	"http_response_incomplete", "http_response_header_section_size", "http_response_timeout",
	"http_protocol_error", "proxy_internal_error", "proxy_loop_detected"};

Test(proxy_status, each_problem_has_a_registered_type)
{
	for (int problem = PROBLEM_NONE + 1; problem < PROBLEM_COUNT; problem++) {
		const struct problem_row *row = problem_row((enum problem)problem);
		bool is_registered = false;
		for (size_t i = 0; i < ARRAY_SIZE(registered); i++)
			is_registered |= strcmp(row->proxy_error, registered[i]) == 0;
		cr_expect(is_registered, "%s: \"%s\"", row->code, row->proxy_error);
	}
}

static const char *own(enum problem problem, struct str next_hop, size_t size)
{
	static char text[HTTP_PROXY_STATUS_BYTES_MAX + 1];
	cr_assert(size < sizeof(text));
	text[http_write_proxy_status(problem, next_hop, text, size)] = '\0';
	return text;
}

Test(proxy_status, own_answers)
{
	cr_expect_str_eq(own(PROBLEM_CONNECT_REFUSED, STR("127.0.0.1:9001"), HTTP_PROXY_STATUS_BYTES_MAX),
		"Proxy-Status: srsd-proxy; error=connection_refused; next-hop=\"127.0.0.1:9001\"; "
		"details=\"connect_refused\"\r\n");
	cr_expect_str_eq(own(PROBLEM_NO_ROUTE, STR(""), HTTP_PROXY_STATUS_BYTES_MAX),
		"Proxy-Status: srsd-proxy; error=destination_not_found; details=\"no_route\"\r\n");
}

Test(proxy_status, strings_stay_strings)
{
	cr_expect_str_eq(own(PROBLEM_CONNECT_REFUSED, STR("a\"b\\c\r\nd"), HTTP_PROXY_STATUS_BYTES_MAX),
		"Proxy-Status: srsd-proxy; error=connection_refused; next-hop=\"a\\\"b\\\\c??d\"; "
		"details=\"connect_refused\"\r\n");
}

Test(proxy_status, what_does_not_fit_is_not_written)
{
	size_t whole = strlen(own(PROBLEM_NO_ROUTE, STR(""), HTTP_PROXY_STATUS_BYTES_MAX));
	cr_expect_eq(strlen(own(PROBLEM_NO_ROUTE, STR(""), whole)), whole);
	cr_expect_str_empty(own(PROBLEM_NO_ROUTE, STR(""), whole - 1));
}

Test(proxy_status, answers_of_backends)
{
	char text[HTTP_PROXY_STATUS_BYTES_MAX + 1];
	text[http_write_received_status(503, STR("[::1]:80"), text, HTTP_PROXY_STATUS_BYTES_MAX)] = '\0';
	cr_expect_str_eq(text, "Proxy-Status: srsd-proxy; received-status=503; next-hop=\"[::1]:80\"\r\n");
	text[http_write_received_status(500, STR(""), text, HTTP_PROXY_STATUS_BYTES_MAX)] = '\0';
	cr_expect_str_eq(text, "Proxy-Status: srsd-proxy; received-status=500\r\n");
}
